"""Which files an import reads: those that stay as they were, those that went, and those that are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.sources.parts import ReadFile
from workbench.store.manifest import Manifest, StoredFile
from workbench.store.work import Work


@dataclass(frozen=True, slots=True)
class Plan:
    """Every listed file that yields events is kept or new; every stored one is kept or gone."""

    kept: tuple[tuple[StoredFile, ReadFile], ...]
    gone: tuple[StoredFile, ...]
    new: tuple[ReadFile, ...]
    """In order of ordinals."""
    first_number: int
    """The store's number of the first new file; the others follow."""

    @property
    def ordinals(self) -> list[int]:
        """Of the new files."""
        return [file.ordinal for file in self.new]

    @property
    def numbers(self) -> dict[int, int]:
        """The store's number of each new file, by ordinal."""
        return {file.ordinal: self.first_number + place for place, file in enumerate(self.new)}

    @property
    def new_rows(self) -> int:
        """Rows of the new files, valid or not."""
        return sum(file.rows for file in self.new)

    @property
    def kept_rows(self) -> int:
        """Rows of the kept files."""
        return sum(old.rows for old, _ in self.kept)


def planned(work: Work, before: Manifest | None) -> Plan:
    """Compares the listed files with those of the store before, if there is one that fits."""
    if before is None:
        return Plan((), (), tuple(sorted(work.relation.files, key=_ordinal)), 0)
    # One file may be listed by two sources.
    known = {(file.source, file.identity): file for file in before.files}
    kept, new = [], []
    for file in work.relation.files:
        old = known.get((file.source, file.listed.identity))
        if old is not None and old.plan == file.plan and not _has_ripened(old, work):
            kept.append((old, file))
        else:
            new.append(file)
    kept, new = _whole_orders(work, list(known.values()), kept, new)
    stay = {old.number for old, _ in kept}
    gone = tuple(old for old in known.values() if old.number not in stay)
    return Plan(tuple(kept), gone, tuple(sorted(new, key=_ordinal)), before.next_number)


def _ordinal(file: ReadFile) -> int:
    return file.ordinal


def _has_ripened(file: StoredFile, work: Work) -> bool:
    """Whether a time that was too late to be believed is not any more."""
    return file.future is not None and file.future < work.rules.valid[1]


_Kept = list[tuple[StoredFile, ReadFile]]


def _whole_orders(
    work: Work, known: Sequence[StoredFile], kept: _Kept, new: list[ReadFile]
) -> tuple[_Kept, list[ReadFile]]:
    """Kept and new files, where orders are made of lines with all or no files of a source among the new."""
    of_lines = {file.source for file in work.relation.files if file.lines}
    stay = {old.number for old, _ in kept}
    changed = {file.source for file in new if file.lines}
    changed |= {old.source for old in known if old.number not in stay and old.source in of_lines}
    again = [file for _, file in kept if file.lines and file.source in changed]
    left = [(old, file) for old, file in kept if not (file.lines and file.source in changed)]
    return left, [*new, *again]


def fits(work: Work, before: Manifest) -> bool:
    """Whether new runs would have the same columns as the old ones."""
    relation, kept = work.relation, work.layout.kept
    return (
        before.signature == work.signature
        and before.columns == tuple(column.name for column in kept)
        and before.kinds == tuple(column.kind for column in kept)
        and before.ids == relation.ids
        and before.has_fine == relation.has_fine
        and before.has_sequence == relation.has_sequence
    )


def without_events(work: Work) -> dict[str, str]:
    """What was listed and gives no events: identity → source."""
    read = {file.listed.identity for file in work.relation.files}
    return {
        file.listed.identity: source.name
        for source in work.sources
        for file in source.files
        if file.listed.identity not in read
    }


def says_the_same(work: Work, before: Manifest) -> bool:
    """Whether a manifest says the same of files that give no events, and of wishes."""
    return (
        before.other == without_events(work)
        and before.damaged == work.damaged
        and set(before.wanted) == set(work.wishes)
    )
