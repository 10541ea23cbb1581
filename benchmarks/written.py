"""The table of a benchmark's findings, for people at a terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from measuring import Found, Limit, Measured


def told(found: Found) -> str:
    """A row as text: contenders, targets, what would make it faster."""
    lines = [found.name]
    lines += [f"  {_contender(name, one, found)}" for name, one in found.measured.items()]
    lines += [f"  {name}: {value:,.3f}" for name, value in found.figures.items()]
    lines += [f"  target {_target(limit, found)}" for limit in found.limits]
    lines += [f"  {remark}" for remark in (*_levels(found), *found.remarks)]
    lines += [f"  faster: {found.faster}"] if found.faster else []
    return "\n".join(lines)


def _contender(name: str, one: Measured, found: Found) -> str:
    first = next(iter(found.measured.values()))
    ratio = "" if one is first else f"   ratio {_short(first.spread.median / one.spread.median)}"
    memory = f"   peak {one.peak >> 20:,} MB, private {one.private >> 20:,} MB" if one.peak else ""
    path = f"   path {one.path}" if one.path else ""
    return f"{name:16} {one.spread} s{ratio}{memory}{path}"


def _target(limit: Limit, found: Found) -> str:
    value = found.value(limit)
    measured = "" if value is None else f"{_short(value)}, "
    return f"{_allowed(limit)}: {measured}{found.verdict(limit)}"


def _allowed(limit: Limit) -> str:
    space = " " if limit.unit else ""
    return f"{limit.of} ≤ {limit.at_most:g}{space}{limit.unit}"


def _levels(found: Found) -> list[str]:
    """Whether all gave the same numbers."""
    if not any(one.levels for one in found.measured.values()):
        return []
    unlike = {name: one.levels for name, one in found.measured.items() if not one.agrees}
    (first, ours), *_ = found.measured.items()
    said = [f"levels {' '.join(str(level) for level in ours.levels)}"]
    if unlike:
        said += [f"NOT THE SAME, {name}: {' '.join(map(str, levels))}" for name, levels in unlike.items()]
        said.append(f"{first} is right where times tie; ClickHouse reads equal times in no order")
    return said


def _short(value: float) -> str:
    """Three figures that count."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def markdown(rows: Sequence[Found], head: str) -> str:
    """All rows as a table of the documentation, what would make them faster below it."""
    lines = [
        head,
        "",
        "| operation | seconds: min, median, max | memory | against | targets |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(_cells(found))} |" for found in rows]
    lines += ["", "What would make them faster:", ""]
    lines += [f"- {found.name}: {found.faster}" for found in rows if found.faster]
    return "\n".join(lines) + "\n"


def _cells(found: Found) -> tuple[str, ...]:
    named = list(found.measured.items())
    if not named:
        said = _targets(found) or "; ".join(found.remarks)
        return found.name, _figures(found) or "–", "–", "–", said
    (_, first), *others = named
    memory = f"{first.private >> 20:,} MB private, {first.peak >> 20:,} MB in all" if first.peak else "–"
    against = "; ".join(
        f"{name} {one.spread.median:.3f} ({_short(first.spread.median / one.spread.median)}"
        + (f", {one.peak >> 20:,} MB)" if one.peak else ")")
        for name, one in others
    )
    seconds = "; ".join(filter(None, (str(first.spread), _figures(found))))
    path = f" ({first.path})" if first.path else ""
    return (
        found.name + path,
        seconds,
        memory,
        against or "–",
        _targets(found),
    )


def _figures(found: Found) -> str:
    return "; ".join(f"{name} {_short(value)}" for name, value in found.figures.items())


def _targets(found: Found) -> str:
    return "; ".join(_target(limit, found) for limit in found.limits)
