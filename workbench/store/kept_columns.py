"""Columns of lanes beside a store: made by the first question that asks for one, read by later ones.

A file says of which manifest and lane it is and carries a hash of all it holds, so that nothing else is ever read
for it; it may go at any time, and goes with the next import or where there are too many.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import xxhash

from workbench.store.events import StoredEvents
from workbench.store.folder import StoreFolder
from workbench.store.lane_codes import NO_COLUMN, LaneColumn
from workbench.store.lane_columns import Pair

FOLDER = "columns"
_FORMAT = 1
_DIGEST = 16
_LENGTH = 8


class KeptColumns:
    """The files of one store; nothing here fails where the disk does."""

    def __init__(self, stored: StoredEvents, quota: int) -> None:
        """``quota``: bytes that the store may take with them."""
        self._root, self._quota = stored.root, quota
        self._of = xxhash.xxh3_128_hexdigest(stored.manifest.to_json())
        lanes = stored.lanes()
        self._most_bytes = 0 if lanes is None else lanes.bytes

    def get(self, pair: Pair, rows: int) -> LaneColumn | None:
        """The column of a lane of so many rows; None where it is not there or not whole."""
        try:
            raw = self._path(pair).read_bytes()
            if xxhash.xxh3_128_digest(memoryview(raw)[_DIGEST:]) != raw[:_DIGEST]:
                return None
            behind = _DIGEST + _LENGTH
            behind += int.from_bytes(raw[_DIGEST:behind], "little")
            head = json.loads(raw[_DIGEST + _LENGTH : behind])
            if head["of"] != [_FORMAT, self._of, *pair]:
                return None
            if not head["kind"]:
                return NO_COLUMN
            if head["rows"] != rows:
                return None
            codes = np.frombuffer(raw, np.dtype(head["type"]), rows, behind)
            values = head["values"]
            if head["kind"] == "DOUBLE":
                values = np.array(values, np.int64).view(np.float64).tolist()
            return LaneColumn(codes, tuple(values), head["kind"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def put(self, pair: Pair, column: LaneColumn) -> bool:
        """Keeps a column, where there is room for it; whether there was."""
        # Where a disk is full or read only, later questions are as slow as this one.
        with suppress(OSError):
            text = self._text(pair, column)
            self._make_room(len(text))
            room = min(self._most_bytes, self._quota - StoreFolder(self._root).size())
            if len(text) > room:
                return False
            place = self._path(pair)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            # An import takes away what it finds of this name and nobody finished.
            temporary = self._root / f"{FOLDER}-{os.getpid()}-{time.monotonic_ns()}.tmp"
            try:
                temporary.write_bytes(text)
                temporary.replace(place)
            finally:
                temporary.unlink(missing_ok=True)
            return True
        return False

    def _text(self, pair: Pair, column: LaneColumn) -> bytes:
        values: object = column.values
        if column.kind == "DOUBLE":
            # JSON has no word for every number.
            values = np.array(column.values, np.float64).view(np.int64).tolist()
        head = {
            "of": [_FORMAT, self._of, *pair],
            "rows": len(column.codes),
            "type": column.codes.dtype.str,
            "kind": column.kind,
            "values": values,
        }
        said = json.dumps(head, separators=(",", ":")).encode("ascii")
        body = b"".join((len(said).to_bytes(_LENGTH, "little"), said, column.codes.tobytes()))
        return xxhash.xxh3_128_digest(body) + body

    def _path(self, pair: Pair) -> Path:
        name = xxhash.xxh3_64_hexdigest(json.dumps(pair).encode("ascii"))
        return self._root / FOLDER / f"{self._of}-{name}.bin"

    def _make_room(self, size: int) -> None:
        """Takes away columns of other manifests, and the oldest beyond as many bytes as the lanes take."""
        found: list[tuple[float, int, Path]] = []
        for path in (self._root / FOLDER).glob("*.bin"):
            state = path.lstat()
            if not path.name.startswith(self._of):
                path.unlink(missing_ok=True)
            else:
                found.append((state.st_mtime, state.st_size, path))
        total = size + sum(one[1] for one in found)
        for _, own, path in sorted(found):
            if total > self._most_bytes:
                path.unlink(missing_ok=True)
                total -= own
