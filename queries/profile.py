"""Who one person is in the data: since when, by which ids, from where, what they bought.

What the export cannot tell is null, with a note that names the role or the column: unknown is not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from queries import ranges
from queries.one_person import OnePerson, Sessioned
from queries.question import Note
from queries.quoting import quote_identifier, quote_literal
from queries.records import Reader
from queries.timeline import major
from queries.visits import Seen, Session, Sessions, Span

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

    def __init__(self, one: OnePerson, data: Sessioned, reader: Reader, asked: list[str]) -> None:
        self._one, self._data, self._asked = one, data, asked
        self._roles, self._touches_cart = reader.roles, reader.touches_cart
        self.cart_events: object = 0
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
            "days": len({ranges.day_of(bucket.all.first, self._zone) for bucket in found.buckets}),
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

    def _fetch(self, sql: str) -> list[tuple[object, ...]]:
        self._asked.append(sql)
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
        parts = [
            orders_sql(self._roles["order"], "order_id" in self._columns) if has_orders else "NULL",
            f"sum(amount) FILTER (WHERE {self._roles['order']})" if has_amount else "NULL",
            f"count(*) FILTER (WHERE {self._roles['refund']})" if has_refunds else "NULL",
            f"sum(refund_amount) FILTER (WHERE {self._roles['refund']})" if has_refunded else "NULL",
        ]
        parts.append(f"count(*) FILTER (WHERE {self._touches_cart})")
        ((orders, amount, refunds, refunded, self.cart_events),) = self._fetch(
            f"SELECT {', '.join(parts)} FROM {self._one.base}"
        )
        decimals = self._data.schema.money_decimals

        def money(value: object, events: object, known: bool) -> int | float | None:
            # Nothing bought is nothing paid; bought for amounts nobody wrote down is not known.
            minor = _int(value) if value is not None else 0 if known and not events else None
            return major(minor, decimals)

        return {
            "orders": _int(orders),
            "amount": money(amount, orders, has_amount),
            "refunds": _int(refunds),
            "refund_amount": money(refunded, refunds, has_refunded),
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
        shared = {
            place: self._shared(place, [id for at, id in seen.ids if at == place])
            for place in range(len(kinds))
        }
        return [
            {
                "kind": kinds[place],
                "id": id,
                "first_seen": self._time(span.first),
                "last_seen": self._time(span.last),
                "events": span.events,
                "people": shared[place].get(id),
            }
            for (place, id), span in sorted(
                seen.ids.items(), key=lambda one: (one[0][0], one[1].first, one[0][1])
            )
        ]

    def _shared(self, place: int, ids: Sequence[str]) -> dict[str, int]:
        """How many people each id belongs to; nothing where they are too many to look up."""
        if not ids or len(ids) > MOST_CHECKED:
            return {}
        name = quote_identifier(self._data.schema.ids[place])
        listed = ", ".join(quote_literal(id) for id in ids)
        rows = self._fetch(
            f"SELECT {name}, count(DISTINCT person) FROM raw_people\n"
            f"WHERE {name} IN ({listed}) AND person IS NOT NULL GROUP BY {name}"
        )
        return {str(id): int(str(count)) for id, count in rows}


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
