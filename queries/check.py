"""Whether the data can be believed: every check of :mod:`queries.checks`, what it found, and who is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.checks import FILES, ROWS, SHOP, Check, Notes, Own, Select, Where
from queries.checks_days import DAYS
from queries.checks_ground import Asking, Finding
from queries.material import Inspected
from queries.question import EVERYTHING, Note, QuestionError, Result, Row, Scope, Shown
from queries.saved import SCOPE_KEYS, Saved
from queries.scope import meta, out_of_range
from queries.suggest import ask as asking_for
from queries.suggest import did_you_mean

CHECKS: tuple[Check, ...] = (*FILES, *ROWS, *DAYS, *SHOP)
"""In the order they are told. Of entries with one id the first that can be made is made."""
IDS = tuple(dict.fromkeys(check.id for check in CHECKS))
EXAMPLES = 3
SEVERITIES = ("error", "warning", "info")

_LAYOUT = (
    Shown("severity", "severity", null="–"),
    Shown("check", "check", names=True),
    Shown("status", "status"),
    Shown("count", "found", "integer"),
    Shown("counted", "of"),
    Shown("share", "share", "rate"),
    Shown("users", "users", "integer"),
    Shown("bends", "bends"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """All checks, or some; all rows, or those of checks that found something."""

    only: tuple[str, ...] = ()
    """Ids of checks; none is all."""
    all: bool = False
    """Rows of clean checks and of those that cannot be made too."""
    scope: Scope = EVERYTHING

    def __post_init__(self) -> None:
        for name in self.only:
            _known(name, "--only")
        if self.scope.who is not None:
            raise QuestionError("--who: rows that are nobody's would be left unchecked", "leave --who out")
        if self.scope.unit not in ("user", "raw"):
            raise QuestionError(f"--unit {self.scope.unit}: check knows user and raw")

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "check"

    def check_cell(self, cell: str) -> None:
        """A cell is the id of a check."""
        _known(cell, "--users")
        if self.only and cell not in self.only:
            raise QuestionError(f"--users {cell}: the check is not among --only")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        only = [part for name in self.only for part in ("--only", name)]
        return [self.report, *only, *(["--all"] if self.all else []), *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return {"only": list(self.only), "all": self.all, **self.scope.to_dict()}


def from_dict(saved: Mapping[str, object]) -> CheckRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    found = Saved(saved, ("only", "all", *SCOPE_KEYS))
    return CheckRequest(only=found.texts("only"), all=found.flag("all"), scope=found.scope())


def _known(name: str, option: str) -> None:
    if name not in IDS:
        near = did_you_mean(name, IDS)
        raise QuestionError(
            f"{option} {name}: there is no such check",
            asking_for(near) if near else f"there are {', '.join(IDS)}",
        )


def answer(request: CheckRequest, data: Inspected) -> Result:
    """One row a check: what it found, in how many rows, with whom; exact, over everything in scope."""
    asking = Asking(data, request.scope)
    wanted = request.only or IDS
    made = _made(asking, [check for check in CHECKS if check.id in wanted])
    counts = asking.within.counts(data)
    rows = [_row(asking, check, finding) for check, finding in made]
    found = [check for check, finding in made if finding.count]
    missing = sum(finding.reason is not None for _, finding in made)
    severities = [row["severity"] for row in rows]
    clean = len(made) - len(found) - missing
    return Result(
        report=request.report,
        request=request,
        rows=[row for row in rows if request.all or row["status"] == "found"],
        totals={
            **{f"{kind}s": severities.count(kind) for kind in SEVERITIES},
            "checks": len(made),
            "clean": clean,
            "not_applicable": missing,
            "events": counts[0],
            "users": counts[1],
        },
        notes=(*_others(asking, wanted), *out_of_range(data, asking.within, counts)),
        meta=meta(data, asking.within, counts),
        layout=tuple(shown for shown in _LAYOUT if request.all or shown.key != "status"),
        rule=_rule(made, clean, missing, request.all),
        people=_Behind(asking, {check.id: finding for check, finding in made}),
        sql=tuple(asking.statements),
    )


def statements(request: CheckRequest, data: Inspected) -> tuple[str, ...]:
    """The SQL the question asks, in order; what is asked depends on what is found, so it is asked."""
    return answer(request, data).sql


# --- making -----------------------------------------------------------------------------------------------


def _made(asking: Asking, checks: Sequence[Check]) -> list[tuple[Check, Finding]]:
    """Each check with what it found; of several of one id the first that can be made."""
    chosen: dict[str, tuple[Check, str | None]] = {}
    for check in checks:
        lacking = asking.lacking(check)
        if check.id not in chosen or (chosen[check.id][1] is not None and lacking is None):
            chosen[check.id] = (check, lacking)
    able = [check for check, lacking in chosen.values() if lacking is None]
    counted = _counted(asking, able)
    if any("check_equal_times" in check.ask.sql for check in able if isinstance(check.ask, Select)):
        _equal_times(asking)
    made = []
    for place, (check, lacking) in enumerate(chosen.values()):
        asking.data.progress(place / len(chosen), f"checking {check.id}")
        if lacking is not None:
            finding = Finding(0, "rows", reason=lacking)
        elif isinstance(check.ask, Own):
            finding = check.ask.find(asking)
        elif isinstance(check.ask, Notes):
            finding = _noted(asking, check.ask)
        else:
            finding = _select(asking, check, counted)
        made.append((check, _with_users(asking, finding)))
    return made


def _counted(asking: Asking, checks: Sequence[Check]) -> dict[tuple[str, str], int]:
    """Rows for which conditions are true, each relation read once: by relation and condition."""
    found: dict[tuple[str, str], int] = {}
    for relation, source in (("events", asking.events), ("raw", asking.raw)):
        conditions: dict[str, None] = {}
        for check in checks:
            if isinstance(check.ask, Where | Select) and check.ask.over == relation:
                conditions[check.ask.of] = None
                if isinstance(check.ask, Where):
                    conditions[check.ask.condition] = None
        if conditions:
            terms = ",\n  ".join(f"count(*) FILTER ({asking.sql(one)})" for one in conditions)
            ((*counts,),) = asking.fetch(f"SELECT {terms}\nFROM {source}")
            found |= {(relation, one): int(str(n)) for one, n in zip(conditions, counts, strict=True)}
    return found


def _equal_times(asking: Asking) -> None:
    """Events that share person and time with another, with a fingerprint of their content."""
    asking.remember(
        "check_equal_times",
        f"WITH shared AS (\n  SELECT {asking.moment} FROM {asking.events} GROUP BY ALL HAVING count(*) > 1\n)\n"
        f"SELECT place, ts, event, person, {asking.fingerprint} AS fingerprint\n"
        f"FROM {asking.events} SEMI JOIN shared USING ({asking.moment})",
    )


def _select(asking: Asking, check: Check, counted: Mapping[tuple[str, str], int]) -> Finding:
    ask = check.ask
    assert isinstance(ask, Where | Select)
    of = counted.get((ask.over, ask.of))
    if isinstance(ask, Where):
        if not counted[ask.over, ask.condition]:
            return Finding(0, "rows", 0, of)
        person = "person" if ask.over == "events" else "NULL AS person"
        source = asking.events if ask.over == "events" else asking.raw
        sql = (
            f"SELECT place, ts, event, {person}, {asking.sql(ask.detail)} AS detail\n"
            f"FROM {source}\nWHERE {asking.sql(ask.condition)}"
        )
    else:
        if ask.probe is not None and not asking.fetch(asking.sql(ask.probe)):
            return Finding(0, "rows", 0, of)
        sql = asking.sql(ask.sql)
        if ask.over == "items":
            of = int(str(asking.fetch("SELECT count(*) FROM items")[0][0]))
    return _summary(asking, check, sql, of, ask.over)


def _summary(asking: Asking, check: Check, sql: str, of: int | None, over: str) -> Finding:
    """Counts the rows of a SELECT; their people and some examples where there are any."""
    example = "{place: place, ts: ts, event: event, person: person, detail: detail}"
    ((count, first),) = asking.fetch(
        f"WITH offending AS (\n{sql}\n)\nSELECT count(*), min({example}, {EXAMPLES})\nFROM offending"
    )
    rows = int(str(count))
    if rows < check.at_least or (of and rows < check.least * of):
        return Finding(0, "rows", rows, of)
    offending = {
        "events": f"SELECT person FROM (\n{sql}\n)",
        "raw": f"SELECT events.person FROM (\n{sql}\n) AS offending JOIN events ON events.place = offending.place",
    }.get(over)
    assert isinstance(first, list)
    return Finding(rows, "rows", rows, of, None, _examples(asking, first), offending)


def _examples(asking: Asking, found: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    people = [one["person"] for one in found]
    names = asking.names_of([person for person in people if isinstance(person, int)])
    told = []
    for one, person in zip(found, people, strict=True):
        ts = one["ts"]
        parts = [
            one["event"],
            _time(asking, ts) if isinstance(ts, int) else None,
            names.get(person) if isinstance(person, int) else None,
            one["detail"],
        ]
        told.append(" ".join(str(part) for part in parts if part not in (None, "")) or f"row {one['place']}")
    return tuple(told)


def _time(asking: Asking, ms: int) -> str:
    try:
        return ranges.iso(ms, asking.zone)[:19].replace("T", " ")
    except OverflowError:
        return f"{ms} ms"


def _noted(asking: Asking, ask: Notes) -> Finding:
    """What the survey noted when it opened the files."""
    notes = [note for note in asking.survey.notes if note.code in ask.codes]
    minor = bool(notes) and all(note.code in ask.minor for note in notes)
    return Finding(
        sum(note.count or 1 for note in notes),
        ask.counted,
        examples=tuple(note.text for note in notes),
        severity="info" if minor else None,
    )


def _with_users(asking: Asking, finding: Finding) -> Finding:
    if not finding.count or finding.offending is None:
        return finding
    ((users,),) = asking.fetch(f"SELECT count(DISTINCT person) FROM (\n{finding.offending}\n)")
    # Rows that are no valid event are nobody's that a report counts, which is not to say that nobody made them.
    return replace(finding, users=int(str(users)) or None)


# --- telling ----------------------------------------------------------------------------------------------


def _row(asking: Asking, check: Check, finding: Finding) -> Row:
    status = "n/a" if finding.reason is not None else "found" if finding.count else "clean"
    found = status == "found"
    return {
        "check": check.id,
        # A condition on the severity is one on what was found: a clean check has none.
        "severity": (finding.severity or check.severity) if found else None,
        "status": status,
        "reason": finding.reason,
        "count": None if finding.reason is not None else finding.count,
        "counted": finding.counted,
        "rows": finding.rows,
        "of": finding.of,
        "share": finding.rows / finding.of if finding.rows is not None and finding.of else None,
        "users": finding.users,
        "examples": list(finding.examples),
        "bends": list(check.bends),
        "advice": check.advice,
        "rule": check.rule,
    }


def _rule(made: Sequence[tuple[Check, Finding]], clean: int, missing: int, every: bool) -> str:
    told = [
        f"{check.id}, like {'; '.join(finding.examples)}. Rule: {check.rule}. What to do: {check.advice}."
        for check, finding in made
        if finding.count
    ]
    rest = "" if every else "; --all lists them"
    told.append(
        f"{len(made)} checks: {len(told)} found something, {clean} clean, {missing} not applicable{rest}"
    )
    return "\n".join(told)


def _others(asking: Asking, wanted: Sequence[str]) -> list[Note]:
    """The survey's notes but those that a check of the answer tells itself; what is set aside stays for --strict."""
    own = {
        code
        for check in CHECKS
        if check.id in wanted and isinstance(check.ask, Notes)
        for code in check.ask.codes
    }
    return [note for note in asking.survey.notes if note.sets_aside or note.code not in own]


class _Behind:
    """The people behind each check."""

    def __init__(self, asking: Asking, findings: Mapping[str, Finding]) -> None:
        self._asking, self._findings = asking, findings

    def codes(self, cell: str) -> NDArray[np.int64]:
        """The people of the rows a check found, ascending; of a clean check nobody.

        Raises :class:`QuestionError` for a check that could not be made, or that finds no rows of people.
        """
        finding = self._findings[cell]
        if finding.reason is not None:
            raise QuestionError(f"--users {cell}: the check is not applicable: {finding.reason}")
        if not finding.count:
            return np.empty(0, np.int64)
        if finding.offending is None:
            raise QuestionError(f"--users {cell}: it finds {finding.counted}, which are nobody's")
        if "check_equal_times" in finding.offending:
            # Another asking of the checks may have put its own events there since.
            _equal_times(self._asking)
        parts = [
            batch["person"].astype(np.int64)
            for batch in self._asking.data.stream(
                f"SELECT DISTINCT person FROM (\n{finding.offending}\n) WHERE person IS NOT NULL"
            )
        ]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)
