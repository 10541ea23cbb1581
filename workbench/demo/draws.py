"""Chance that is the same on every machine: 64-bit words from PCG64, turned into choices by integers alone.

No floating point and no ``numpy.random.Generator``, whose methods may change between versions: a person gets
one raw word of the bit generator, every later draw is that word mixed with the draw's number, and every
distribution is a table of integer weights or a rational quantile. So a draw depends on who and which, never
on how many people were simulated at once.

Mixing: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Bools = NDArray[np.bool_]

CELLS = 1 << 16
"""How finely a table cuts the range of a draw: 16 bits, so one word holds four draws."""
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def words(seed: int, stream: int, count: int) -> Words:
    """``count`` raw words of PCG64 for a stream of the demo's seed."""
    return np.asarray(np.random.PCG64([seed, stream]).random_raw(count), dtype=np.uint64)


def mixed(word: Words) -> Words:
    """The word with every bit of it spread over all 64."""
    z = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return np.asarray(z ^ (z >> 31), dtype=np.uint64)


def derived(word: Words, number: int | Ints) -> Words:
    """A new word for the ``number``-th draw that hangs on ``word``; numbers count from 0."""
    if isinstance(number, int):
        return mixed(word + ((number + 1) * _GOLDEN & _MASK))
    return mixed(word + (number + 1).astype(np.uint64) * _GOLDEN)


def bits(word: Words, shift: int) -> Ints:
    """Sixteen bits of the word, from bit ``shift`` on: 0 … 65535."""
    return ((word >> shift) & 0xFFFF).astype(np.int64)


def below(word: Words, shift: int, bound: int) -> Ints:
    """A number from 0 to ``bound`` − 1, ``bound`` at most 2³¹, from the 32 bits at ``shift``."""
    return (((word >> shift) & 0xFFFFFFFF) * bound >> 32).astype(np.int64)


def chance(word: Words, shift: int, cells: int | Ints) -> Bools:
    """True in ``cells`` of 65536 cases."""
    return np.asarray(bits(word, shift) < cells, dtype=np.bool_)


def table(weights: Sequence[int] | Ints) -> Ints:
    """An inverse distribution: 65536 cells, each holding the index of a weight, in proportion."""
    edges = np.cumsum(np.asarray(weights, dtype=np.int64))
    total = int(edges[-1])
    middles = (np.arange(CELLS, dtype=np.int64) * total + total // 2) // CELLS
    return np.asarray(np.searchsorted(edges, middles, side="right"), dtype=np.int64)


def picked(inverse: Ints, word: Words, shift: int) -> Ints:
    """The index drawn from a :func:`table` with the 16 bits at ``shift``."""
    return inverse[bits(word, shift)]


def lomax(scale: int, blunt: int, least: int, most: int) -> Ints:
    """A table of the heavy-tailed quantiles ``least + scale·u/(1 − u + blunt/65536)``, cut at ``most``.

    It is the Lomax (Pareto II) distribution with shape 1: what exponential times are once their rates
    differ between people as an exponential does. ``scale`` is then the median less ``least``.
    """
    u = np.arange(CELLS, dtype=np.int64)
    return np.asarray(np.minimum(least + scale * u // (CELLS - u + blunt), most), dtype=np.int64)


def within(group: Ints) -> tuple[Ints, Ints]:
    """For rows that are spread into ``group[i]`` rows each: the row of origin, and the place inside it."""
    origin = np.repeat(np.arange(len(group), dtype=np.int64), group)
    first = np.cumsum(group) - group
    return origin, np.arange(len(origin), dtype=np.int64) - first[origin]
