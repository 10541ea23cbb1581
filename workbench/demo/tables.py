"""Columns of integers as Arrow tables: ids, names, money and times as an export would carry them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.demo import catalogue, rows, traffic
from workbench.demo.draws import Bools, Ints
from workbench.demo.people import CITIES, PLATFORMS, VERSIONS
from workbench.demo.rows import Lines, Rows

_DIGITS = np.array([f"{n:04d}".encode() for n in range(10_000)], dtype="S4").view("u1").reshape(10_000, 4)
OUTSIDE = 9_000
"""Events outside sessions have event ids as if of sessions from this number on; no person has so many."""
_SPREAD = 100_000_000
"""Numbers in ids are spread by a bijection modulo this, so that related ids do not look alike."""
MONEY = pa.decimal128(12, 2)
TIME = pa.timestamp("ms", tz="UTC")


def user_number(person: Ints) -> Ints:
    """The eight digits of a person's ``user_id``."""
    return (person * 67_867_967 + 20_260_301) % _SPREAD


def device_number(device: Ints) -> Ints:
    """The eight digits of a device's ``anonymous_id``."""
    return (device * 49_979_693 + 7_301_002) % _SPREAD


def user_ids(person: Ints) -> pa.Array:
    """``u`` and eight digits; null for −1."""
    return ids("u", [(user_number(person), 8)], person >= 0)


def device_ids(device: Ints) -> pa.Array:
    """``d`` and eight digits; null for −1."""
    return ids("d", [(device_number(device), 8)], device >= 0)


def order_ids(person: Ints, order: Ints) -> pa.Array:
    """``o`` and twelve digits; null where the order is −1."""
    return ids("o", [(user_number(person), 8), (order, 4)], order >= 0)


