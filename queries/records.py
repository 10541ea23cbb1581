"""Reads one person's events, each with what a timeline needs of it: roles, values, identity, properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from queries import people, ranges
from queries.expression import value_term
from queries.one_person import OnePerson, Sessioned
from queries.question import Column, Note, QuestionError, Schema
from queries.quoting import quote_identifier
from queries.steps import matches, parse_step
from queries.units import raw_id_sql

CART_ROLES = ("add", "remove", "order")
ROLES = (*CART_ROLES, "refund")
PRICES = ("price", "unit_price", "item_price", "properties.price", "properties.unit_price")
"""Properties that may hold the price of one piece; the first there is."""
CART_SIZES = ("cart_items", "cart_size", "cart_count", "properties.cart_items", "properties.cart_size")
"""Properties in which an export may say how much the cart holds."""
MOST_CART_EVENTS = 200_000
"""Past so many of a person with many events the running cart is not followed."""
LONGEST = 120
"""Characters of a value in what an event was about; properties carry it whole."""
_FEW = 3


@dataclass(frozen=True, slots=True)
class Record:
    """One event as a timeline reads it; money in minor units, time in UTC ms."""

    ts: int
    event: str
    source: int
    raw_id: object
    session_id: str | None
    session_number: int
    """Among those by gap where they take events in order; else 0."""
    shown: bool
    role: str | None
    id_kind: str | None
    id: str | None
    product: str | None
    product_name: str | None
    pieces: int
    line_value: int | None
    own_cart: int | None
    order_value: int | None
    values: tuple[object, ...]
    """Every other column's, as the engine gives it."""


class Reader:
    """The events of one person in their order, a range of time at once."""

    def __init__(
        self, one: OnePerson, data: Sessioned, shown: str, *, numbered: bool, asked: list[str]
    ) -> None:
        self._data, self._asked = data, asked
        self._schema = data.schema
        self._zone: ZoneInfo = ranges.zone(data.timezone)
        self.columns = [
            column for name, column in self._schema.columns.items() if name not in ("ts", "event")
        ]
        self._places = {column.name: place for place, column in enumerate(self.columns)}
        self.roles = roles(self._schema, data.timezone)
        self.price = _first_value(PRICES, data, "DOUBLE")
        self.size = _first_value(CART_SIZES, data, "BIGINT")
        self._junk = data.material().junk
        self._one = one
        self.shown, self._numbered = shown, numbered
        self._select = self._selected()

    def showing(self, shown: str) -> Reader:
        """The same with another condition for what is shown."""
        return Reader(self._one, self._data, shown, numbered=self._numbered, asked=self._asked)

    def records(self, start: int | None, end: int | None) -> Iterator[Record]:
        """The events from ``start`` on, before ``end``; None for all."""
        where = "" if start is None else f"WHERE e.ts >= {start} AND e.ts < {end}"
        yield from self._asked_for(where)

    def last_at(self, ts: int) -> Record:
        """The last event of a moment that has one."""
        return next(iter(self._asked_for(f"WHERE e.ts = {ts}", "DESC", "LIMIT 1")))

    def cart_records(self, end: int) -> Iterator[Record]:
        """The events before ``end`` that touch the cart."""
        yield from self._asked_for(f"WHERE e.ts < {end} AND ({self.touches_cart})")

    @property
    def touches_cart(self) -> str:
        """The events that touch the cart, as a condition."""
        parts = [f"({self.roles[role]})" for role in CART_ROLES if role in self.roles]
        if self.size is not None:
            parts.append(f"{self.size} IS NOT NULL")
        return " OR ".join(parts) or "FALSE"

    def cart_notes(self) -> list[Note]:
        """What the running cart cannot know here."""
        if "add" not in self.roles:
            return [Note("not-available", "the running cart is n/a: the role add is not mapped")]
        missing = [role for role in ("remove", "order") if role not in self.roles]
        notes = [
            Note("not-available", f"the running cart misses what leaves it: the role {role} is not mapped")
            for role in missing
        ]
        if self.price is None and "amount" not in self._schema.columns:
            text = "the cart's value is n/a: there is neither a property price nor a column amount"
            notes.append(Note("not-available", text))
        if self.size is None:
            text = f"a lost cart is not seen: no event says how much the cart holds ({', '.join(CART_SIZES[:3])})"
            notes.append(Note("not-available", text))
        return notes

    @property
    def has_cart(self) -> bool:
        """Whether events are known that fill a cart."""
        return "add" in self.roles

    def _selected(self) -> str:
        has = self._schema.columns
        ids = self._schema.ids
        role = " ".join(f"WHEN {sql} THEN '{name}'" for name, sql in self.roles.items())
        clean = [people.cleaned(name, self._junk) for name in ids]
        kind = " ".join(f"WHEN {one} IS NOT NULL THEN {place}" for place, one in enumerate(clean))
        parts = [
            "e.ts", "e.event", "e.source_index", raw_id_sql(ids),
            "e.session_id" if "session_id" in has else "NULL",
            "e.session_code" if self._numbered else "0",
            f"coalesce(({self.shown}), FALSE)",
            f"CASE {role} END" if role else "NULL",
            f"CASE {kind} END",
            f"coalesce({', '.join(clean)})",
            self.price or "NULL",
            self.size or "NULL",
            *(f"e.{quote_identifier(column.name)}" for column in self.columns),
        ]  # fmt: skip
        base = self._one.base
        if self._numbered:
            base = (
                f"(\n  SELECT b.*, coalesce(g.number, 0) AS session_code FROM {base} b\n"
                "  LEFT JOIN user_gap_events g ON g.place = b.place\n)"
            )
        return f"SELECT {', '.join(parts)}\nFROM {base} e"

    def _asked_for(self, where: str, direction: str = "", limit: str = "") -> Iterator[Record]:
        nulls = "DESC NULLS LAST" if direction else "NULLS FIRST"
        order = ", ".join(f"e.{name} {nulls}" for name in ("ts", *self._schema.order))
        sql = "\n".join(part for part in (self._select, where, f"ORDER BY {order}", limit) if part)
        self._asked.append(self._one.pasted(sql))
        for row in self._data.fetch(sql):
            values = row[12:]
            told = tuple(
                self._of(name, values) for name in ("product_name", "product_id", "quantity", "amount")
            )
            yield self.record(row[:12], told, values)

    def told(self, record: Record) -> tuple[str, Mapping[str, object]]:
        """What the event was about, and every property it has."""
        properties = {
            column.name: self._value(value, column)
            for column, value in zip(self.columns, record.values, strict=True)
            if value is not None
        }
        return _about(properties, self.columns), properties

    def _of(self, name: str, values: Sequence[object]) -> object:
        place = self._places.get(name)
        return None if place is None else values[place]

    def record(self, row: Sequence[object], told: Sequence[object], values: tuple[object, ...]) -> Record:
        """An event of the columns that are always read, of product, quantity and amount, and of all others."""
        ts, event, source, raw_id, session_id, number, shown, role, kind, id, price, size = row
        name, product, quantity, amount = told
        product = product or name
        pieces = quantity if isinstance(quantity, int) else 1
        value = amount if isinstance(amount, int) else None
        if isinstance(price, int | float):
            value = round(price * 10**self._schema.money_decimals) * pieces
        return Record(
            ts=int(str(ts)),
            event=str(event),
            source=int(str(source)),
            raw_id=raw_id,
            session_id=None if not session_id else str(session_id),
            session_number=int(str(number)),
            shown=bool(shown),
            role=None if role is None else str(role),
            id_kind=None if kind is None else self._schema.ids[int(str(kind))],
            id=None if id is None else str(id),
            product=None if product is None else str(product),
            product_name=None if name is None else str(name),
            pieces=pieces,
            line_value=value,
            own_cart=int(str(size)) if isinstance(size, int) else None,
            order_value=amount if role == "order" and isinstance(amount, int) else None,
            values=values,
        )

    def _value(self, value: object, column: Column) -> object:
        if column.kind == "money" and isinstance(value, int):
            decimals = self._schema.money_decimals
            return value / 10**decimals if decimals else value
        if column.kind == "time" and isinstance(value, int):
            return ranges.iso(value, self._zone)
        return value


