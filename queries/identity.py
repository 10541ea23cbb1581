"""How raw ids became people: what each kind of id decided, who shares a device, whose ids are many.

The rule is :mod:`queries.people`; this question shows its effect over everything in the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.question import EVERYTHING, Data, QuestionError, Result, Row, Scope, Shown
from queries.quoting import quote_identifier, quote_literal
from queries.saved import SCOPE_KEYS, Saved
from queries.scope import Within, meta

DECISIONS = ("person", "linked", "shared")
"""An id names a person of its own, belongs to one more trusted person, or is shared by several."""
BIGGEST = 10
DEVICE = "anonymous_id"

_LAYOUT = (
    Shown("kind", "id", names=True),
    Shown("decision", "names", names=True),
    Shown("ids", "ids", "integer"),
    Shown("people", "people", "integer"),
    Shown("events", "events decided", "integer"),
    Shown("share", "of events", "rate"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRequest:
    """How ids become people; over everything, so a range or a filter of events is refused."""

    scope: Scope = EVERYTHING

    def __post_init__(self) -> None:
        for option, given in (
            ("--from", self.scope.since),
            ("--to", self.scope.until),
            ("--last", self.scope.last),
            ("--where", self.scope.where),
            ("--who", self.scope.who),
            ("--by", self.scope.by),
        ):
            if given is not None:
                raise QuestionError(
                    f"{option}: people are made from everything in the data", f"leave {option} out"
                )
        if self.scope.unit not in ("user", "raw"):
            raise QuestionError(f"--unit {self.scope.unit}: identity knows user and raw")

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "identity"

    def check_cell(self, cell: str) -> None:
        """Raises :class:`QuestionError` for what is not ``DECISION:KIND``."""
        _parse_cell(cell)

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return [self.report, *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return self.scope.to_dict()


def from_dict(saved: Mapping[str, object]) -> IdentityRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    return IdentityRequest(scope=Saved(saved, SCOPE_KEYS).scope())


def answer(request: IdentityRequest, data: Data) -> Result:
    """Counts, for each kind of id, what its ids name and how many events they decided."""
    survey = data.survey()
    is_raw = request.scope.unit == "raw"
    asked = _Identity(data, is_raw)
    rows = asked.rows(survey.rows)
    order = " > ".join(data.schema.ids)
    rule = (
        f"ids in order of trust: {order}; the most trusted one on an event decides. person: nobody more trusted was "
        "seen beside it; linked: one person was, who has its other events too; shared: several were, and an event "
        "counts for the last one seen before it, else the first after"
    )
    return Result(
        report=request.report,
        request=request,
        rows=rows,
        totals=asked.totals(rows),
        notes=survey.notes,
        meta=meta(data, Within.of(request.scope, data), (survey.rows, survey.people)),
        layout=_LAYOUT,
        rule="nothing is linked: the most trusted id on an event is who did it" if is_raw else rule,
        people=asked,
        sql=tuple(asked.statements),
    )


def statements(request: IdentityRequest, data: Data) -> tuple[str, ...]:
    """The SQL the question asks, in order."""
    return answer(request, data).sql


class _Identity:
    """The ids of a dataset and what they decided; the statements are kept as they are asked."""

    def __init__(self, data: Data, is_raw: bool) -> None:
        self._data = data
        self._is_raw = is_raw
        self._kinds = data.schema.ids
        self.statements: list[str] = []

    def _fetch(self, sql: str) -> list[tuple[int, ...]]:
        self.statements.append(sql)
        return [tuple(int(str(value or 0)) for value in row) for row in self._data.fetch(sql)]

    def rows(self, total: int) -> list[Row]:
        """A row for each kind and decision, in order of trust, those without an id too."""
        found: list[Row] = []
        decided = self._decided()
        for place, kind in enumerate(self._kinds):
            ((own, linked, shared, owners, sharers),) = self._fetch(
                f"WITH ids AS (\n{_ids_of(place, self._is_raw)}\n), sharers AS (\n{_sharers(place)}\n)\n"
                "SELECT count(*) FILTER (WHERE low IS NULL), count(*) FILTER (WHERE low = high),\n"
                "  count(*) FILTER (WHERE low <> high), count(DISTINCT low) FILTER (WHERE low = high),\n"
                "  (SELECT count(DISTINCT key) FROM sharers)\nFROM ids"
            )
            for decision, ids, people in zip(
                DECISIONS, (own, linked, shared), (own, owners, sharers), strict=True
            ):
                events = decided.get((place, DECISIONS.index(decision)), 0)
                found.append(
                    {
                        "kind": kind,
                        "decision": decision,
                        "ids": ids,
                        "people": people,
                        "events": events,
                        "share": events / total if total else None,
                    }
                )
        return found

    def _decided(self) -> dict[tuple[int, int], int]:
        """Events by the place of the kind that decided them and the place of the decision."""
        kinds = (
            "CASE " + " ".join(f"WHEN c{i} IS NOT NULL THEN {i}" for i in range(len(self._kinds))) + " END"
        )
        same = " AND ".join(
            f"events.{quote_identifier(name)} IS NOT DISTINCT FROM linked_ids.{quote_identifier(name)}"
            for name in self._kinds
        )
        rows = self._fetch(
            f"WITH decided AS (\n  SELECT linked_ids.*, {kinds} AS kind FROM linked_ids WHERE key IS NOT NULL\n),\n"
            "counted AS (\n  SELECT "
            + ", ".join(map(quote_identifier, self._kinds))
            + ", count(*) AS events FROM events GROUP BY ALL\n)\n"
            "SELECT kind, CASE WHEN shared IS NOT NULL THEN 2 WHEN CAST(left(key, 2) AS INTEGER) < kind THEN 1"
            " ELSE 0 END, sum(events)\n"
            f"FROM decided linked_ids JOIN counted events ON {same}\nGROUP BY ALL ORDER BY ALL"
        )
        return {(kind, decision): events for kind, decision, events in rows}

    def totals(self, rows: list[Row]) -> dict[str, object]:
        """Ids and people, and the devices of people; those with most ids. None where there is no such kind."""
        kinds = self._kinds
        by = {(row["kind"], row["decision"]): row for row in rows}
        first, device = kinds[0], DEVICE if DEVICE in kinds else None

        def ids(kind: str | None, *decisions: str) -> int | None:
            return None if kind is None else sum(int(str(by[kind, one]["ids"])) for one in decisions)

        several = None
        if device is not None and not self._is_raw:
            ((several,),) = self._fetch(
                "SELECT count(*) FROM (\n"
                f"  SELECT key FROM linked_ids WHERE key <> '' AND c{kinds.index(device)} IS NOT NULL\n"
                f"  GROUP BY key HAVING count(DISTINCT c{kinds.index(device)}) > 1\n)"
            )
        return {
            "ids": sum(int(str(row["ids"])) for row in rows),
            "people": self._data.survey().people,
            "users": ids(first, *DECISIONS) if first == "user_id" else None,
            "devices": ids(device, *DECISIONS),
            "devices_without_login": ids(device, "person"),
            "devices_with_several_logins": ids(device, "shared"),
            "people_on_several_devices": several,
            "biggest": [] if self._is_raw else self._biggest(),
        }

    def _biggest(self) -> list[dict[str, object]]:
        """The people with most ids, equal ones by name: their kind, id and how many."""
        pairs = "\n  UNION\n".join(
            f"  SELECT key, {place} AS kind, c{place} AS id FROM linked_ids WHERE key <> '' AND c{place} IS NOT NULL"
            for place in range(len(self._kinds))
        )
        sql = (
            f"WITH pairs AS (\n{pairs}\n)\n"
            "SELECT people.kind, people.id, count(*) AS ids FROM pairs JOIN people USING (key)\n"
            f"GROUP BY ALL ORDER BY ids DESC, people.kind, people.id LIMIT {BIGGEST}"
        )
        self.statements.append(sql)
        return [
            {"kind": str(kind), "user": str(name), "ids": int(str(ids))}
            for kind, name, ids in self._data.fetch(sql)
        ]

    def codes(self, cell: str) -> NDArray[np.int64]:
        """The people of ``DECISION:KIND``, ascending: named by such an id, having one linked, or sharing one."""
        decision, kind = _parse_cell(cell)
        if kind not in self._kinds:
            raise QuestionError(f"--users {cell}: the data has no {kind}", f"it has {', '.join(self._kinds)}")
        place = self._kinds.index(kind)
        keys = {
            "person": f"SELECT {quote_literal(f'{place:02d}')} || id AS key FROM ids WHERE low IS NULL",
            "linked": "SELECT low AS key FROM ids WHERE low = high",
            "shared": "SELECT key FROM sharers",
        }[decision]
        parts = [
            batch["person"].astype(np.int64)
            for batch in self._data.stream(
                f"WITH ids AS (\n{_ids_of(place, self._is_raw)}\n), sharers AS (\n{_sharers(place)}\n),\n"
                f"chosen AS (\n{keys}\n)\n"
                "SELECT DISTINCT person FROM people JOIN chosen ON chosen.key = people.key"
            )
        ]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _ids_of(place: int, is_raw: bool) -> str:
    """Every id of a kind with the first and the last of the more trusted people it was seen beside.

    Raw ids belong to nobody else.
    """
    if is_raw:
        return f"  SELECT DISTINCT c{place} AS id, NULL AS low, NULL AS high FROM linked_ids WHERE c{place} IS NOT NULL"
    return (
        f"  SELECT c{place} AS id, min(key) FILTER (WHERE key < '{place:02d}' AND key <> '') AS low,\n"
        f"    max(key) FILTER (WHERE key < '{place:02d}' AND key <> '') AS high\n"
        f"  FROM linked_ids WHERE c{place} IS NOT NULL GROUP BY c{place}"
    )


def _sharers(place: int) -> str:
    """The people who share an id of a kind with others."""
    return (
        f"  SELECT DISTINCT key FROM linked_ids\n  WHERE key < '{place:02d}' AND key <> ''\n"
        f"    AND c{place} IN (SELECT id FROM ids WHERE low <> high)"
    )


def _parse_cell(cell: str) -> tuple[str, str]:
    decision, mark, kind = cell.partition(":")
    if decision not in DECISIONS or not mark or not kind:
        raise QuestionError(
            f"--users {cell[:60]!r} names no cell", f"write {', '.join(f'{one}:KIND' for one in DECISIONS)}"
        )
    return decision, kind
