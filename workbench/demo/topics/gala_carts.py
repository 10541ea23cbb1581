"""What the spring gala does to carts: a product with one bought beside it, and totals that just reach ¥300."""

from __future__ import annotations

import numpy as np

from workbench.demo import catalogue
from workbench.demo.draws import CELLS, Bools, Ints, Words, chance
from workbench.demo.sessions import Units

MAIN_PRODUCT, ATTACHED = 490, 526
THRESHOLD, REDUCTION = 30_000, 4_000
"""Fen."""
_HAS_MAIN, _WITH_IT, _FILLS_UP = CELLS * 2 // 5, CELLS * 9 // 10, CELLS * 19 // 20
_PRICE_ORDER = np.argsort(catalogue.PRICE, kind="stable")
_PRICES = catalogue.PRICE[_PRICE_ORDER]


def fill(units: Units, buys: Bools, word: Words) -> None:
    """Sets products of the carts of those who buy; ``buys`` and ``word`` have an entry a visit.

    A product that was searched stays what was searched.
    """
    kept = np.flatnonzero(units.kept & buys[units.session])
    if not len(kept):
        return
    session = units.session[kept]
    start = np.flatnonzero(np.append(True, session[1:] != session[:-1]))
    size = np.diff(np.append(start, len(kept)))
    last = start + size - 1
    own = word[session[start]]
    free = ~units.searches[kept]
    main = free[start] & chance(own, 0, _HAS_MAIN)
    units.product[kept[start[main]]] = MAIN_PRODUCT
    second = np.minimum(start + 1, last)
    with_it = main & (size > 1) & free[second] & chance(own, 16, _WITH_IT)
    units.product[kept[second[with_it]]] = ATTACHED
    _fill_up(units, kept, start, last, free[last] & ~main & chance(own, 32, _FILLS_UP))


def _fill_up(units: Units, kept: Ints, start: Ints, last: Ints, willing: Bools) -> None:
    """Carts between a third of the threshold and the threshold get another last product, just dear enough."""
    gross = catalogue.PRICE[units.product[kept]] * units.pieces[kept]
    total = np.add.reduceat(gross, start)
    wanted = willing & (total >= THRESHOLD // 3) & (total < THRESHOLD)
    unit = kept[last]
    missing = -(-(THRESHOLD - total + gross[last]) // units.pieces[unit])
    at = np.minimum(np.searchsorted(_PRICES, missing), len(_PRICES) - 1)
    units.product[unit[wanted]] = _PRICE_ORDER[at[wanted]]
