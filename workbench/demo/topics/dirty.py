"""Flaws in the data, for ``--dirty``: put in after the shop has closed, into files that are otherwise right.

Every file gets ``received_ts``, the server's time. Then, each on days of its own: clocks of some phones run three
hours ahead, a batch is loaded twice, views are sent again with the same id, an event is missing for a day, ids
say ``undefined``, a week is loaded again in UTC without saying so, an upload breaks off, columns are renamed. What is
hit hangs on the rows alone, so the flaws are the same whatever the block size. No flaw can put anybody into the
forced-login cell or take anybody out of it: that truth holds here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.demo import days, tables
from workbench.demo.draws import CELLS, Bools, Ints, Words, bits, chance, derived, mixed
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, Topic

CHECKS = (
    "clock-skew", "duplicate-rows", "duplicate-event-ids", "lost-day", "junk-ids", "mixed-zones",
    "damaged-files", "drifted-columns",
)  # fmt: skip
STILL_HOLD = ("forced-login", "forced-login-count")
"""Truths of the clean shop that no flaw can touch."""
ZONE_DAYS = range(5, 12)
"""6 to 12 March, in one file in UTC without a zone; before the evenings of the forced login."""
SKEWED = range(31, 61)
"""April."""
AHEAD = 3 * 3_600_000
BATCH_DAY, BATCH_HOURS = 76, (14, 16)
"""16 May, from 14:00 to 16:00."""
UNDEFINED_DAYS = range(43, 46)
RETRY_DAY, RETRY_AFTER = 80, 1_500
LOST_DAY, LOST_EVENT = 66, "list_view"
ZERO_DAYS = range(71, 74)
BROKEN_DAY = 72
DRIFT_FROM = 85
RENAMED = ("city", "city_name")
ZEROS = "00000000-0000-0000-0000-000000000000"
_NAIVE = pa.timestamp("ms")
_CLOCKS = ("ts", "received_ts")


class Dirty(Topic):
    """Says of the clean shop that it is clean; :func:`soil` makes the other one."""

    name: ClassVar[str] = "dirty"
    number: ClassVar[int] = 14

    def truths(self, counted: Counted) -> list[Truth]:
        """No flaw is found where none is."""
        if self.world.dirty:
            return []
        return [
            Truth(
                "data-health",
                "Nothing is wrong with the clean shop's data: each flaw of --dirty is absent.",
                "workbench check",
                expected=tuple(Expect({"check": check}, "count", 0) for check in CHECKS),
                decoys=(
                    Decoy(
                        "rare-events", "Events of a campaign or a stream happen on few days: no day is lost."
                    ),
                    Decoy("no-device", "Refunds have no device: an absent id is no junk."),
                ),
            )
        ]


@dataclass(slots=True)
class Found:
    """What a check must find: rows, and the people they are of."""

    rows: int = 0
    people: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Soil:
    """The flaws, put in file by file and counted."""

    seed: int
    owners: pa.Table
    """``anonymous_id``, ``user_id``, ``family``: a row for each device and who logs in there."""
    found: dict[str, Found] = field(default_factory=lambda: {check: Found() for check in CHECKS})
    rows: int = 0
    drifted_files: int = 0
    backfill: pq.ParquetWriter | None = None
    broken: bool = False

    def file(self, path: Path, day: int) -> None:
        """Soils one file of a day, which may become several."""
        table = _with_received(pq.ParquetFile(path).read())
        started = _started(table)
        table = self._skewed(table, started, day)
        table = self._junk(table, day)
        if day == LOST_DAY:
            table = table.filter(pc.not_equal(table["event"], LOST_EVENT))
        if day == RETRY_DAY:
            table = self._retried(table)
        if day == BATCH_DAY:
            again = table.filter(_between_hours(table, *BATCH_HOURS))
            self._find("duplicate-rows", again)
            self._find("duplicate-event-ids", again)
            self._write(again, _beside(path, "again"))
        if day in ZONE_DAYS:
            # What began on the day before stays behind it.
            moved = started | (day > ZONE_DAYS.start)
            self._backfill(table.filter(pa.array(moved)), path)
            table = table.filter(pa.array(~moved))
        if day >= DRIFT_FROM:
            table = _drifted(table)
            self.drifted_files += 1
        path.unlink()
        self._write(table, path)
        if day == BROKEN_DAY and not self.broken:
            self.broken, whole = True, path.read_bytes()
            _beside(path, "again").write_bytes(whole[: len(whole) // 2])

    def _write(self, table: pa.Table, path: Path) -> None:
        if len(table):
            tables.write(table, path)
            self.rows += len(table)

    def _backfill(self, table: pa.Table, path: Path) -> None:
        """Moves rows to the one file of the week, both clocks as UTC has them, without saying that it is UTC."""
        self._find("mixed-zones", table)
        self.rows += len(table)
        for name in _CLOCKS:
            table = _set(table, name, pa.array(_ms(table[name])).cast(_NAIVE))
        if self.backfill is None:
            target = path.with_name("backfill.parquet")
            self.backfill = pq.ParquetWriter(target, table.schema, compression="zstd", store_schema=False)
        self.backfill.write_table(table)

    def close(self) -> None:
        """Finishes what was written bit by bit."""
        if self.backfill is not None:
            self.backfill.close()

    def _skewed(self, table: pa.Table, started: Bools, day: int) -> pa.Table:
        """Sessions that begin in April on some phones: the app's time is ahead, the server's is not."""
        begins = np.where(started, day, day - 1)
        device = _number(table["anonymous_id"])
        word = mixed(np.asarray(device + self.seed * 100_000_007, dtype=np.int64).astype(np.uint64))
        family = self.owners.filter(self.owners["family"])["anonymous_id"]
        own = pc.and_(pc.equal(table["platform"], "app"), pc.invert(pc.is_in(table["anonymous_id"], family)))
        ahead = (begins >= SKEWED.start) & (begins < SKEWED.stop) & (device >= 0) & _bools(own)
        ahead &= chance(word, 0, CELLS // 30)
        self._find("clock-skew", table.filter(pa.array(ahead)))
        ts = _ms(table["ts"]) + np.where(ahead, AHEAD, 0)
        return _set(table, "ts", pa.array(ts).cast(tables.TIME))

    def _junk(self, table: pa.Table, day: int) -> pa.Table:
        """A release of the web that sends ``undefined``, and one that forgets its device."""
        web = _bools(pc.equal(table["platform"], "web"))
        anonymous = _bools(pc.is_null(table["user_id"]))
        if day in UNDEFINED_DAYS:
            hit, column, junk = web & anonymous, "user_id", pa.array(["undefined"] * len(table))
        elif day in ZERO_DAYS:
            hit = web & ~anonymous & _bools(pc.equal(table["event"], "product_view"))
            zeros = bits(_words(table), 0) & 1 == 1
            column, junk = "anonymous_id", pa.array(np.where(zeros, ZEROS, "null").tolist(), pa.string())
        else:
            return table
        self._find("junk-ids", table.filter(pa.array(hit)))
        return _set(table, column, pc.if_else(pa.array(hit), junk, table[column]))

    def _retried(self, table: pa.Table) -> pa.Table:
        """One view in ten is sent a second time, a moment later, under its old id."""
        view = _bools(pc.equal(table["event"], "product_view"))
        again = table.filter(pa.array(view & chance(derived(_words(table), 1), 0, CELLS // 10)))
        self._find("duplicate-event-ids", again)
        for name in _CLOCKS:
            again = _set(again, name, pa.array(_ms(again[name]) + RETRY_AFTER).cast(tables.TIME))
        return pa.concat_tables([table, again]).sort_by(
            [("received_ts", "ascending"), ("event_id", "ascending")]
        )

    def _find(self, check: str, table: pa.Table) -> None:
        self.found[check].rows += len(table)
        self.found[check].people |= _people(table, self.owners)

    def truths(self) -> list[Truth]:
        """One for each flaw, with what ``workbench check`` says of it."""
        counts = {
            "lost-day": 1,
            "damaged-files": 1,
            # A name missing, a name more, in each file; three columns of two types.
            "drifted-columns": 2 * self.drifted_files + 3,
        }
        out = []
        for check in CHECKS:
            row, found = {"check": check}, self.found[check]
            if check in counts:
                expected = [Expect(row, "count", counts[check])]
            else:
                expected = [Expect(row, "rows", found.rows), Expect(row, "users", len(found.people))]
            sentence, severity, decoys, smallest = _TOLD[check]
            out.append(
                Truth(
                    f"dirty-{check}",
                    sentence,
                    "workbench check",
                    expected=(*expected, Expect(row, "severity", severity)),
                    decoys=decoys,
                    smallest=smallest,
                )
            )
        return out


def soil(folder: Path, seed: int, truths: list[Truth], check: Callable[[], None]) -> tuple[list[Truth], int]:
    """Soils the events of a shop that is written; gives the truths that hold now and how many rows there are.

    ``check`` may raise to stop. Memory is one file and a few numbers a device.
    """
    owners = pq.read_table(folder / "truth" / "people.parquet", columns=["anonymous_id", "user_id", "family"])
    flaws = _Soil(seed, owners)
    try:
        for path, day in _files(folder):
            check()
            flaws.file(path, day)
    finally:
        flaws.close()
    kept = [truth for truth in truths if truth.name in STILL_HOLD]
    return [*kept, *flaws.truths()], flaws.rows


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The shop's event files with the day of each, as they are before any is soiled."""
    for day in range(days.DAYS):
        for path in sorted((folder / "events" / f"dt={days.name(day)}").glob("part-*.parquet")):
            yield path, day


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}-{what}{path.suffix}")


