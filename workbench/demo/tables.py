"""Columns of integers as Arrow tables: ids, names, money and times as an export would carry them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.demo import catalogue, rows, traffic
from workbench.demo.draws import Bools, Ints
from workbench.demo.people import CITIES, PLATFORMS, VERSIONS
from workbench.demo.rows import Lines, Rows

_DIGITS = np.array([f"{n:04d}".encode() for n in range(10_000)], dtype="S4").view("u1").reshape(10_000, 4)
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
    return _ids("u", [(user_number(person), 8)], person >= 0)


def device_ids(device: Ints) -> pa.Array:
    """``d`` and eight digits; null for −1."""
    return _ids("d", [(device_number(device), 8)], device >= 0)


def order_ids(person: Ints, order: Ints) -> pa.Array:
    """``o`` and twelve digits; null where the order is −1."""
    return _ids("o", [(user_number(person), 8), (order, 4)], order >= 0)


def _event_ids(person: Ints, session: Ints, place: Ints, order: Ints) -> pa.Array:
    outside = session < 0
    visit, number = np.where(outside, 9_999, session), np.where(outside, order, place)
    return _ids("e", [(user_number(person), 8), (visit, 4), (number, 4)], None)


def _ids(prefix: str, numbers: Sequence[tuple[Ints, int]], valid: Bools | None) -> pa.Array:
    """Fixed-width ids from groups of four decimal digits, without a Python string a row."""
    count = len(numbers[0][0])
    width = 1 + sum(digits for _, digits in numbers)
    text = np.empty((count, width), dtype=np.uint8)
    text[:, 0] = ord(prefix)
    at = 1
    for number, digits in numbers:
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


def _names(code: Ints, names: Sequence[str]) -> pa.Array:
    """Names by code; null for −1."""
    codes = pa.array(code.astype(np.int32), mask=code < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(names)))


def _numbers(value: Ints) -> pa.Array:
    return pa.array(value.astype(np.int32), mask=value < 0)


_CITY_NAMES = [city for city, _, _ in CITIES]
_PROVINCES = [province for _, province, _ in CITIES]
_TERMS = [term.text for term in catalogue.TERMS]
_PRODUCT_IDS = [f"p{number:04d}" for number in range(catalogue.PRODUCTS)]
_PRODUCT_NAMES = [catalogue.product_name(number) for number in range(catalogue.PRODUCTS)]
_CHANNEL_NAMES = [channel.name for channel in traffic.CHANNELS]

_COLUMNS: dict[str, Callable[[Rows], pa.Array]] = {
    "event_id": lambda r: _event_ids(r.person, r.session, r.place, r.order),
    "ts": lambda r: pa.array(r.ts).cast(TIME),
    "event": lambda r: _names(r.event, rows.EVENTS),
    "user_id": lambda r: user_ids(r.user),
    "anonymous_id": lambda r: device_ids(r.device),
    "session_id": lambda r: _ids("s", [(user_number(r.person), 8), (r.session, 4)], r.session >= 0),
    "channel": lambda r: _names(r.channel, _CHANNEL_NAMES),
    "campaign": lambda r: _names(r.campaign, traffic.CAMPAIGNS),
    "platform": lambda r: _names(r.platform, PLATFORMS),
    "app_version": lambda r: _names(r.version, VERSIONS),
    "city": lambda r: _names(r.city, _CITY_NAMES),
    "province": lambda r: _names(r.city, _PROVINCES),
    "page": lambda r: _names(rows.PAGE[r.event], rows.PAGES),
    "product_id": lambda r: _names(r.product, _PRODUCT_IDS),
    "product_name": lambda r: _names(r.product, _PRODUCT_NAMES),
    "category": lambda r: _names(r.category, catalogue.CATEGORIES),
    "price": lambda r: money(r.price),
    "search_term": lambda r: _names(r.term, _TERMS),
    "search_source": lambda r: _names(r.source, catalogue.SOURCES),
    "result_count": lambda r: _numbers(r.results),
    "query_id": lambda r: _ids("q", [(user_number(r.person), 8), (r.session, 4), (r.query, 4)], r.query >= 0),
    "position": lambda r: _numbers(r.position),
    "cart_items": lambda r: _numbers(r.cart_items),
    "order_id": lambda r: order_ids(r.person, r.order),
    "quantity": lambda r: _numbers(r.quantity),
    "amount": lambda r: money(r.amount),
    "discount": lambda r: money(r.discount),
    "refund_amount": lambda r: money(r.refund),
    "currency": lambda r: _names(np.where((r.amount >= 0) | (r.refund >= 0), 0, -1), ("CNY",)),
    "coupon": lambda r: _names(r.coupon, catalogue.COUPONS),
    "reason": lambda r: _names(r.reason, rows.REASONS),
}
COLUMN_NAMES = tuple(_COLUMNS)
_PLAIN = ("event_id", "ts", "query_id", "order_id")
"""Columns whose values hardly repeat: not worth a dictionary in the file."""


def event_table(part: Rows) -> pa.Table:
    """Events as they are exported."""
    return pa.table({name: make(part) for name, make in _COLUMNS.items()})


def line_table(lines: Lines) -> pa.Table:
    """Order lines: the second relation."""
    category = catalogue.category_of(lines.product)
    return pa.table(
        {
            "order_id": order_ids(lines.person, lines.order),
            "event_id": _event_ids(lines.person, lines.session, lines.place, lines.order),
            "product_id": _names(lines.product, _PRODUCT_IDS),
            "category": _names(category, catalogue.CATEGORIES),
            "quantity": _numbers(lines.quantity),
            "amount": money(lines.amount, nulls=False),
            "margin": money(lines.margin, nulls=False),
        }
    )


def product_table() -> pa.Table:
    """The catalogue."""
    product = np.arange(catalogue.PRODUCTS, dtype=np.int64)
    return pa.table(
        {
            "product_id": _names(product, _PRODUCT_IDS),
            "product_name": _names(product, _PRODUCT_NAMES),
            "category": _names(catalogue.category_of(product), catalogue.CATEGORIES),
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
