"""Saved reports: questions as files that people read, edit and keep in git, with what they were when saved."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from queries.question import QuestionError
from queries.saved import SavedError, request_of, rescoped, savable, to_save
from queries.suggest import hint, shown
from workbench import SEMANTICS_VERSION, __version__
from workbench.errors import QueryFailed, UsageError
from workbench.toml_reader import Reader, Table, read_toml
from workbench.workspace import find

if TYPE_CHECKING:
    from tomlkit.items import Item

    from queries.question import Request, Result

FOLDER, ENDING = "reports", ".toml"
SCHEMA = 1
"""The newest layout of a report file this program reads."""
MOST_BYTES = 200
"""Of a name: file systems take 255 with what is put behind it."""

_KEYS = ("schema", "report", "title", "request", "provenance")
_NAME = re.compile(r"\w[\w .+-]*")


@dataclass(frozen=True, slots=True)
class SavedReport:
    """A report file, read: its question with paths as seen from the current folder."""

    path: Path
    request: Request
    title: str | None
    provenance: Mapping[str, object]
    """What was true when it was saved; whatever stands there, of whatever type."""

    @property
    def name(self) -> str:
        """The name under which a workspace has it."""
        return self.path.stem

    @property
    def semantics(self) -> str | None:
        """The semantics version it was saved under, where the file says it."""
        value = self.provenance.get("semantics")
        return value if isinstance(value, str) else None

    @property
    def saved_at(self) -> str | None:
        """When it was saved, as ISO 8601."""
        value = self.provenance.get("saved_at")
        return value.isoformat() if isinstance(value, datetime) else value if isinstance(value, str) else None


# --- where ------------------------------------------------------------------------------------------------


def folder() -> Path | None:
    """The folder of the workspace's reports, whether it is there or not; None outside of a workspace."""
    try:
        file = find(Path.cwd())
    except FileNotFoundError:
        # The folder we are in was removed.
        return None
    return None if file is None else file.parent / FOLDER


def names() -> list[str]:
    """The names of the workspace's reports, in their order."""
    place = folder()
    if place is None or not place.is_dir():
        return []
    return sorted(file.stem for file in place.glob("*" + ENDING) if file.is_file())


def locate(name: str) -> Path:
    """The file of a report by its name in the workspace, or by its path, which ends in ``.toml``.

    Raises UsageError, with what may have been meant, where there is none.
    """
    known = names()
    if not name.endswith(ENDING):
        place = folder()
        if name in known and place is not None:
            return place / (name + ENDING)
        if place is None:
            raise UsageError(
                f"no report named {shown(name)}: there is no workspace here",
                "name its file, which ends in .toml, or start in the workspace with -C",
            )
        there = f"there are: {', '.join(known[:8])}" if known else "--save NAME beside a question saves one"
        raise UsageError(f"no report named {shown(name)} in {place}", hint(name, known) or there)
    path = _expanded(name)
    if not os.path.lexists(path):
        near = hint(path.stem, known)
        raise UsageError(f"{name}: no such file", near or "a report of the workspace goes by its name alone")
    return path


def destination(name: str, *, force: bool) -> Path:
    """The file that ``--save`` will write; asked before the work begins.

    A name is a file in the workspace's ``reports``, what ends in ``.toml`` is a path. Raises UsageError where it
    cannot be; ``force`` replaces what reads as a report, and nothing else.
    """
    if name.endswith(ENDING):
        path = _expanded(name)
        if not path.parent.is_dir():
            raise UsageError(f"--save {name}: there is no folder {path.parent}")
    else:
        if not _NAME.fullmatch(name) or name != name.strip() or len(os.fsencode(name)) > MOST_BYTES:
            raise UsageError(
                f"--save {shown(name)} is no name for a report",
                "letters, digits, blanks and . + - _, or a path that ends in .toml",
            )
        place = folder()
        if place is None:
            raise UsageError(
                f"--save {name}: there is no workspace here to keep it",
                f"give a path: --save ./{name}{ENDING}",
            )
        path = place / (name + ENDING)
    if os.path.lexists(path):
        if not force:
            raise UsageError(f"--save: {_seen(path)} exists", "give --force to replace it, or another name")
        try:
            read(path)
        except UsageError as error:
            raise UsageError(
                f"--save: {_seen(path)} is not a report this program can replace: {error.message}",
                "move it away, or give another name",
            ) from None
    return path


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise UsageError(f"{name}: nobody of that name has a home here") from None


def _seen(path: Path) -> str:
    """A path as messages name it: from the current folder where it lies below."""
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)


# --- reading ----------------------------------------------------------------------------------------------


