"""What one person's screen says in words: the profile in a few lines or whole, an event, and an explained funnel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from queries.gutter import Told
from queries.question import Result, Row
from queries.ranges import duration
from workbench.glyphs import Glyphs
from workbench.text import NULL, clean, clip, width

_TOGETHER = (
    ("person", "seen"),
    ("visits", "channels"),
    ("orders", "refunds", "categories"),
    ("id",),
    ("coupons",),
)
"""The lines of a profile that stand together where there is little room, what says most first."""
_NAMED = ("orders", "refunds", "channels", "categories", "coupons")
"""Those whose text does not say what it is of."""

BEGIN = (
    "One person: profile, and everything they did, in order.",
    "",
    "Give any id of theirs (user, device, phone ...), or a condition on an event",
    "of theirs, as order_id = 'o123': of several people you choose one.",
)


_PLAIN = str.maketrans({"…": "~", "–": "-", "·": "-", "→": "->"})


def plain(text: str, glyphs: Glyphs) -> str:
    """The text with the signs that the terminal has."""
    return text.translate(_PLAIN) if glyphs.more.isascii() else text


def short_profile(lines: Sequence[tuple[str, str]], cells: int, rows: int, glyphs: Glyphs) -> list[str]:
    """A profile in at most so many lines, each clipped."""
    found: list[str] = []
    for labels in _TOGETHER[:rows]:
        parts = [f"{label} {text}" if label in _NAMED else text for label, text in lines if label in labels]
        if parts:
            found.append(plain(clip(f" {glyphs.dot} ".join(map(clean, parts)), cells), glyphs))
    return found


def whole_profile(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Every line of a profile with its label."""
    labels = max((width(label) for label, _ in lines), default=0)
    return [f"{label:<{labels}}  {clean(text)}" for label, text in lines]


def event_text(row: Row, told: Told | None) -> str:
    """Everything an event's row holds, a line each: what the timeline made of it first, then its properties."""
    session = row.get("session")
    named = f" {row['session_id']}" if row.get("session_id") else ""
    since = row.get("since_previous_seconds")
    lines = [
        ("time", row.get("ts")),
        ("event", row.get("event")),
        ("role", row.get("role")),
        ("session", "outside sessions" if session is None else f"{session}{named}"),
        ("after", duration(since) if isinstance(since, int | float) else None),
        ("id in use", f"{row['id_kind']} {row['id_used']}" if row.get("id_used") else None),
        ("cart", _cart(row)),
        *(("remark", remark) for remark in _list(row.get("remarks"))),
    ]
    if told is not None:
        steps = ", ".join(map(str, told.steps)) or "none"
        counted = "" if told.counted is None else f"; counts as step {told.counted}"
        lines.append(("funnel", f"matches step {steps}{counted}"))
        lines += [("", reason) for reason in told.reasons]
    properties = row.get("properties")
    held = properties if isinstance(properties, Mapping) else {}
    top = [(label, value) for label, value in lines if value is not None and value != ""]
    return "\n".join([*_columns(top), "", "properties", *_columns(held.items(), indent="  ")])


def _cart(row: Row) -> str | None:
    items = row.get("cart_items")
    if not isinstance(items, int):
        return None
    value = row.get("cart_value")
    worth = f", worth {value:,.2f}" if isinstance(value, int | float) else ""
    change = f"{row['cart_change']}: " if row.get("cart_change") else ""
    return f"{change}{items:,} piece{'' if items == 1 else 's'}{worth}"


def _columns(pairs: Iterable[tuple[str, object]], indent: str = "") -> list[str]:
    listed = [(clean(name), value) for name, value in pairs]
    names = max((width(name) for name, _ in listed), default=0)
    return [f"{indent}{name}{' ' * (names - width(name))}  {_value(value)}" for name, value in listed]


def _value(value: object) -> str:
    if isinstance(value, str):
        return clean(value)
    return NULL if value is None else clean(json.dumps(value, ensure_ascii=False, default=str))


def _list(values: object) -> list[object]:
    return values if isinstance(values, list) else []


# --- an explained funnel ----------------------------------------------------------------------------------


def verdict(result: Result) -> str:
    """Where an explained person stands and the nearest miss, in a line."""
    told = {note.code: note.text for note in result.notes}
    return "; ".join(told[code] for code in ("standing", "nearest-miss") if code in told)


def explain_text(result: Result) -> str:
    """An explained person: the verdict, the counted attempt, the misses, and every event with what it did."""
    totals = result.totals
    told = [note.text for note in result.notes if note.code in ("standing", "nearest-miss", "peer")]
    lines = [*told, "", str(result.rule), ""]
    attempt = totals.get("attempt")
    if isinstance(attempt, Mapping):
        lines.append("the attempt that counts")
        for step, ms in enumerate(_list(attempt["times"]), 1):
            lines.append(f"  step {step}  {NULL if ms is None else _short(ms)}")
        lines.append("")
    misses = _list(totals.get("near_misses"))
    if misses:
        lines.append("changes of the rule that would take them further")
        lines += [f"  {_miss(one)}" for one in misses if isinstance(one, Mapping)]
        lines.append("")
    lines.append("events, and what each did")
    rows = list(result.rows)
    names = min(max((width(clean(row["event"])) for row in rows), default=0), 24)
    for row in rows:
        event = clip(clean(row["event"]), names)
        lines.append(f"  {_short(row['ts'])}  {event}{' ' * (names - width(event))}  {row['reason']}")
    if not rows:
        lines.append("  none that the rule reads")
    return "\n".join(clean(line) for line in lines)


def _miss(one: Mapping[str, object]) -> str:
    value = "" if one["value"] is None else f" {one['value']}"
    return f"{one['option']}{value}: step {one['level']}, {one['status']}"


def _short(time: object) -> str:
    return str(time)[:19].replace("T", " ")
