"""Charts mean what they show: lengths exact to an eighth, sizes as asked, nothing that a terminal would act on."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.charts import bar, bars_across, histogram, lines, scatter, sparkline
from workbench.glyphs import ASCII, UNICODE, Glyphs
from workbench.text import width

BOTH = st.sampled_from([UNICODE, ASCII])
VALUES = st.one_of(st.none(), st.floats(), st.integers(-(10**15), 10**15))


def units(text: str, glyphs: Glyphs) -> int:
    """A bar's length, in eighths where there are eighths."""
    full, partial = glyphs.blocks[-1], glyphs.blocks[:-1]
    return sum(
        len(glyphs.blocks) if char == full else partial.index(char) + 1
        for char in text
        if char in glyphs.blocks
    )


@given(st.floats(0, 1), st.integers(1, 120), BOTH)
def test_a_bar_is_as_long_as_its_fraction(fraction: float, cells: int, glyphs: Glyphs) -> None:
    drawn = bar(fraction, cells, glyphs)
    whole = cells * len(glyphs.blocks)
    assert width(drawn) == cells
    length = units(drawn, glyphs)
    exact = round(Fraction(fraction) * whole)
    if exact not in (0, whole):
        assert length == exact
    assert (length > 0) == (fraction > 0)
    if whole > 1:
        assert (length == whole) == (fraction == 1)


@pytest.mark.parametrize(
    ("fraction", "cells", "expected"),
    [
        (0.5, 4, "██  "),
        (0.0, 3, "   "),
        (1.0, 3, "███"),
        (1e-9, 3, "▏  "),
        (1 - 1e-9, 3, "██▉"),
        (Fraction(1, 16), 1, "▏"),  # half an eighth goes to the even none, but is not nothing
        (Fraction(3, 16), 1, "▎"),
        (Fraction(5, 16), 1, "▎"),
        (float("nan"), 2, "  "),
        (-1.0, 2, "  "),
        (7.0, 2, "██"),
        (0.5, 0, ""),
    ],
)
def test_bars(fraction: float, cells: int, expected: str) -> None:
    assert bar(float(fraction), cells, UNICODE) == expected


def test_what_is_open_is_shaded_after_the_bar() -> None:
    assert bar(0.25, 8, UNICODE, open_fraction=0.25) == "██░░    "
    assert bar(0.7, 10, UNICODE, open_fraction=0.3) == "███████░░░"
    assert bar(0.0, 4, UNICODE, open_fraction=1e-6) == "░   "
    assert bar(0.5, 4, ASCII, open_fraction=0.01) == "##: "


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 60), BOTH)
def test_shade_changes_nothing_of_the_bar(solid: float, rest: float, cells: int, glyphs: Glyphs) -> None:
    drawn = bar(solid, cells, glyphs, open_fraction=rest)
    assert width(drawn) == cells
    assert drawn.replace(glyphs.shade, " ") == bar(solid, cells, glyphs)
    if solid + rest >= 1 and len(drawn.rstrip()) < cells:
        raise AssertionError("all of them, done or open, fill the bar")


def test_sparkline_is_zero_lowest_and_highest_alone_full() -> None:
    assert sparkline([0, 1, 50, 99, 100, None], 6, UNICODE) == "▁▂▅▇█ "
    assert sparkline([0, 0], 5, UNICODE) == "▁▁"
    assert sparkline([-5, 0, 5], 5, UNICODE) == "▁▅█"
    assert sparkline([], 5, UNICODE) == ""


def test_a_sparkline_of_more_values_than_cells_keeps_the_peaks() -> None:
    values: list[int | None] = [1] * 100
    values[57] = 1000
    assert sparkline(values, 10, UNICODE) == "▂▂▂▂▂█▂▂▂▂"


@given(st.lists(VALUES, max_size=200), st.integers(0, 80), BOTH)
def test_sparklines_fit(values: list[float | None], cells: int, glyphs: Glyphs) -> None:
    drawn = sparkline(values, cells, glyphs)
    assert len(drawn) == min(len(values), cells)
    assert set(drawn) <= {*glyphs.ticks, " "}


def column(drawn: list[str], at: int) -> int:
    """The height of the column in the cell ``at``, in eighths."""
    cells = [line[at] if at < len(line) else " " for line in drawn[:-2]]
    return sum(0 if char == " " else UNICODE.ticks.index(char) + 1 for char in cells)


def test_a_histogram() -> None:
    assert histogram([4, 8, 0, 1], ["a", "b", "c", "d"], 10, 4, UNICODE) == [
        "8   █",
        "  █ █   ▂",
        "0 ────────",
        "  a b c d",
    ]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40), st.integers(3, 12))