def _with_received(table: pa.Table) -> pa.Table:
    """Adds the server's time: a fifth of a second to four seconds late."""
    ts = _ms(table["ts"])
    late = 200 + bits(mixed(ts.astype(np.uint64)), 0) * 3_800 // CELLS
    return table.add_column(2, "received_ts", pa.array(ts + late).cast(tables.TIME))


def _started(table: pa.Table) -> Bools:
    """Rows of sessions that begin in this file, or of none; the others come from the day before."""
    starts = table.filter(pc.equal(table["event"], "session_start"))["session_id"]
    return _bools(pc.or_(pc.is_in(table["session_id"], starts), pc.is_null(table["session_id"])))


def _between_hours(table: pa.Table, first: int, end: int) -> pa.Array:
    hour = (_ms(table["received_ts"]) - days.midnight(0)) // 3_600_000 % 24
    return pa.array((hour >= first) & (hour < end))


def _drifted(table: pa.Table) -> pa.Table:
    """``city`` has another name, ``price`` is text."""
    names = [RENAMED[1] if name == RENAMED[0] else name for name in table.column_names]
    return _set(table, "price", table["price"].cast(pa.string())).rename_columns(names)


def _people(table: pa.Table, owners: pa.Table) -> set[str]:
    """Who the rows are of by the identity rule: the login, else the device's only one, else the device.

    On a family's device the session says whose it is.
    """
    session = pc.utf8_slice_codeunits(table["session_id"], 1, 9)
    who = pa.table({"user_id": table["user_id"], "anonymous_id": table["anonymous_id"], "session": session})
    distinct = who.group_by(["user_id", "anonymous_id", "session"]).aggregate([]).to_pydict()
    wanted = owners.filter(pc.is_in(owners["anonymous_id"], who["anonymous_id"].unique())).to_pydict()
    only = dict(zip(wanted["anonymous_id"], wanted["user_id"], strict=True))
    family = {one for one, shared in zip(wanted["anonymous_id"], wanted["family"], strict=True) if shared}
    people = set()
    for user, device, own in zip(*(distinct[n] for n in ("user_id", "anonymous_id", "session")), strict=True):
        owner = f"u{own}" if device in family else only.get(device)
        people.add(user or owner or device)
    return people


