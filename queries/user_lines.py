"""What a page says of one person in words: the profile line by line, and the headings of days and sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from queries import ranges
from queries.profile import Profile
from queries.seen import Session

FEW = 6
"""Ids, categories and coupons a line names; how many more there are is said."""
NONE = "–"


def profile_lines(profile: Profile) -> tuple[tuple[str, str], ...]:
    """Label and text of each line."""
    of = profile.values
    first, last = _day(of["first_seen"]), _day(of["last_seen"])
    lines = [
        ("person", f"{of['user']} ({of['kind']})"),
        ("seen", f"{first} to {last}: {_count(of['events'], 'event')} on {_count(of['days'], 'day')}"),
    ]
    lines += [("id", _id(one)) for one in profile.ids[:FEW]]
    if len(profile.ids) > FEW:
        lines.append(("id", f"and {len(profile.ids) - FEW:,} more; --json has all"))
    lines += [
        ("visits", f"{_count(of['sessions'], 'session')} on {_count(of['devices'], 'device')}"),
        (
            "channels",
            f"{_text(of['channel_first'])} at the first visit, {_text(of['channel_last'])} at the last",
        ),
        ("orders", f"{_number(of['orders'])}, amount {_money(of['amount'])}"),
        ("refunds", f"{_number(of['refunds'])}, amount {_money(of['refund_amount'])}"),
        ("categories", _listed(of["categories"], "category", "events")),
        ("coupons", _listed(of["coupons"], "coupon", "orders")),
    ]
    return tuple(lines)


def day_heading(value: object) -> str:
    """A day with its weekday."""
    return f"{value} {date.fromisoformat(str(value)):%a}"


def session_heading(number: object, sessions: Mapping[int, Session], zone: ZoneInfo) -> str:
    """When a session was, how much it holds, and how long nothing happened before it."""
    session = sessions.get(number) if isinstance(number, int) else None
    if session is None:
        return "outside sessions"
    first, last = (ranges.iso(ms, zone)[11:16] for ms in (session.first, session.last))
    before = sessions.get(session.number - 1)
    gap = session.first - before.last if before is not None else 0
    quiet = f", {ranges.duration(gap / 1000)} after the last" if gap > 0 else ""
    name = "" if session.id is None else f" {session.id}"
    return f"session {session.number}{name}: {first}–{last}, {_count(session.events, 'event')}{quiet}"


def _id(one: Mapping[str, object]) -> str:
    several = one["people"]
    shared = f", shared by {several} people" if isinstance(several, int) and several > 1 else ""
    first, last = _day(one["first_seen"]), _day(one["last_seen"])
    span = first if first == last else f"{first} to {last}"
    return f"{one['kind']} {one['id']}: {span}, {_count(one['events'], 'event')}{shared}"


def _day(value: object) -> str:
    return NONE if value is None else str(value)[:10]


def _text(value: object) -> str:
    return NONE if value is None else str(value)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else NONE


def _money(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else _number(value)


def _count(value: object, word: str) -> str:
    return f"{_number(value)} {word}{'' if value == 1 else 's'}"


def _listed(values: object, key: str, counted: str) -> str:
    if not isinstance(values, list):
        return NONE
    told = [f"{one[key]} ({one[counted]:,})" for one in values[:FEW]]
    more = f" and {len(values) - FEW} more" if len(values) > FEW else ""
    return ", ".join(told) + more if told else "none"
