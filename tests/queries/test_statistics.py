"""Holds intervals, tests and quantiles against published examples and their own laws."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.statistics import (
    SMALL,
    Sample,
    benjamini_hochberg,
    newcombe,
    quantile_ms,
    quantile_seconds,
    t_two_sided,
    two_proportions,
    verdict,
    welch,
    wilson,
)


@st.composite
def shares(draw: st.DrawFn, least: int = 1) -> tuple[int, int]:
    n = draw(st.integers(least, 10**9))
    return draw(st.integers(0, n)), n


# Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


# Newcombe 1998, Statistics in Medicine 17:873, table II, method 10.
@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_gives_the_published_intervals(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    interval = newcombe(*counts)
    assert interval is not None
    assert interval[1:] == pytest.approx((low, high), abs=5e-5)


def test_zero_denominators_give_none() -> None:
    assert wilson(0, 0) is None
    assert newcombe(0, 0, 1, 2) is None
    assert newcombe(1, 2, 0, 0) is None
    assert two_proportions(0, 0, 1, 2) is None


def test_counts_outside_their_denominator_are_refused() -> None:
    for k, n in ((3, 2), (-1, 2), (0, -1)):
        with pytest.raises(ValueError, match="no share"):
            wilson(k, n)
        with pytest.raises(ValueError, match="outside"):
            two_proportions(k, n, 1, 2)


@given(shares())
def test_wilson_holds_the_estimate_and_mirrors(share: tuple[int, int]) -> None:
    k, n = share
    interval, mirror = wilson(k, n), wilson(n - k, n)
    assert interval is not None and mirror is not None
    low, high = interval
    assert 0.0 <= low <= k / n <= high <= 1.0
    assert low < high
    assert (1 - mirror[1], 1 - mirror[0]) == pytest.approx((low, high), abs=1e-12)


@given(shares(), shares())
def test_newcombe_holds_the_difference_and_is_antisymmetric(a: tuple[int, int], b: tuple[int, int]) -> None:
    there, back = newcombe(*a, *b), newcombe(*b, *a)
    assert there is not None and back is not None
    difference, low, high = there
    assert -1.0 <= low <= difference <= high <= 1.0
    assert (-back[0], -back[2], -back[1]) == there
    assert two_proportions(*a, *b) == two_proportions(*b, *a)


def test_equal_rates_of_unequal_sizes_differ_by_nothing() -> None:
    interval = newcombe(1, 3, 333_333_333, 999_999_999)
    assert interval is not None
    assert interval[0] == 0.0
    assert two_proportions(1, 3, 333_333_333, 999_999_999) == 1.0


def test_two_proportions_is_the_chi_square_of_the_table() -> None:
    # 56 of 70 against 48 of 80, expected counts written out cell by cell.
    expected = [(56, 70 * 104 / 150), (14, 70 * 46 / 150), (48, 80 * 104 / 150), (32, 80 * 46 / 150)]
    chi_square = sum((seen - e) ** 2 / e for seen, e in expected)
    p = two_proportions(56, 70, 48, 80)
    assert p == pytest.approx(math.erfc(math.sqrt(chi_square / 2)), rel=1e-12)
    assert p == pytest.approx(0.008045, abs=5e-7)


def test_two_proportions_without_any_spread_is_one() -> None:
    assert two_proportions(0, 10, 0, 20) == 1.0
    assert two_proportions(10, 10, 20, 20) == 1.0


# Benjamini and Hochberg 1995, section 3.2: four of the fifteen are below 0.05 after adjusting.
PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459,
    0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_benjamini_hochberg_rejects_as_published() -> None:
    adjusted = benjamini_hochberg(PUBLISHED)
    assert [p is not None and p < 0.05 for p in adjusted] == [True] * 4 + [False] * 11
    assert adjusted[:5] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625, 0.0603], abs=1e-12)
    # The sixth to eighth share the eighth's 0.0344 · 15 / 8.
    assert adjusted[5:8] == pytest.approx([0.0298 * 15 / 7, 0.0298 * 15 / 7, 0.0344 * 15 / 8], abs=1e-3)


def test_benjamini_hochberg_leaves_unknown_ones_out() -> None:
    assert benjamini_hochberg([None, 0.04, None, 0.01]) == [None, 0.04, None, 0.02]
    assert benjamini_hochberg([]) == []
    assert benjamini_hochberg([0.03]) == [0.03]


@given(st.lists(st.floats(0, 1), max_size=20), st.randoms(use_true_random=False))
def test_benjamini_hochberg_never_lowers_keeps_order_and_ignores_place(
    ps: list[float], random: object
) -> None:
    adjusted = [p for p in benjamini_hochberg(ps) if p is not None]
    assert len(adjusted) == len(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    in_order = [q for _, q in sorted(zip(ps, adjusted, strict=True))]
    assert in_order == sorted(in_order)
    assert benjamini_hochberg(ps[::-1]) == adjusted[::-1]


# Student's table, two-sided.
@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [
        (1.0, 1, 0.5),
        (12.7062047364, 1, 0.05),
        (4.3026527297, 2, 0.05),
        (2.2281388520, 10, 0.05),
        (2.7632624554, 28, 0.01),
        (1.9599639845, 1e9, 0.05),
        (0.0, 5, 1.0),
    ],
)
def test_student_t_tail(t: float, degrees: float, p: float) -> None:
    assert t_two_sided(t, degrees) == pytest.approx(p, abs=1e-9)
    assert t_two_sided(-t, degrees) == t_two_sided(t, degrees)


@given(st.floats(0, 1e6))
def test_student_t_with_one_and_two_degrees_has_closed_forms(t: float) -> None:
    assert t_two_sided(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-12)
    root = math.sqrt(2 + t * t)
    assert t_two_sided(t, 2) == pytest.approx(2 / (root * (root + t)), rel=1e-9)


def sample(values: list[int]) -> Sample | None:
    return Sample.of_sums(len(values), sum(values), sum(value * value for value in values))


def test_welch_on_students_sleep_data() -> None:
    # Student 1908, tenths of hours; R's t.test(extra ~ group) prints t = -1.8608, df = 17.776, p = 0.07939.
    found = welch(
        sample([7, -16, -2, -12, -1, 34, 37, 8, 0, 20]), sample([19, 8, 11, 1, -1, 44, 55, 16, 46, 34])
    )
    assert found is not None
    assert found.difference == pytest.approx(-15.8)
    assert (found.low, found.high) == pytest.approx((-33.654832, 2.054832), abs=1e-6)
    assert found.degrees == pytest.approx(17.776, abs=5e-4)
    assert found.p == pytest.approx(0.07939, abs=5e-6)


def test_welch_says_nothing_without_spread_or_size() -> None:
    assert sample([5]) is None
    assert welch(sample([5, 5]), sample([7, 7])) is None
    assert welch(None, sample([1, 2])) is None


@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=2, max_size=8),
    st.lists(st.integers(-(10**12), 10**12), min_size=2, max_size=8),
)
@settings(max_examples=50)
def test_welch_interval_and_p_value_agree(a: list[int], b: list[int]) -> None:
    found = welch(sample(a), sample(b))
    if found is None:
        assert len(set(a)) == len(set(b)) == 1
        return
    assert 0 <= found.p <= 1
    assert found.low < found.difference < found.high
    if abs(found.p - 0.05) > 1e-9:
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


def test_quantile_is_type_seven_and_exact() -> None:
    assert quantile_ms([1, 2, 3, 4], 1, 2) == Fraction(5, 2)
    assert quantile_ms([1, 2, 3, 4], 1, 4) == Fraction(7, 4)
    assert quantile_ms([7], 9, 10) == 7
    assert quantile_ms([], 1, 2) is None
    assert quantile_ms([2**62, 2**62 + 1], 1, 2) == 2**62 + Fraction(1, 2)
    assert quantile_seconds([1, 2], 1, 2) == 0.0015
    assert quantile_seconds([], 1, 2) is None


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=30),
    st.sampled_from([(1, 4), (1, 2), (3, 4), (9, 10)]),
)
def test_quantile_agrees_with_numpy(values: list[int], at: tuple[int, int]) -> None:
    ascending = np.sort(np.array(values, dtype=np.int64))
    exact = quantile_ms(ascending, *at)
    assert exact is not None
    assert float(exact) == pytest.approx(float(np.quantile(ascending, at[0] / at[1])), rel=1e-12)


def test_verdict_in_words() -> None:
    assert verdict(0.049, 0.1) == "higher"
    assert verdict(0.049, -0.1) == "lower"
    assert verdict(0.05, 0.1) == "not distinguishable"
    assert verdict(None, 0.1) == "not distinguishable"
    assert verdict(0.001, 0.0) == "not distinguishable"
    assert SMALL == 30
