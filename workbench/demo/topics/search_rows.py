"""What searching looks like in a session: where searches come from, runs of letters, better spellings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.demo import catalogue, rows
from workbench.demo.draws import CELLS, Ints, Words, bits, chance, derived, within
from workbench.demo.rows import Rows
from workbench.demo.waves import Wave

_CODE = catalogue.TERM_CODE
TYPO, DRESS = _CODE["连依裙"], _CODE["连衣裙"]
TYPED = {
    "空气炸锅": (("空", "空气", "空气炸"), "加湿器"),
    "running shoes": (("run", "running"), "跑鞋"),
}
"""Terms that are typed letter by letter: what is logged on the way, and what a second search in a session is for
instead, so that no two runs of one term can be taken for one."""
_HOT = np.array([term.weight >= 200 for term in catalogue.TERMS], dtype=np.bool_)
_SOURCE_TYPED, _SOURCE_HOT = (catalogue.SOURCES.index(name) for name in ("typed", "hot"))
_RESCUE = (9_000, 6_000, 2_500)
"""Milliseconds to the better spelling, its click, and the product."""


@dataclass(frozen=True, slots=True)
class New:
    """Events to be inserted behind rows; ``columns`` (event and delay among them) as for ``Wave.insert``."""

    after: Ints
    columns: Mapping[str, int | Ints]

    def column(self, name: str) -> Ints:
        """A column for every event, null where there is none."""
        return np.broadcast_to(np.asarray(self.columns.get(name, -1), dtype=np.int64), self.after.shape)


def sources(out: Rows, search: Ints, word: Words) -> None:
    """Only hot terms are hot words, and where a hot term is not clicked it often was one."""
    hot = _HOT[out.term[search]]
    followed = out.event[np.minimum(search + 1, len(out) - 1)] == rows.CLICK
    source = np.where((out.source[search] == _SOURCE_HOT) & ~hot, _SOURCE_TYPED, out.source[search])
    out.source[search] = np.where(hot & ~followed & chance(word, 0, CELLS // 2), _SOURCE_HOT, source)


def letters_of(out: Rows, search: Ints, word: Words) -> list[New]:
    """Turns some typed searches into the first beginning of the term; what follows is to be inserted."""
    new = []
    for text, (letters, _) in TYPED.items():
        typed = (out.term[search] == _CODE[text]) & (out.source[search] == _SOURCE_TYPED)
        typed &= chance(word, 16, CELLS * 2 // 3)
        row, code = search[typed], np.array([_CODE[one] for one in (*letters, text)], dtype=np.int64)
        out.term[row], out.results[row] = code[0], catalogue.TERM_RESULTS[code[0]]
        origin, place = within(np.full(len(row), len(letters), dtype=np.int64))
        delay = 180 + bits(derived(word[typed][origin], place), 0) // 128
        new.append(New(row[origin], _asks(code[place + 1], _SOURCE_TYPED, delay)))
    return new


def rescued(out: Rows, search: Ints, word: Words) -> list[New]:
    """Behind most misspelt searches: the right one, its click, the product."""
    which = (out.term[search] == TYPO) & chance(word, 16, CELLS * 3 // 4)
    row = search[which]
    product = catalogue.in_category(np.zeros(len(row), dtype=np.int64), word[which], 32)
    shown = {
        "product": product,
        "category": catalogue.category_of(product),
        "price": catalogue.PRICE[product],
    }
    delays = [delay + bits(derived(word[which], n), 0) // 16 for n, delay in enumerate(_RESCUE)]
    position = 1 + bits(word[which], 48) // 16_384
    return [
        New(row, _asks(np.full(len(row), DRESS), catalogue.SOURCES.index("suggestion"), delays[0])),
        New(row, {"event": rows.CLICK, "delay": delays[1], "position": position, **shown}),
        New(row, {"event": rows.VIEW, "delay": delays[2], **shown}),
    ]


def _asks(term: Ints, source: int, delay: Ints) -> dict[str, int | Ints]:
    """The columns of searches."""
    results = catalogue.TERM_RESULTS[term]
    return {"event": rows.SEARCH, "delay": delay, "term": term, "source": source, "results": results}


def renumber(wave: Wave) -> None:
    """Numbers the queries of each session anew; a click has the number of the search before it."""
    out, part = wave.rows, wave.part()
    searches = out.event == rows.SEARCH
    asked = np.cumsum(searches)
    before = (asked - searches)[part.first]
    carries = searches | (out.event == rows.CLICK)
    out.query = np.where(carries, asked - before[part.session] - 1, -1)