def test_columns_are_as_high_as_their_counts(counts: list[int], rows: int) -> None:
    drawn = histogram(counts, [""] * len(counts), 200, rows, UNICODE)
    assert len(drawn) == rows
    gutter = len(f"{max(counts):,}") + 1
    step = (200 - gutter) // len(counts)
    whole = (rows - 2) * 8
    for at, count in enumerate(counts):
        height = column(drawn, gutter + at * step)
        assert (height > 0) == (count > 0)
        assert (height == whole) == (count == max(counts) > 0)
        if count and 0 < (exact := round(Fraction(count, max(counts)) * whole)) < whole:
            assert height == exact


@given(
    st.lists(st.integers(0, 10**12), max_size=400),
    st.integers(0, 120),
    st.integers(0, 20),
    BOTH,
    st.text(max_size=12),
)
def test_histograms_fit(counts: list[int], cells: int, rows: int, glyphs: Glyphs, label: str) -> None:
    fits(histogram(counts, [label] * len(counts), cells, rows, glyphs), cells, rows)


def test_more_counts_than_columns_are_added_up() -> None:
    drawn = histogram([1] * 1000, [str(at) for at in range(1000)], 40, 6, UNICODE)
    assert drawn[0].split()[0] == "28"
    assert drawn[-1].split()[:2] == ["0", "112"]


def test_bars_across() -> None:
    assert bars_across(["weixin", "app[/x]", "支付\x1b"], [10, 3, None], 30, UNICODE) == [
        "weixin  ███████████████████ 10",
        "app[/x] █████▊               3",
        "支付␛                        –",
    ]
    assert bars_across(["a", "bb"], [4, 1], 10, UNICODE) == ["a  █████ 4", "bb █▎    1"]
    assert bars_across(["a"], [0.5], 12, ASCII, texts=["50 %"]) == ["a ##### 50 %"]


@given(st.lists(st.tuples(st.text(max_size=30), VALUES), max_size=12), st.integers(0, 100), BOTH)
def test_bars_across_fit(pairs: list[tuple[str, float | None]], cells: int, glyphs: Glyphs) -> None:
    drawn = bars_across([label for label, _ in pairs], [value for _, value in pairs], cells, glyphs)
    assert len(drawn) == len(pairs)
    harmless(drawn)
    if cells > 10:
        assert {width(line) for line in drawn} <= {cells}


def test_a_line_goes_up_and_is_broken_where_a_value_is_missing() -> None:
    drawn = lines({"n": [0, 1, 2, None, 4]}, ["Mo", "Tu", "We", "Th", "Fr"], 27, 7, True)
    assert drawn[0].startswith("4 |") and drawn[0].endswith("*")
    assert drawn[4].startswith("0 |*")
    assert drawn[-2] == "  +" + "-" * 24
    assert drawn[-1] == "   Mo    Tu    We   Th   Fr"
    missing = 3 + round(3 / 4 * 23)
    assert all(line[missing : missing + 1] in ("", " ") for line in drawn[:5])


def test_several_lines_have_a_sign_each() -> None:
    drawn = lines({"weixin": [1, 2, 3], "app": [3, 2, 1]}, ["a", "b", "c"], 40, 8, False)
    assert drawn[0] == "• weixin  × app"
    body = "".join(drawn[1:-2])
    assert "•" in body and "×" in body
    assert len(drawn) == 8


def test_one_line_has_the_finest_points() -> None:
    drawn = lines({"n": [1, 5, 2]}, [], 40, 8, False)
    assert any("\u2800" < char < "\u2900" for char in "".join(drawn))


def test_a_scatter_has_both_axes() -> None:
    drawn = scatter([1, 2, 3], [3, None, 9], 30, 8, True)
    assert drawn[0].startswith("9 |") and drawn[0].endswith("*")
    assert "".join(drawn[:-2]).count("*") == 2
    assert drawn[-1].split() == ["1", "3"]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(max_size=12), st.lists(VALUES, max_size=30), max_size=8),
    st.integers(0, 150),
    st.integers(0, 30),
    st.booleans(),
    st.text(max_size=15),
)
def test_curves_fit(
    series: dict[str, list[float | None]], cells: int, rows: int, ascii_only: bool, label: str
) -> None:
    fits(lines(series, [label] * 30, cells, rows, ascii_only), cells, rows)
    for values in series.values():
        fits(scatter(values, values[::-1], cells, rows, ascii_only), cells, rows)


def test_a_curve_is_wider_and_higher_than_the_terminal_that_nobody_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    drawn = lines({"n": [0, 1]}, [], 200, 50, True)
    assert len(drawn) == 50 and max(map(len, drawn)) == 200


def test_the_plotting_library_is_loaded_by_the_first_curve_alone() -> None:
    code = "import sys, workbench.charts; sys.exit(bool({'plotext', 'textual', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def fits(drawn: list[str], cells: int, rows: int) -> None:
    assert len(drawn) <= max(rows, 0)
    assert all(width(line) <= cells for line in drawn), drawn
    harmless(drawn)


def harmless(drawn: list[str]) -> None:
    for line in drawn:
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in line), line
