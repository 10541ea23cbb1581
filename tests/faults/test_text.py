"""Hostile text at the render boundary: rows 69 to 73 of the faults, and text in terminal cells."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wcwidth import wcwidth

from workbench.text import clean, clip, pad, width

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("\x1b]8;;http://x\x1b\\x", "␛]8;;http://x␛\\x"),
        ("\x9b2J", "\ufffd2J"),
        ("a\bb\rc\nd\te\x7f\x00", "a␈b␍c␊d␉e␡␀"),
        ("a\u2028b\u2029c\u0085d", "a\ufffdb\ufffdc\ufffdd"),
    ],
)
def test_fault_069_terminal_controls_become_visible(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


@pytest.mark.parametrize("markup", ["[red]", "[/red]", "[@click=app.quit]", "[bold", "\\["])
def test_fault_070_markup_is_text(markup: str) -> None:
    assert clean(markup) == markup


@pytest.mark.parametrize(
    "invisible",
    [
        "\u202e",
        "\u2066",
        "\u061c",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\U000e0041",
        "\ufe0f",
        "\u00ad",
        "\u3164",
        "\u034f",
    ],
)
def test_fault_071_bidirectional_and_zero_width_characters_go(invisible: str) -> None:
    assert clean(f"a{invisible}b") == "ab"


@pytest.mark.parametrize(
    ("text", "shown", "cells"),
    [
        ("蔻驰", "蔻驰", 4),
        ("👨‍👩‍👧", "👨👩👧", 6),
        ("👍🏽", "👍", 2),
        ("🇨🇳", "CN", 2),
        ("z\u0321\u0335\u0352\u0358", "z\u0335", 1),
        ("e\u0301", "é", 1),
        ("\u0301x", "\u25cc\u0301x", 2),
        ("\u1112\u1161\u11ab", "한", 2),
        ("❤\ufe0f", "❤", 1),
    ],
)
def test_fault_072_wide_and_combined_characters_have_a_known_width(text: str, shown: str, cells: int) -> None:
    assert clean(text) == shown
    assert width(shown) == cells


@pytest.mark.parametrize("nothing", ["\ud800", "\udfff", "\uffff", "\ue000", "\U0010ffff", "\u0378"])
def test_fault_073_what_is_no_character_is_replaced(nothing: str) -> None:
    assert clean(f"a{nothing}") == "a\ufffd"


@given(ANY_TEXT)
@example("\u200d\u0301\u0301")
@example("\u1100\u200b\u1161")
def test_fault_069_nothing_that_acts_on_a_terminal_comes_out(text: str) -> None:
    shown = clean(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert shown == unicodedata.normalize("NFC", shown)
    assert clean(shown) == shown
    shown.encode()


@given(ANY_TEXT, st.integers(0, 30), st.sampled_from(["left", "right"]))
@example("蔻驰", 3, "left")
@example("a\u0301", 0, "right")
def test_fault_072_padding_takes_exactly_its_cells(text: str, cells: int, align: str) -> None:
    shown = clean(text)
    padded = pad(shown, cells, "right" if align == "right" else "left")
    assert width(padded) == cells
    if width(shown) <= cells:
        assert padded.strip(" ") == shown.strip(" ")


def test_clip_keeps_what_fits_and_marks_the_rest() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdef", 4) == "abc…"
    assert clip("蔻驰包", 4) == "蔻…"
    assert clip("abc", 1) == "…"
    assert clip("abc", 0) == ""


def test_fault_061_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert clean("x" * 4096) == "x" * 4096
    assert clean("x" * 5000) == "x" * 4096 + "… (5,000 characters)"
    assert clean("\x1b" * 9, 2) == "␛␛… (9 characters)"


def test_values_that_are_no_text() -> None:
    assert clean(None) == "–"
    assert clean(12) == "12"


def test_widths_known_without_tables_are_those_of_the_tables() -> None:
    codes = [
        *range(0x20, 0x7F),
        *range(0xAE, 0x300),
        *range(0x2010, 0x2028),
        *range(0x2100, 0x2600),
        0x4E00,
        0xAC00,
    ]
    assert [width(chr(code)) for code in codes] == [max(wcwidth(chr(code)), 0) for code in codes]
