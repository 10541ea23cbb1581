"""One person's events as rows: session, time since the event before, running cart, the identity in use.

A *fold* reads the events in order and gives each its row. Rows are made stretch by stretch as they are read, each from
the state the events before it left, so that the first page of a bot comes without the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from queries import ranges
from queries.cart import Cart, Change, Line
from queries.lazy_rows import LazyRows
from queries.question import Row
from queries.records import Reader, Record
from queries.seen import Bucket, Session, Sessions

FIRST_STRETCH, STRETCH = 2_000, 50_000
"""Events read at once of a person with many: for the first page, and after it."""
CONTENT = 20
"""Lines of the cart a row lists."""


@dataclass(slots=True)
class _Id:
    """An identity in use and where the one before it ended."""

    kind: str | None
    id: str | None
    before: tuple[str | None, str | None] | None = None
    changed_at: int | None = None


@dataclass(slots=True)
class _Known:
    """Where the cart was last known to hold something."""

    ts: int
    event: str
    session: int | None
    left: tuple[int, str] | None
    """The last event of that session and its time, where it was read."""
    id: str | None


class Fold:
    """The state between two events of one person; gives each event its row."""

    def __init__(self, sessions: Sessions, zone: ZoneInfo, decimals: int, *, has_cart: bool) -> None:
        self._sessions, self._zone, self._decimals = sessions, zone, decimals
        self.cart: Cart | None = Cart() if has_cart else None
        self._before: int | None = None
        self._id: _Id | None = None
        self._known: _Known | None = None

    def copy(self) -> Fold:
        """The same state, to go on from."""
        made = Fold(self._sessions, self._zone, self._decimals, has_cart=False)
        made.cart = None if self.cart is None else self.cart.copy()
        made._before = self._before
        made._id = None if self._id is None else replace(self._id)
        made._known = None if self._known is None else replace(self._known)
        return made

    def pass_by(self, record: Record) -> None:
        """Goes on past an event whose row nobody reads."""
        self._before = record.ts
        self._identify(record)
        self.change(record, self._session(record))

    @property
    def watched(self) -> int | None:
        """The session of which the last event is to be known."""
        return None if self._known is None else self._known.session

    def skip(self, ts: int, left: tuple[int, str] | None) -> None:
        """Goes on past events that touch no cart, with the same id, the last one at ``ts``.

        ``left`` is the last of them in the session that is watched: its time and its name.
        """
        self._before = ts
        if left is not None and self._known is not None:
            self._known.left = left

    def after(self, record: Record) -> None:
        """Goes on as if this had been the event before, the cart apart.

        What only the events that were left out could tell is not known from here.
        """
        self._before = record.ts
        self._identify(record)
        if self._id is not None:
            self._id.changed_at = None
        if self._known is not None:
            self._known.left = None

    def row(self, record: Record, about: str, properties: Mapping[str, object]) -> Row:
        """The row of the next event, of what it was about, with its properties."""
        session = self._session(record)
        since = None if self._before is None else (record.ts - self._before) / 1000
        self._before = record.ts
        remarks: list[str] = []
        is_changed = self._identify(record)
        if is_changed and self._id is not None and self._id.before is not None:
            remarks.append(f"identity: {_called(self._id.before)} → {_called((self._id.kind, self._id.id))}")
        change, lost = self.change(record, session)
        if lost is not None and change is not None:
            remarks.append(self._told(change, lost))
        return {
            "ts": self._time(record.ts),
            "day": ranges.day_of(record.ts, self._zone).isoformat(),
            "event": record.event,
            "role": record.role,
            "session": None if session is None else session.number,
            "session_id": None if session is None else session.id,
            "since_previous_seconds": since,
            "about": about,
            **self._cart_keys(change, lost),
            "order_value": self._money(record.order_value),
            "id_used": record.id,
            "id_kind": record.id_kind,
            "id_changed": is_changed,
            "properties": properties,
            "remarks": remarks,
        }

    def _session(self, record: Record) -> Session | None:
        return self._sessions.of(
            record.source, record.raw_id, record.session_id, record.ts, record.session_number
        )

    def _identify(self, record: Record) -> bool:
        """Takes the event's id as the one in use; whether it is another than before."""
        held = self._id
        if held is not None and (held.kind, held.id) == (record.id_kind, record.id):
            return False
        before = None if held is None else (held.kind, held.id)
        self._id = _Id(record.id_kind, record.id, before, record.ts)
        return held is not None

    def change(
        self, record: Record, session: Session | None
    ) -> tuple[Change | None, Mapping[str, object] | None]:
        """What the event did to the cart, and, where it was found empty, what is known of how."""
        if self.cart is None:
            return None, None
        change = self._changed(self.cart, record)
        known, number = self._known, None if session is None else session.number
        if known is not None and number is not None and number == known.session:
            known.left = record.ts, record.event
        if change is not None and change.kind == "lost":
            self._known = None
            return change, None if known is None else self._lost(known, record)
        if self.cart.lines and (change is not None or (record.own_cart or 0) > 0):
            self._known = _Known(record.ts, record.event, number, (record.ts, record.event), record.id)
        return change, None

    @staticmethod
    def _changed(cart: Cart, record: Record) -> Change | None:
        if record.role == "add":
            return cart.add(Line(record.product, record.product_name, record.pieces, record.line_value))
        if record.role == "remove":
            return cart.remove(record.product, record.pieces)
        if record.role == "order":
            return cart.order(record.product)
        return cart.lose() if record.own_cart == 0 else None

    def _lost(self, known: _Known, record: Record) -> Mapping[str, object]:
        changed_at = None
        if known.id != record.id and self._id is not None and (self._id.changed_at or 0) >= known.ts:
            changed_at = self._id.changed_at
        return {
            "last_known": self._time(known.ts),
            "last_known_event": known.event,
            "left": None if known.left is None else self._time(known.left[0]),
            "left_event": None if known.left is None else known.left[1],
            "id_before": known.id,
            "id_after": record.id,
            "id_changed_at": None if changed_at is None else self._time(changed_at),
        }

    def _told(self, change: Change, lost: Mapping[str, object]) -> str:
        value = self._money(change.value)
        worth = "" if value is None else f" worth {value:,.{self._decimals}f}"
        pieces = f"{change.pieces:,} piece{'' if change.pieces == 1 else 's'}"
        left = "" if lost["left"] is None else f", left {_short(lost['left'])} at {lost['left_event']}"
        text = (
            f"cart lost: {pieces}{worth}; last known {_short(lost['last_known'])} "
            f"({lost['last_known_event']}){left}"
        )
        if lost["id_before"] == lost["id_after"]:
            return f"{text}; the identity is the same"
        at = "" if lost["id_changed_at"] is None else f" at {_short(lost['id_changed_at'])}"
        return f"{text}; the identity changed{at}: {lost['id_before']} → {lost['id_after']}"

    def _cart_keys(self, change: Change | None, lost: Mapping[str, object] | None) -> dict[str, object]:
        cart = self.cart
        return {
            "cart_change": None if change is None else change.kind,
            "cart_changed": None if change is None else [self._line(line) for line in change.lines],
            "cart_lost": lost,
            "cart_items": None if cart is None else cart.pieces,
            "cart_value": None if cart is None else self._money(cart.value),
            "cart": None
            if cart is None or change is None
            else [self._line(line) for line, _ in zip(cart.lines.values(), range(CONTENT), strict=False)],
        }

    def _line(self, line: Line) -> dict[str, object]:
        return {
            "product": line.product,
            "name": line.name,
            "quantity": line.pieces,
            "value": self._money(line.value),
        }

    def _money(self, minor: int | None) -> int | float | None:
        return major(minor, self._decimals)

    def _time(self, ms: int) -> str:
        return ranges.iso(ms, self._zone)


