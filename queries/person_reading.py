"""Reads one person's events at once, each with what no later statement has to ask again."""

from __future__ import annotations

from operator import itemgetter

from queries import one_person
from queries.one_person import OnePerson, Sessioned
from queries.person_events import CART, KEPT, ORDER, REFUND, SHOWN, TS, Events, Layout
from queries.quoting import quote_identifier
from queries.records import ROLES, Reader, Record

WHOLE = 200_000
"""Values, of all events and columns, that are read at once; of more, only what the profile takes and a page shows."""
PAGE_OF_FILES = 300
"""Events of a person in files that are read at once with every column: not many more than a page shows."""
_TOLD = (
    "channel", "category", "order_id", "coupon", "amount", "refund_amount", "product_id", "product_name", "quantity",
)  # fmt: skip
_RECORDED = ("price", "size", "product_name", "product_id", "quantity", "amount")


def read_events(one: OnePerson, data: Sessioned, reader: Reader, asked: list[str]) -> Events | None:
    """The person's events; None where they are too many to be held."""
    if one.most > one_person.LIGHT:
        return None
    columns, layout = _columns(reader, data, one.kept, whole=_reads_whole(one, data, len(reader.columns)))
    order = ", ".join(f"e.{name} NULLS FIRST" for name in ("ts", *data.schema.order))
    limit = "" if one.is_counted else f"\nLIMIT {one_person.LIGHT + 1}"
    sql = f"SELECT {', '.join(columns)}\nFROM (\n{one.rows}{limit}\n) e"
    in_order = f"{sql}\nORDER BY {order}"
    # Rows that come nearly in order are sorted here in a fraction of the time.
    is_plain = one.is_counted and data.schema.order == ("place",)
    rows = data.fetch(sql if is_plain else in_order)
    if not one.is_counted and len(rows) > one_person.LIGHT:
        return None
    if is_plain:
        rows.sort(key=itemgetter(TS, layout.order.start))
    asked.append(one.pasted(in_order))
    return Events(rows, layout, one.known)


def _reads_whole(one: OnePerson, data: Sessioned, columns: int) -> bool:
    """Whether every column is read at once, not only those of what is shown."""
    if one.most * columns > WHOLE:
        return False
    return one.most <= PAGE_OF_FILES or one.rows_of_files(frozenset(), data) is None


def read_values(
    one: OnePerson, events: Events, start: int, end: int, data: Sessioned, reader: Reader, asked: list[str]
) -> dict[int, tuple[object, ...]] | None:
    """Every column of some events of a person in files, by their ``place``; only their files are read.

    None where that takes all files.
    """
    at = events.layout.order.stop - 1
    files = frozenset(int(str(row[at])) >> 40 for row in events.rows[start:end])
    rows = one.rows_of_files(files, data)
    if rows is None:
        return None
    low, high = int(events.ts[start]), int(events.ts[end - 1])
    columns = ", ".join(["e.place", *(f"e.{quote_identifier(column.name)}" for column in reader.columns)])
    sql = f"SELECT {columns}\nFROM (\n{{rows}}\n) e\nWHERE e.ts >= {low} AND e.ts <= {high}"
    asked.append(sql.format(rows=one.named or one.rows))
    return {int(str(place)): tuple(values) for place, *values in data.fetch(sql.format(rows=rows))}


def _columns(reader: Reader, data: Sessioned, kept: str, *, whole: bool) -> tuple[list[str], Layout]:
    """What is read of an event, as SQL, and where it stands."""
    has, ids = data.schema.columns, data.schema.ids
    bits = {
        KEPT: kept,
        SHOWN: reader.shown,
        ORDER: reader.roles.get("order", "FALSE"),
        REFUND: reader.roles.get("refund", "FALSE"),
        CART: reader.touches_cart,
    }
    role = " ".join(f"WHEN {reader.roles[name]} THEN {ROLES.index(name)}" for name in reader.roles)
    columns = [
        "e.ts",
        "e.event",
        "e.source_index",
        "e.session_id" if "session_id" in has else "NULL",
        " + ".join(f"CASE WHEN {condition} THEN {bit} ELSE 0 END" for bit, condition in bits.items()),
        f"CASE {role} END" if role else "NULL",
    ]
    order = slice(len(columns), len(columns) + len(data.schema.order))
    columns += [f"e.{name}" for name in data.schema.order]
    raw = slice(len(columns), len(columns) + len(ids))
    columns += [f"e.{quote_identifier(name)}" for name in ids]
    told = {name: sql for name, sql in (("price", reader.price), ("size", reader.size)) if sql is not None}
    if not whole:
        told |= {name: f"e.{quote_identifier(name)}" for name in _TOLD if name in has}
    places = {name: len(columns) + place for place, name in enumerate(told)}
    columns += told.values()
    start = len(columns) if whole else None
    if whole:
        names = [column.name for column in reader.columns]
        places |= {name: len(columns) + names.index(name) for name in _TOLD if name in has}
        columns += [f"e.{quote_identifier(name)}" for name in names]
    return columns, Layout(order, raw, places, start)


def record_at(
    events: Events, place: int, number: int, reader: Reader, values: tuple[object, ...] = ()
) -> Record:
    """One event as a timeline reads it; ``number`` is that of its session among those by gap.

    ``values`` are those of all columns, where they were not read with the event.
    """
    row = events.rows[place]
    code = int(events.combinations[1][place])
    kind, id = events.used[code]
    ts, event, source, session, _, role = row[:6]
    price, size, *told = events.told(place, _RECORDED)
    name = None if role is None else ROLES[int(str(role))]
    first = (
        ts,
        event,
        source,
        events.raw_ids[code],
        session,
        number,
        bool(events.shown[place]),
        name,
        kind,
        id,
    )
    whole = events.layout.whole
    return reader.record((*first, price, size), told, values if whole is None else row[whole:])
