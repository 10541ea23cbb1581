"""Says how sure a rate, a difference or a mean is, so that no comparison stands without its uncertainty.

Intervals are 95 %, tests two-sided. Counts go in as integers; a zero denominator gives None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = Sequence[int] | NDArray[np.int64]

Z = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""
ALPHA = 0.05
SMALL = 30
"""Fewer units than this behind a rate are marked."""


def wilson(k: int, n: int) -> tuple[float, float] | None:
    """The score interval of the rate ``k / n`` (Wilson 1927, no continuity correction).

    Inside [0, 1] and around the estimate; None for n = 0. Raises ValueError unless 0 ≤ k ≤ n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if n == 0:
        return None
    centre = (k + Z * Z / 2) / (n + Z * Z)
    half = Z / (n + Z * Z) * math.sqrt(k * (n - k) / n + Z * Z / 4)
    rate = k / n
    # The ends at k = 0 and k = n are exact in algebra; rounding must not move them past the estimate.
    low = 0.0 if k == 0 else min(max(centre - half, 0.0), rate)
    high = 1.0 if k == n else max(min(centre + half, 1.0), rate)
    return low, high


def newcombe(k1: int, n1: int, k2: int, n2: int) -> tuple[float, float, float] | None:
    """``k1/n1 − k2/n2`` with its interval: (difference, low, high); None where a denominator is 0.

    Newcombe 1998 (Statistics in Medicine 17:873), method 10: the hybrid of two Wilson intervals.
    """
    first, second = wilson(k1, n1), wilson(k2, n2)
    if first is None or second is None:
        return None
    p1, p2 = k1 / n1, k2 / n2
    # One division of integers, so that equal rates of unequal sizes differ by exactly 0.
    difference = (k1 * n2 - k2 * n1) / (n1 * n2)
    low = difference - math.hypot(p1 - first[0], second[1] - p2)
    high = difference + math.hypot(first[1] - p1, p2 - second[0])
    return difference, max(low, -1.0), min(high, 1.0)


def two_proportions(k1: int, n1: int, k2: int, n2: int) -> float | None:
    """The two-sided p-value of ``k1/n1`` against ``k2/n2``: pooled z-test, no continuity correction.

    The same as Pearson's chi-square of the 2 × 2 table. 1 where nobody or everybody did it in both; None
    where a denominator is 0.
    """
    if not (0 <= k1 <= n1 and 0 <= k2 <= n2):
        raise ValueError("a count is outside its denominator")
    if n1 == 0 or n2 == 0:
        return None
    did, all_ = k1 + k2, n1 + n2
    if did in (0, all_):
        return 1.0
    # chi² = N (ad − bc)² / (row and column sums), in integers up to the one division.
    square = (k1 * n2 - k2 * n1) ** 2 * all_ / (n1 * n2 * did * (all_ - did))
    return math.erfc(math.sqrt(square / 2))


def benjamini_hochberg(ps: Sequence[float | None]) -> list[float | None]:
    """The p-values adjusted for being many, in the order given (Benjamini and Hochberg 1995, step-up).

    None stays None and does not count among the many.
    """
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    least = 1.0
    for rank in range(len(known), 0, -1):
        p, place = known[rank - 1]
        least = min(least, p * len(known) / rank)
        adjusted[place] = max(least, p)
    return adjusted


def verdict(p_adjusted: float | None, difference: float | None) -> str:
    """``higher``, ``lower`` or ``not distinguishable`` (p at or above 0.05, unknown, or no difference)."""
    if p_adjusted is None or difference is None or p_adjusted >= ALPHA or difference == 0:
        return "not distinguishable"
    return "higher" if difference > 0 else "lower"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a mean is tested by: how many, their mean, and their variance with n − 1 below."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of_sums(cls, n: int, total: int, squares: int) -> Sample | None:
        """From the exact sums of n integers and of their squares; None for fewer than two."""
        if n < 2:
            return None
        return cls(n, total / n, (n * squares - total * total) / (n * (n - 1)))


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """The difference of two means with its interval, its p-value and the degrees of freedom behind them."""

    difference: float
    low: float
    high: float
    p: float
    degrees: float