def _words(table: pa.Table) -> Words:
    """A word a row, from what stays the same wherever the row lies."""
    return mixed((_ms(table["received_ts"]) * 1_000_003 + _number(table["anonymous_id"])).astype(np.uint64))


def _number(ids: pa.ChunkedArray) -> Ints:
    """The eight digits of device ids; −1 for null."""
    digits = pc.utf8_slice_codeunits(ids, 1, 9).cast(pa.int64())
    return np.asarray(digits.fill_null(-1).to_numpy(), dtype=np.int64)


def _ms(times: pa.ChunkedArray) -> Ints:
    return np.asarray(times.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _bools(value: pa.ChunkedArray) -> Bools:
    return np.asarray(value.fill_null(False).to_numpy(), dtype=np.bool_)


def _set(table: pa.Table, name: str, value: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, value)


_TOLD: dict[str, tuple[str, str, tuple[Decoy, ...], int]] = {
    "clock-skew": (
        "In April some phones' clocks run three hours ahead of the server's.",
        "warning",
        (
            Decoy(
                "other-zone", "In the second week both clocks stand eight hours off: that is a zone, no skew."
            ),
        ),
        50_000,
    ),
    "duplicate-rows": (
        "What was received on 16 May from 14:00 to 16:00 was loaded twice.",
        "error",
        (Decoy("sent-again", "Views of 20 May that were sent again differ in their time: no equal rows."),),
        50_000,
    ),
    "duplicate-event-ids": (
        "The batch of 16 May again, and one product_view in ten of 20 May sent a second time.",
        "error",
        (),
        50_000,
    ),
    "lost-day": (
        "6 May has no list_view at all.",
        "error",
        (Decoy("rare-events", "Events of a campaign or a stream happen on few days: no day is lost."),),
        50_000,
    ),
    "junk-ids": (
        "From 13 to 15 April the web sends 'undefined' for who is not logged in, from 11 to 13 May product views "
        "with zeros or 'null' for the device.",
        "warning",
        (Decoy("no-device", "Refunds have no device: an absent id is no junk."),),
        50_000,
    ),
    "mixed-zones": (
        "6 to 12 March were loaded again from one file in UTC without a zone: read in the workspace's, they lie "
        "eight hours early.",
        "error",
        (),
        200_000,
    ),
    "damaged-files": (
        "An upload of 12 May broke off; the day was sent again whole, so nothing is missing.",
        "error",
        (),
        50_000,
    ),
    "drifted-columns": (
        "From 25 May on city is called city_name and price is text; in the file of 6 to 12 March times have no zone.",
        "warning",
        (),
        50_000,
    ),
}
"""By check: the sentence, the severity, decoys, the smallest size."""