def _event_ids(person: Ints, session: Ints, place: Ints, order: Ints) -> pa.Array:
    outside, back_office = session < 0, (session < 0) & (place < 0)
    visit = np.where(outside, OUTSIDE + place // 10_000, session)
    number = np.where(back_office, order, place % 10_000)
    return ids("e", [(user_number(person), 8), (np.where(back_office, 9_999, visit), 4), (number, 4)], None)


def ids(prefix: str, groups: Sequence[tuple[Ints, int]], valid: Bools | None) -> pa.Array:
    """Fixed-width ids: a letter and numbers of four or eight digits, without a Python string a row."""
    count = len(groups[0][0])
    width = 1 + sum(digits for _, digits in groups)
    text = np.empty((count, width), dtype=np.uint8)
    text[:, 0] = ord(prefix)
    at = 1
    for number, digits in groups:
        number = np.maximum(number, 0)
        if digits == 8:
            text[:, at : at + 4] = _DIGITS[number // 10_000]
            at += 4
        text[:, at : at + 4] = _DIGITS[number % 10_000]
        at += 4
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    buffers = [_bitmap(valid), pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def _bitmap(valid: Bools | None) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def money(fen: Ints, nulls: bool = True) -> pa.Array:
    """Fen as DECIMAL(12, 2) yuan; null for −1."""
    wide = np.zeros((len(fen), 2), dtype=np.int64)
    wide[:, 0] = fen
    wide[:, 1] = fen >> 63
    return pa.Array.from_buffers(MONEY, len(fen), [_bitmap(fen != -1 if nulls else None), pa.py_buffer(wide)])


def names(code: Ints, texts: Sequence[str]) -> pa.Array:
    """Texts by code; null for −1."""
    codes = pa.array(code.astype(np.int32), mask=code < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(texts), pa.string()))


def numbers(value: Ints) -> pa.Array:
    """Whole numbers; null for −1."""
    return pa.array(value.astype(np.int32), mask=value < 0)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the events that a topic brings: its name in the export and how its integers are written."""

    name: str
    make: Callable[[Ints], pa.Array]

    def nulls(self, count: int) -> pa.Array:
        """The column where no row has a value."""
        return pa.nulls(count, self.make(np.zeros(0, dtype=np.int64)).type)


def named(name: str, texts: Sequence[str]) -> Column:
    """A column of texts by code."""
    return Column(name, lambda value: names(value, texts))


def counted(name: str) -> Column:
    """A column of whole numbers."""
    return Column(name, numbers)


def amounts(name: str) -> Column:
    """A column of money, held in fen."""
    return Column(name, money)


def users(name: str) -> Column:
    """A column of people, written as their ``user_id``."""
    return Column(name, user_ids)


def numbered(name: str, prefix: str) -> Column:
    """A column of numbers below 10⁸ written as a letter and eight digits."""
    return Column(name, lambda value: ids(prefix, [(value, 8)], value >= 0))


_CITY_NAMES = [city for city, _, _ in CITIES]
_PROVINCES = [province for _, province, _ in CITIES]
_TERMS = [term.text for term in catalogue.TERMS]
_PRODUCT_IDS = [f"p{number:04d}" for number in range(catalogue.PRODUCTS)]
_PRODUCT_NAMES = [catalogue.product_name(number) for number in range(catalogue.PRODUCTS)]
_CHANNEL_NAMES = [channel.name for channel in traffic.CHANNELS]

_COLUMNS: dict[str, Callable[[Rows], pa.Array]] = {
    "event_id": lambda r: _event_ids(r.person, r.session, r.place, r.order),
    "ts": lambda r: pa.array(r.ts).cast(TIME),
    "event": lambda r: names(r.event, rows.EVENTS),
    "user_id": lambda r: user_ids(r.user),
    "anonymous_id": lambda r: device_ids(r.device),
    "session_id": lambda r: ids("s", [(user_number(r.person), 8), (r.session, 4)], r.session >= 0),
    "channel": lambda r: names(r.channel, _CHANNEL_NAMES),
    "campaign": lambda r: names(r.campaign, traffic.CAMPAIGNS),
    "platform": lambda r: names(r.platform, PLATFORMS),
    "app_version": lambda r: names(r.version, VERSIONS),
    "city": lambda r: names(r.city, _CITY_NAMES),
    "province": lambda r: names(r.city, _PROVINCES),
    "page": lambda r: names(rows.page_of(r.event), rows.PAGES),
    "product_id": lambda r: names(r.product, _PRODUCT_IDS),
    "product_name": lambda r: names(r.product, _PRODUCT_NAMES),
    "category": lambda r: names(r.category, catalogue.CATEGORIES),
    "price": lambda r: money(r.price),
    "search_term": lambda r: names(r.term, _TERMS),
    "search_source": lambda r: names(r.source, catalogue.SOURCES),
    "result_count": lambda r: numbers(r.results),
    "query_id": lambda r: ids("q", [(user_number(r.person), 8), (r.session, 4), (r.query, 4)], r.query >= 0),
    "position": lambda r: numbers(r.position),
    "cart_items": lambda r: numbers(r.cart_items),
    "order_id": lambda r: order_ids(r.person, r.order),
    "quantity": lambda r: numbers(r.quantity),
    "amount": lambda r: money(r.amount),
    "discount": lambda r: money(r.discount),
    "refund_amount": lambda r: money(r.refund),
    "currency": lambda r: names(np.where((r.amount >= 0) | (r.refund >= 0), 0, -1), ("CNY",)),
    "coupon": lambda r: names(r.coupon, catalogue.COUPONS),
    "reason": lambda r: names(r.reason, rows.REASONS),
}
COLUMN_NAMES = tuple(_COLUMNS)
_PLAIN = ("event_id", "ts", "query_id", "order_id")
"""Columns whose values hardly repeat: not worth a dictionary in the file."""


def event_table(part: Rows, extra: Sequence[Column] = ()) -> pa.Table:
    """Events as they are exported: the core's columns, then what topics bring."""
    made = {name: make(part) for name, make in _COLUMNS.items()}
    for column in extra:
        value = part.extra.get(column.name)
        made[column.name] = column.nulls(len(part)) if value is None else column.make(value)
    return pa.table(made)


def line_table(lines: Lines) -> pa.Table:
    """Order lines: the second relation."""
    category = catalogue.category_of(lines.product)
    return pa.table(
        {
            "order_id": order_ids(lines.person, lines.order),
            "event_id": _event_ids(lines.person, lines.session, lines.place, lines.order),
            "product_id": names(lines.product, _PRODUCT_IDS),
            "category": names(category, catalogue.CATEGORIES),
            "quantity": numbers(lines.quantity),
            "amount": money(lines.amount, nulls=False),
            "margin": money(lines.margin, nulls=False),
        }
    )


def product_table() -> pa.Table:
    """The catalogue."""
    product = np.arange(catalogue.PRODUCTS, dtype=np.int64)
    return pa.table(
        {
            "product_id": names(product, _PRODUCT_IDS),
            "product_name": names(product, _PRODUCT_NAMES),
            "category": names(catalogue.category_of(product), catalogue.CATEGORIES),
            "price": money(catalogue.PRICE),
            "cost": money(catalogue.COST),
        }
    )


def write(table: pa.Table, path: Path) -> None:
    """A Parquet file with plain strings, zstd-compressed; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dictionary = [name for name in table.column_names if name not in _PLAIN]
    pq.write_table(
        table, path, compression="zstd", compression_level=1, use_dictionary=dictionary, store_schema=False
    )