def welch(first: Sample | None, second: Sample | None) -> MeanDifference | None:
    """The mean of ``first`` minus that of ``second`` by Welch's unequal-variances t-test (Welch 1947).

    None where a sample holds fewer than two units, or neither has any spread: nothing can be said then.
    """
    if first is None or second is None or first.n < 2 or second.n < 2:
        return None
    a, b = first.variance / first.n, second.variance / second.n
    if not a + b > 0:
        return None
    # As shares of the sum, so that tiny or huge variances neither vanish nor overflow when squared.
    share = a / (a + b)
    degrees = 1 / (share * share / (first.n - 1) + (1 - share) * (1 - share) / (second.n - 1))
    error = math.sqrt(a + b)
    difference = first.mean - second.mean
    reach = _t_quantile(degrees) * error
    p = t_two_sided(difference / error, degrees)
    return MeanDifference(difference, difference - reach, difference + reach, p, degrees)


def t_two_sided(t: float, degrees: float) -> float:
    """The two-sided p-value of Student's t: ``I_x(degrees/2, 1/2)`` at ``x = degrees / (degrees + t²)``."""
    if math.isinf(t * t):
        return 0.0
    return regularised_beta(degrees / (degrees + t * t), t * t / (degrees + t * t), degrees / 2, 0.5)


def regularised_beta(x: float, complement: float, a: float, b: float) -> float:
    """The regularised incomplete beta function ``I_x(a, b)``; ``complement`` is 1 − x, given unrounded.

    Continued fraction DLMF 8.17.22, evaluated from the side where it converges fast.
    """
    if x <= 0:
        return 0.0
    if complement <= 0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - regularised_beta(complement, x, b, a)
    log_front = a * _log(x, complement) + b * _log(complement, x) - _log_beta(a, b)
    return min(math.exp(log_front) / (a * _beta_fraction(x, a, b)), 1.0)


def _log_beta(a: float, b: float) -> float:
    large, small = max(a, b), min(a, b)
    if small != 0.5 or large < 50:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    # Γ(large) / Γ(large + 1/2) as a series (DLMF 5.11.13): the two logarithms alone would cancel each other.
    step = 1 / large
    series = step / 8 - step**3 / 192 + step**5 / 640
    return math.log(math.pi) / 2 - math.log(large) / 2 + series


def _log(x: float, complement: float) -> float:
    # Next to 1 the complement carries the digits that x has lost.
    return math.log(x) if x < 0.5 else math.log1p(-complement)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The value of 1 + d1/(1 + d2/(1 + …)), by the modified Lentz method."""
    value = c = 1.0
    d = 0.0
    for step in range(1, 10_000):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + term * d) or 1e-300)
        c = (1 + term / c) or 1e-300
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _t_quantile(degrees: float) -> float:
    """The t that leaves 5 % outside ±t, by bisection down to neighbouring floats."""
    low, high = 0.0, 2.0
    while t_two_sided(high, degrees) > ALPHA:
        high *= 2
    while low < (middle := (low + high) / 2) < high:
        if t_two_sided(middle, degrees) > ALPHA:
            low = middle
        else:
            high = middle
    return high


def quantile_ms(ascending: Integers, numerator: int, denominator: int) -> Fraction | None:
    """The quantile ``numerator/denominator`` of ascending integers, exact; None for none.

    Linear interpolation between neighbours (type 7 of Hyndman and Fan 1996). A Fraction, so that the caller
    divides once: ``float(q / 1000)`` is the correctly rounded number of seconds.
    """
    if not 0 <= numerator <= denominator or denominator == 0:
        raise ValueError(f"{numerator}/{denominator} is no quantile")
    if len(ascending) == 0:
        return None
    place, rest = divmod((len(ascending) - 1) * numerator, denominator)
    below = int(ascending[place])
    if rest == 0:
        return Fraction(below)
    return below + Fraction((int(ascending[place + 1]) - below) * rest, denominator)


def quantile_seconds(ascending: Integers, numerator: int, denominator: int) -> float | None:
    """The quantile of ascending milliseconds in seconds, rounded once; None for none."""
    exact = quantile_ms(ascending, numerator, denominator)
    return None if exact is None else float(exact / 1000)
