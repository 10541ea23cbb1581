"""The rows of two answers side by side: what is the same place, what is nobody's, what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queries import QUESTIONS

if TYPE_CHECKING:
    from queries.diff import Answer, Between, Differs
    from queries.question import Row

Key = tuple[object, ...]
Number = int | float

_WHOLE = (None, "current", "workbench")
"""Values of a key under which a row counts what it would count without the key: no value, the range asked
beside an earlier one, our own rule beside those of others."""
PARTS = ("data", "data_late", "data_new", "data_since", "definition")


def compared(a: Answer, b: Answer, between: Between | None, differs: Sequence[Differs]) -> list[Row]:
    """One row a place of the table and measure: A, B, their difference and its parts."""
    told = QUESTIONS[b.report].rows
    unlike = {key for key, asks in told.values if any(one.key in asks for one in differs)}
    sides = [_Side(answer, unlike) for answer in (a, b)]
    asked = None
    if between is not None:
        asked = [_Side(one, unlike) for one in (between.before, between.after, between.now)]
    rows: list[Row] = []
    for key in dict.fromkeys([*sides[1].rows, *sides[0].rows]):
        labels = [side.rows[key] for side in sides if key in side.rows]
        names = dict(zip(_names(b.report), key, strict=True))
        for measure in told.measures:
            if not any(measure in row for row in labels):
                continue
            one, other = (side.number(key, measure) for side in sides)
            if one is None and other is None:
                continue
            rows.append(
                {
                    **names,
                    **{label: _label([row.get(label) for row in labels]) for label in told.labels},
                    "measure": measure,
                    "a": one,
                    "b": other,
                    "difference": _minus(other, one),
                    **_split(
                        one,
                        other,
                        None if asked is None else [side.number(key, measure) for side in asked],
                        differs,
                    ),
                }
            )
    return rows


class _Side:
    """An answer's rows by what names them; rows by values of what was not asked of both are left out."""

    def __init__(self, answer: Answer, unlike: set[str]) -> None:
        told = QUESTIONS[answer.report].rows
        self._places = len(told.places)
        self._values = range(self._places, self._places + len(told.values))
        self._cut = answer.cut
        flags = [flag for flag in told.flags if flag == "is_total"]
        self.rows: dict[Key, Row] = {}
        for row in answer.rows:
            inner = [row.get(key) not in _WHOLE for key, _ in told.values if key in unlike]
            if flags and told.values[0][0] in unlike:
                inner.append(not row.get(flags[0]))
            if not any(inner):
                # The whole comes first, should a segment be called as it is.
                whole = {**row, **dict.fromkeys(unlike)}
                self.rows.setdefault(tuple(whole.get(name) for name in _names(answer.report)), row)
        self._known = {key[: self._places] for key in self.rows}
        # Where the rest stands together, a value without a row may be in it.
        self._mixed = {self._outer(key) for key, row in self.rows.items() if row.get("is_other")}

    def number(self, key: Key, measure: str) -> Number | None:
        """A measure of a row: 0 for nobody's, None where it is not known or there is no such thing."""
        row = self.rows.get(key)
        if row is not None:
            value = row.get(measure)
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        hidden = key[self._values.start] is not None and self._outer(key) in self._mixed
        if (
            self._cut
            or hidden
            or is_rate(measure)
            or (self._places and key[: self._places] not in self._known)
        ):
            return None
        return 0

    def _outer(self, key: Key) -> Key:
        """A row's name without the breakdown's value and the flags."""
        return (*key[: self._values.start], *key[self._values.start + 1 : self._values.stop])


def is_rate(measure: str) -> bool:
    """Whether a measure is a fraction and no count."""
    return measure.startswith("rate_")


def _names(report: str) -> tuple[str, ...]:
    told = QUESTIONS[report].rows
    return (*told.places, *(key for key, _ in told.values), *told.flags)


def _label(labels: Sequence[object]) -> object:
    """B's, or both where they differ."""
    if len(labels) == 2 and labels[0] != labels[1]:
        return f"{said(labels[0])} → {said(labels[1])}"
    return labels[-1]


def _split(
    a: Number | None,
    b: Number | None,
    between: Sequence[Number | None] | None,
    differs: Sequence[Differs],
) -> dict[str, Number | None]:
    parts = {one.part for one in differs}
    whole = _minus(b, a)
    nothing = None if whole is None else whole * 0
    if between is not None:
        before, after, now = between
        late, new, since = _minus(before, a), _minus(after, before), _minus(b, now)
        data = None if late is None or new is None or since is None else late + new + since
        found = (data, late, new, since, _minus(now, after))
    elif "definition" in parts:
        found = (None,) * 5
    elif "data" in parts:
        found = (whole, None, None, None, nothing)
    else:
        found = (whole, whole, nothing, nothing, nothing)
    return dict(zip(PARTS, found, strict=True))


def _minus(left: Number | None, right: Number | None) -> Number | None:
    return None if left is None or right is None else left - right


def said(value: object) -> str:
    """A value of a request in words; nothing is an en dash."""
    if value is None or value == []:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(said, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={said(one)}" for key, one in value.items()) or "–"
    return str(value)