def major(minor: int | None, decimals: int) -> int | float | None:
    """Money in major units; a whole number where the currency has no smaller ones."""
    return minor if minor is None or not decimals else minor / 10**decimals


def _short(time: object) -> str:
    return str(time)[:19].replace("T", " ")


def _called(id: tuple[str | None, str | None]) -> str:
    return "no id" if id[1] is None else f"{id[0]} {id[1]}"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events that are read at once, of one day where the person has many; the end is exclusive."""

    day: date
    start: int
    end: int
    shown: int


@dataclass(frozen=True, slots=True)
class Order:
    """In which order a timeline is read."""

    newest_days: bool = True
    newest_events: bool = False


def arranged(rows: Iterator[Row], order: Order) -> Iterator[Row]:
    """The rows of a day, oldest first, in the order they are shown."""
    return reversed(list(rows)) if order.newest_events else rows


class Timeline(LazyRows):
    """The rows shown of a person with many events, made as they are read."""

    def __init__(
        self, reader: Reader, fold: Fold, buckets: Sequence[Bucket], order: Order, zone: ZoneInfo
    ) -> None:
        self._reader, self._fold, self._buckets = reader, fold, buckets
        self._order, self._zone = order, zone
        self._count = sum(bucket.shown for bucket in buckets)
        self._starts: dict[int, Fold] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        if not self._count:
            return
        for stretch in self._stretches():
            if stretch.shown:
                read = self._reader.records(stretch.start, stretch.end)
                yield from arranged(self._rows(self._state_at(stretch.start), read), self._order)

    def _rows(self, fold: Fold, records: Iterable[Record]) -> Iterator[Row]:
        for record in records:
            row = fold.row(record, *self._reader.told(record))
            if record.shown:
                yield row

    def _stretches(self) -> list[Stretch]:
        """Stretches in the order they are shown; none crosses a day, the first one is small."""
        days: dict[date, list[Bucket]] = {}
        for bucket in self._buckets:
            days.setdefault(ranges.day_of(bucket.all.first, self._zone), []).append(bucket)
        found: list[Stretch] = []
        for day in sorted(days, reverse=self._order.newest_days):
            buckets = days[day][::-1] if self._order.newest_events else days[day]
            held: list[Bucket] = []
            for bucket in buckets:
                most = STRETCH if found else FIRST_STRETCH
                if held and sum(one.all.events for one in held) + bucket.all.events > most:
                    found.append(_stretch(day, held))
                    held = []
                held.append(bucket)
            found.append(_stretch(day, held))
        return found

    def _state_at(self, start: int) -> Fold:
        """The state that the events before a moment left."""
        if not self._starts:
            self._starts = self._cart_states(
                sorted(stretch.start for stretch in self._stretches() if stretch.shown)
            )
        fold = self._starts[start].copy()
        before = max((bucket.all.last for bucket in self._buckets if bucket.all.last < start), default=None)
        if before is not None:
            fold.after(self._reader.last_at(before))
        return fold

    def _cart_states(self, starts: Sequence[int]) -> dict[int, Fold]:
        """The carts at these moments, ascending, from the events that touch a cart alone."""
        states: dict[int, Fold] = {}
        fold, waiting = self._fold.copy(), list(starts)
        for record in self._reader.cart_records(starts[-1]) if self._fold.cart is not None else ():
            while waiting and waiting[0] <= record.ts:
                states[waiting.pop(0)] = fold.copy()
            fold.pass_by(record)
        return states | {start: fold.copy() for start in waiting}


def _stretch(day: date, buckets: Sequence[Bucket]) -> Stretch:
    return Stretch(
        day,
        min(bucket.all.first for bucket in buckets),
        max(bucket.all.last for bucket in buckets) + 1,
        sum(bucket.shown for bucket in buckets),
    )
