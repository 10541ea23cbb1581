"""What an import did, in words and as the answer that scripts read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from queries import ranges
from queries.question import EVERYTHING, Note, QuestionError, Result, Row, Scope, Shown
from workbench.store.manifest import Manifest
from workbench.store.watching import Taken, first
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.store.importing import Imported

_RATE_FROM = 100_000
"""Rows from which on seconds per million say something."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What was to be imported."""

    scope: Scope = EVERYTHING
    anew: bool = False

    @property
    def report(self) -> str:
        """The report's name."""
        return "import"

    def check_cell(self, cell: str) -> None:
        """An import has no cells with people."""
        raise QuestionError(f"--users {cell}: an import has no cells with people")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return ["import", *self.scope.arguments(), *(["--all"] if self.anew else [])]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines it."""
        return {"data": list(self.scope.data), "all": self.anew}


def size_text(count: int) -> str:
    """Bytes for people: ``912 B``, ``45 MB``, ``1.2 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def counted(count: int, one: str, several: str | None = None) -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def bytes_by_kind(manifest: Manifest) -> dict[str, int]:
    """The bytes of a store: ``runs``, ``lanes``, and ``people`` for the rest."""
    sizes = {"runs": 0, "lanes": 0, "people": 0}
    runs = {f"{run.folder}/{run.name}" for run in manifest.runs}
    for path, size in manifest.sizes.items():
        is_lane = manifest.lanes is not None and path.startswith(f"{manifest.lanes}/")
        sizes["runs" if path in runs else "lanes" if is_lane else "people"] += size
    return sizes


def as_text(taken: Taken) -> str:
    """What an import did, a line a fact."""
    return "\n".join((*_changes(taken), *_store(taken.imported.manifest), *_warnings(taken))) + "\n"


def as_line(taken: Taken, workspace: Workspace, now: datetime | None = None) -> str:
    """The same in one line, as a watcher says it: when, what came, as of when the store is, and what is late."""
    zone = ranges.zone(workspace.timezone)
    moment = (now or datetime.now(UTC)).astimezone(zone).isoformat(timespec="seconds")
    last = taken.imported.manifest.last
    parts = [
        *_changes(taken),
        "no events" if last is None else f"as of {ranges.iso(last, zone)}",
        *late_sources(taken.imported.manifest, workspace),
        *_warnings(taken),
    ]
    return f"{moment} {'; '.join(parts)}"


def _changes(taken: Taken) -> Iterator[str]:
    done = taken.imported
    if not taken.is_news:
        yield "nothing new"
        return
    difference = taken.difference
    changed = set(difference.changed)
    gone = [path for path in difference.gone if path not in changed]
    took = ranges.duration(done.seconds)
    read = f"{counted(done.new_files, 'file')} read, {counted(done.new_rows, 'row')}, in {took}"
    rows = done.new_rows + done.again
    if rows >= _RATE_FROM:
        read += f" ({done.seconds * 1e6 / rows:.2f} s per million rows)"
    if done.new_files:
        yield read
    if done.is_whole and len(taken.difference.new) < done.new_files:
        yield "everything was read again"
    if changed:
        yield f"{counted(len(changed), 'file')} changed and read again: {first(sorted(changed))}"
    if gone:
        yield f"{counted(len(gone), 'file')} gone: {first(gone)}"
    if done.affected and not done.is_whole:
        yield _identity(done)
    if done.merged:
        yield "runs were merged"
    if not done.new_files:
        yield f"done in {took}"


def _identity(done: Imported) -> str:
    """Whose rows of the store had to be sorted anew."""
    events = counted(done.again, "of their events was", "of their events were")
    if done.gone_files:
        people = counted(done.affected, "person", "people")
        return f"{people} had events in files that went, or are others now: {events} sorted again"
    people = counted(done.affected, "person is", "people are")
    return f"the new files changed who {people}: {events} sorted again"


def _store(manifest: Manifest) -> Iterator[str]:
    rows = counted(manifest.rows, "event")
    people = counted(manifest.people_count, "person", "people")
    yield (
        f"the store holds {rows} of {people} from {counted(len(manifest.files), 'file')} "
        f"in {size_text(sum(manifest.sizes.values()))}"
    )
    if manifest.lanes is None:
        yield f"no lanes: {manifest.no_lanes}"