def read(path: Path) -> SavedReport:
    """A report file; raises UsageError with file, line and column for anything that is none."""
    reader = Reader(path, read_toml(path))
    top = reader.top
    version = top.values.get("schema")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA:
        raise top.error(
            f"written for schema {version}; this program reads up to {SCHEMA}",
            "schema",
            "use a newer workbench for this report",
        )
    if "report" not in top.values:
        raise reader.error("is no saved report: it does not say which", 'report = "funnel" says it', ())
    top.only(_KEYS)
    if "schema" not in top.values:
        raise top.error("schema is missing", "schema", "write schema = 1")
    top.integer("schema", 1, SCHEMA)
    report = top.choice("report", savable()) or ""
    table = top.table("request")
    try:
        request = request_of(report, {key: _value(table, key) for key in table.values})
    except QuestionError as error:
        key = error.key if isinstance(error, SavedError) else None
        raise reader.error(
            error.message, error.hint, ("request",) if key is None else ("request", key)
        ) from None
    return SavedReport(
        path=path,
        request=_with_paths(request, lambda text: _from_file(text, path.parent)),
        title=top.text("title"),
        provenance=top.table("provenance").values,
    )


def _value(table: Table, key: str) -> object:
    value = table.values[key]
    # A date may be written as TOML's own.
    return table.moment(key) if hasattr(value, "isoformat") else value


def _with_paths(request: Request, moved: Callable[[str], str]) -> Request:
    """The request with its files named from another folder."""
    from queries.question import PeopleRequest

    if isinstance(request, PeopleRequest):
        return PeopleRequest(_with_paths(request.of, moved), request.cell)
    scope = request.scope
    data = tuple(moved(path) for path in scope.data)
    mapping = moved(scope.mapping) if scope.mapping is not None and _is_file(scope.mapping) else scope.mapping
    request = rescoped(request, replace(scope, data=data, mapping=mapping))
    compare = getattr(request, "compare", None)
    if isinstance(compare, str) and _is_file(compare):
        request = replace(request, compare=moved(compare))  # type: ignore[type-var]
    return request


def _is_file(name: str) -> bool:
    """Whether a name that may also be that of a shape or segment is one of a file."""
    return bool(Path(name).suffix) or "/" in name or Path(name).is_file()


def _from_file(text: str, base: Path) -> str:
    if text.startswith("~") or Path(text).is_absolute():
        return text
    return os.path.relpath(base.absolute() / text)


def _to_file(text: str, base: Path) -> str:
    if text.startswith("~") or Path(text).is_absolute():
        return text
    there = os.path.relpath(Path(text).absolute(), base.absolute())
    # With the slash it is a path wherever it is read.
    return there if "/" in there or Path(there).suffix else f"./{there}"


# --- writing ----------------------------------------------------------------------------------------------


def save(path: Path, result: Result, *, force: bool) -> str:
    """Writes the report file of an answer, whole or not at all; returns the command that asks it again.

    Raises UsageError where the file is there (without ``force``) or holds what no text can hold.
    """
    from workbench import output

    title = read(path).title if force and os.path.lexists(path) else None
    text = _text(path, result, title)
    own = folder()
    inside = own is not None and path.parent == own
    if inside:
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise QueryFailed(f"cannot make {path.parent}: {error.strerror}") from error
    with output.atomic(path, force=force) as sink:
        sink.write(text)
    return path.stem if inside else str(path)


def _text(path: Path, result: Result, title: str | None) -> bytes:
    import tomlkit

    from workbench.values import plain

    request = _with_paths(result.request, lambda text: _to_file(text, path.parent))
    document = tomlkit.document()
    document.add(
        tomlkit.comment("A saved report: `workbench run` asks it again. [request] is yours to edit,")
    )
    document.add(tomlkit.comment("[provenance] says what was true when it was saved."))
    document.add("schema", tomlkit.item(SCHEMA))
    document.add("report", tomlkit.item(request.report))
    if title is not None:
        document.add("title", tomlkit.item(title))
    for name, values in (("request", to_save(request)), ("provenance", _provenance(result))):
        table = tomlkit.table()
        for key, value in values.items():
            table.add(key, _item(value if isinstance(value, datetime) else plain(value)))
        document.add(tomlkit.nl())
        document.add(name, table)
    try:
        return document.as_string().encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            "--save: the question holds bytes that are no text, and a report file is text",
            "rename the file or value it names",
        ) from None


def _item(value: object) -> Item:
    import tomlkit

    if isinstance(value, list) and len(value) > 1:
        array = tomlkit.array()
        array.extend(value)
        return array.multiline(True)
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    return tomlkit.item(value)


def _provenance(result: Result) -> dict[str, object]:
    """What was true when the report was saved; what is not known is left out."""
    from workbench.output import command_line

    totals = {
        key: value
        for key, value in result.totals.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    found: dict[str, object] = {
        "saved_at": datetime.now(UTC).replace(microsecond=0),
        "workbench": __version__,
        "semantics": SEMANTICS_VERSION,
        "command": command_line(result.request),
        **{
            key: result.meta.get(key) for key in ("as_of", "timezone", "from", "to", "rows_in_scope", "users")
        },
        "sources": result.meta.get("source"),
        "totals": totals,
    }
    return {key: value for key, value in found.items() if value is not None}