def roles(schema: Schema, timezone: str) -> dict[str, str]:
    """The roles a timeline reads that are mapped, as conditions over an event."""
    return {
        role: f"({matches(parse_step(schema.roles[role]), schema, timezone)})"
        for role in ROLES
        if role in schema.roles
    }


def _first_value(names: Sequence[str], data: Sessioned, kind: str) -> str | None:
    """The first of some properties that the data has, as SQL of a number."""
    for name in names:
        holder = name.split(".")[0]
        if "." in name and (holder not in data.schema.columns or data.schema.columns[holder].kind != "json"):
            continue
        try:
            term = value_term(name, data.schema, timezone=data.timezone)
        except QuestionError:
            continue
        return f"TRY_CAST({term.sql} AS {kind})"
    return None


_ABOUT = (
    "search_term", "product_name", "product_id", "category", "order_id", "amount", "refund_amount", "coupon",
    "reason", "share_id", "slot", "content_id", "live_id",
)  # fmt: skip
"""What says most about an event, most first."""
_INSTEAD = {"product_id": "product_name", "category": "product_name"}
"""Said only where the other is missing."""
_PLACES = ("page", "url")
"""Said where there is nothing else."""


def _about(properties: Mapping[str, object], columns: Sequence[Column]) -> str:
    """A few values that say what the event was about; of an event without any known one, its own properties."""
    told: list[str] = []
    for name in _ABOUT:
        value = properties.get(name)
        if value is None or value == "" or _INSTEAD.get(name) in properties or len(told) == _FEW:
            continue
        told.append(f"{value:,.2f}" if isinstance(value, float) else _cut(value))
    if properties.get("search_term") and properties.get("result_count") is not None:
        told.insert(1, f"{properties['result_count']} results")
    if not told:
        told = [_cut(properties[name]) for name in _PLACES if properties.get(name)][:1]
    if not told:
        own = [column.name for column in columns if not column.canonical and column.name in properties]
        told = [f"{name} {_cut(properties[name])}" for name in own[:_FEW]]
    return " · ".join(told)


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