def _warnings(taken: Taken) -> Iterator[str]:
    for path, reason in list(taken.damaged.items())[:5]:
        yield f"damaged, set aside: {path}: {reason}"
    if len(taken.damaged) > 5:
        yield f"and {len(taken.damaged) - 5:,} more damaged"
    if taken.unread:
        yield f"{counted(len(taken.unread), 'file')} not readable, or not whole yet: {first(taken.unread)}"
    if taken.retired:
        yield f"{counted(len(taken.retired), 'store')} of other settings deleted: {first(taken.retired)}"


def late_sources(manifest: Manifest, workspace: Workspace) -> Iterator[str]:
    """Sources whose newest event lies well before the newest of all."""
    from workbench.survey import LATE_MS

    newest: dict[str, int] = {}
    for file in manifest.files:
        if file.last is not None:
            newest[file.source] = max(file.last, newest.get(file.source, file.last))
    zone = ranges.zone(workspace.timezone)
    for name, last in newest.items():
        behind = max(newest.values()) - last
        if behind > LATE_MS:
            yield (
                f"source {name} ends {ranges.iso(last, zone)}, "
                f"{ranges.duration(behind / 1000)} before the newest event"
            )


# --- for scripts ------------------------------------------------------------------------------------------


def totals(taken: Taken) -> dict[str, object]:
    """The numbers of an import."""
    done, manifest = taken.imported, taken.imported.manifest
    rows = done.new_rows + done.again
    return {
        "up_to_date": not taken.is_news,
        "new_files": done.new_files,
        "gone_files": len(taken.difference.gone),
        "changed_files": len(taken.difference.changed),
        "damaged_files": len(taken.damaged),
        "unread_files": len(taken.unread),
        "new_rows": done.new_rows,
        "rows_sorted_again": done.again,
        "people_changed": 0 if done.is_whole else done.affected,
        "everything_read": done.is_whole,
        "merged": done.merged,
        "seconds": round(done.seconds, 4),
        "seconds_per_million": round(done.seconds * 1e6 / rows, 4) if rows else None,
        "files": len(manifest.files),
        "runs": len(manifest.runs),
        "rows": manifest.rows,
        "users": manifest.people_count,
        "bytes": sum(manifest.sizes.values()),
        "lanes": manifest.lanes is not None,
        "no_lanes": manifest.no_lanes,
        "stores_deleted": list(taken.retired),
    }


def as_result(taken: Taken, request: ImportRequest, workspace: Workspace) -> Result:
    """An import as an answer: a row for each file that came, changed or went, or is set aside."""
    manifest = taken.imported.manifest
    zone = ranges.zone(workspace.timezone)
    changed = set(taken.difference.changed)
    rows: list[Row] = []
    if taken.is_news:
        rows += [_row(path, "changed") for path in sorted(changed)]
        rows += [_row(path, "gone") for path in taken.difference.gone if path not in changed]
        rows += [_row(path, "new") for path in taken.difference.new if path not in changed]
    rows += [_row(path, "damaged", reason) for path, reason in taken.damaged.items()]
    rows += [_row(path, "unread", "not readable, or not whole yet") for path in taken.unread]
    late = tuple(Note("late-source", text, "warning") for text in late_sources(manifest, workspace))
    return Result(
        report="import",
        request=request,
        rows=rows,
        totals=totals(taken),
        notes=late,
        meta={
            **dict.fromkeys(("from", "to")),
            "as_of": None if manifest.last is None else ranges.iso(manifest.last, zone),
            "timezone": workspace.timezone,
            "rows_in_scope": manifest.rows,
            "users": manifest.people_count,
            "source": [source.name for source in workspace.sources],
        },
        layout=(
            Shown("change", "change"),
            Shown("file", "file", names=True),
            Shown("reason", "why", null=""),
        ),
    )


def _row(path: str, change: str, reason: str | None = None) -> Row:
    return {"file": path, "change": change, "reason": reason}
