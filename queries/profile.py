"""Who one person is in the data: since when, by which ids, from where, what they bought.

What the export cannot tell is null, with a note that names the role or the column: unknown is not zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

from queries import ranges
from queries.one_person import OnePerson, Sessioned
from queries.person_events import KEPT, ORDER, Events
from queries.person_figures import Figures, first_channel, order_figures
from queries.question import Note
from queries.quoting import quote_identifier, quote_literal
from queries.records import Reader
from queries.seen import Seen, Session, Sessions, Span
from queries.timeline import major

TOP = 5
"""Categories listed, the most frequent."""
MOST_CHECKED = 200
"""Ids of one kind that are looked up for being shared."""
DEVICE = "anonymous_id"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person's profile says, their ids with their span, and what could not be said."""

    values: dict[str, object]
    ids: list[dict[str, object]]
    notes: tuple[Note, ...]


class Profiler:
    """Asks the figures of a profile over all of the person's events; ``asked`` gets the statements."""

    def __init__(
        self, one: OnePerson, events: Events | None, data: Sessioned, reader: Reader, asked: list[str]
    ) -> None:
        self._one, self._events, self._data, self._asked = one, events, data, asked
        self._roles, self._touches_cart = reader.roles, reader.touches_cart
        self.cart_events = 0
        """Events that touch the cart, once the profile is made."""
        self._zone = ranges.zone(data.timezone)
        self._columns = data.schema.columns
        self._missing: dict[str, str] = {}

    def profile(self, found: Seen, sessions: Sessions) -> Profile:
        """Everything at once; what was seen and the sessions are the person's."""
        person, visits = self._one.person, sessions.all
        whole = reduce(Span.with_, (bucket.all for bucket in found.buckets)) if found.buckets else None
        ids = self._ids(found)
        devices = sum(one["kind"] == DEVICE for one in ids) if DEVICE in self._data.schema.ids else None
        if devices is None:
            self._missing["devices"] = f"no column {DEVICE}"
        values: dict[str, object] = {
            "user": person.name,
            "kind": person.kind,
            "first_seen": None if whole is None else self._time(whole.first),
            "last_seen": None if whole is None else self._time(whole.last),
            "events": 0 if whole is None else whole.events,
            "days": self._days(found),
            "sessions": len(visits),
            "devices": devices,
            "channel_first": self._channel(found, visits[:1]),
            "channel_last": self._channel(found, visits[-1:]),
            **self._orders(),
            "categories": self._top("category", "TRUE", "events"),
            "coupons": self._coupons(),
        }
        notes = tuple(
            Note("not-available", f"{what.replace('_', ' ')} n/a: {why}")
            for what, why in self._missing.items()
        )
        return Profile(values, ids, notes)

    def _days(self, found: Seen) -> int:
        """The days with an event."""
        days, following = 0, None
        for bucket in found.buckets:
            if following is None or bucket.all.first >= following:
                days += 1
                day = ranges.day_of(bucket.all.first, self._zone)
                following = ranges.date_start(day + timedelta(days=1), self._zone)
        return days

    def _fetch(self, sql: str) -> list[tuple[object, ...]]:
        self._asked.append(self._one.pasted(sql))
        return self._data.fetch(sql)

    def _time(self, ms: object) -> str | None:
        return ranges.iso(ms, self._zone) if isinstance(ms, int) else None

    def _lacks(self, what: str, *, role: str | None = None, column: str | None = None) -> bool:
        """Whether a figure cannot be told, and remembers why."""
        if role is not None and role not in self._roles:
            self._missing[what] = f"the role {role} is not mapped"
        elif column is not None and column not in self._columns:
            self._missing[what] = f"no column {column}"
        return what in self._missing

    def _orders(self) -> dict[str, object]:
        """Orders, what they cost, and what came back; how many events touch the cart is remembered."""
        has_orders = not self._lacks("orders", role="order")
        has_amount = not self._lacks("amount", role="order", column="amount")
        has_refunds = not self._lacks("refunds", role="refund")
        has_refunded = not self._lacks("refund_amount", role="refund", column="refund_amount")
        if self._events is not None:
            figures = order_figures(self._events)
        else:
            parts = [
                orders_sql(self._roles["order"], "order_id" in self._columns) if has_orders else "NULL",
                f"sum(amount) FILTER (WHERE {self._roles['order']})" if has_amount else "NULL",
                f"count(*) FILTER (WHERE {self._roles['refund']})" if has_refunds else "NULL",
                f"sum(refund_amount) FILTER (WHERE {self._roles['refund']})" if has_refunded else "NULL",
                f"count(*) FILTER (WHERE {self._touches_cart})",
            ]
            (found,) = self._fetch(f"SELECT {', '.join(parts)} FROM {self._one.base}")
            figures = Figures(*(_int(value) for value in found))
        self.cart_events = figures.cart_events or 0
        decimals = self._data.schema.money_decimals

        def money(minor: int | None, events: int | None, known: bool) -> int | float | None:
            if not known:
                return None
            # Nothing bought is nothing paid; bought for amounts nobody wrote down is not known.
            return major(0 if minor is None and not events else minor, decimals)

        return {
            "orders": figures.orders if has_orders else None,
            "amount": money(figures.amount, figures.orders, has_amount),
            "refunds": figures.refunds if has_refunds else None,
            "refund_amount": money(figures.refunded, figures.refunds, has_refunded),
        }

    def _coupons(self) -> list[dict[str, object]] | None:
        if self._lacks("coupons", role="order", column="coupon"):
            return None
        return self._top("coupon", self._roles["order"], "orders", most=None)

    def _top(
        self, column: str, condition: str, counted: str, most: int | None = TOP
    ) -> list[dict[str, object]] | None:
        """The most frequent values of a column, equal ones by name."""
        if self._lacks({"category": "categories"}.get(column, f"{column}s"), column=column):
            return None
        if self._events is not None:
            bit = ORDER if column == "coupon" else KEPT
            return [
                {column: value, counted: count} for value, count in self._events.counts(column, bit)[:most]
            ]
        limit = "" if most is None else f" LIMIT {most}"
        rows = self._fetch(
            f"SELECT {column}, count(*) FROM {self._one.base}\nWHERE {column} <> '' AND {condition}\n"
            f"GROUP BY {column} ORDER BY count(*) DESC, {column}{limit}"
        )
        return [{column: str(value), counted: _int(count)} for value, count in rows]

    def _channel(self, found: Seen, visits: Sequence[Session]) -> str | None:
        """The first channel said from a visit's first event to its last."""
        if self._lacks("channels", column="channel") or not visits:
            return None
        if self._events is not None:
            return first_channel(self._events, visits[0].first, visits[0].last)
        order = ", ".join(("ts", *self._data.schema.order))
        for bucket in found.buckets:
            if (
                bucket.channel is None
                or bucket.channel[1] < visits[0].first
                or bucket.channel[0] > visits[0].last
            ):
                continue
            # Quarter by quarter: a bot's visit may be months of events.
            low, high = max(visits[0].first, bucket.channel[0]), min(visits[0].last, bucket.channel[1])
            rows = self._fetch(
                f"SELECT channel FROM {self._one.base}\n"
                f"WHERE ts >= {low} AND ts <= {high} AND channel <> ''\nORDER BY {order} LIMIT 1"
            )
            if rows:
                return str(rows[0][0])
        return None

    def _ids(self, seen: Seen) -> list[dict[str, object]]:
        """Every id on the person's events, in order of trust and time, with its span."""
        kinds = self._data.schema.ids
        shared = self._shared(seen.ids)
        return [
            {
                "kind": kinds[place],
                "id": id,
                "first_seen": self._time(span.first),
                "last_seen": self._time(span.last),
                "events": span.events,
                "people": shared.get((place, id)),
            }
            for (place, id), span in sorted(
                seen.ids.items(), key=lambda one: (one[0][0], one[1].first, one[0][1])
            )
        ]

    def _shared(self, ids: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
        """How many people each id, of a kind by its place, belongs to; none of a kind with too many to look up."""
        of_kind: dict[int, list[str]] = {}
        for place, id in ids:
            of_kind.setdefault(place, []).append(id)
        few = {place: some for place, some in of_kind.items() if len(some) <= MOST_CHECKED}
        if not few:
            return {}
        parts = []
        for place, some in sorted(few.items()):
            name = quote_identifier(self._data.schema.ids[place])
            listed = ", ".join(quote_literal(id) for id in some)
            parts.append(
                f"SELECT {place}, {name}, count(DISTINCT person) FROM raw_people\n"
                f"WHERE {name} IN ({listed}) AND person IS NOT NULL GROUP BY {name}"
            )
        sql = "\nUNION ALL\n".join(parts)
        self._asked.append(sql)
        near = self._one.person.near
        if near is None:
            return {(int(str(place)), str(id)): int(str(count)) for place, id, count in self._data.fetch(sql)}
        theirs = {
            (place, one.clean[place], one.person) for one in near if one.person is not None for place in few
        }
        return Counter((place, id) for place, id, _ in theirs if id is not None)


def orders_sql(is_order: str, has_ids: bool) -> str:
    """How many orders: those with an id once each, those without one each for itself."""
    if not has_ids:
        return f"count(*) FILTER (WHERE {is_order})"
    return (
        f"count(DISTINCT CASE WHEN {is_order} THEN nullif(order_id, '') END)\n"
        f"  + count(*) FILTER (WHERE {is_order} AND coalesce(order_id, '') = '')"
    )


def _int(value: object) -> int | None:
    return None if value is None else int(str(value))
