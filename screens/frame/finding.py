"""Finding, filtering and sorting the rows of a screen's table, and everything one row holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from workbench.text import clean, pad, width

if TYPE_CHECKING:
    from screens.base import Frame
    from workbench.tables import Table
    from workbench.widgets.grid import Grid


@dataclass(slots=True)
class Sought:
    """What is done to a grid's rows beside the answer itself."""

    whole: Table
    """The rows as the answer has them."""
    text: str | None = None
    """What is looked for."""
    holds: str | None = None
    """The filter."""
    by: tuple[str, bool] | None = None
    """The key sorted by, and whether descending."""


_SOUGHT: WeakKeyDictionary[Grid, Sought] = WeakKeyDictionary()


def sought(frame: Frame) -> Sought | None:
    """What is done to the rows of the grid in hand; None while it has none."""
    grid = frame.grid
    if grid.table is None:
        return None
    found = _SOUGHT.get(grid)
    # Another answer's rows begin afresh: a filter of the old one would hide what is new.
    if found is None or not grid.table.is_of(found.whole):
        found = _SOUGHT[grid] = Sought(grid.table)
    return found


def filter_rows(frame: Frame) -> None:
    """Asks for a text; only rows that hold it stay."""
    now = sought(frame)

    def done(text: str) -> None:
        # Another answer may have come while it was typed.
        now = sought(frame)
        if now is not None:
            now.holds = text or None
            _arranged(frame, now)

    frame.prompt.ask(
        "filter", (now.holds if now else None) or "", done=done, hint="rows that hold this text; empty: all"
    )


def find(frame: Frame) -> None:
    """Asks for a text and goes to the next row that holds it."""
    now = sought(frame)

    def done(text: str) -> None:
        now = sought(frame)
        if now is not None:
            now.text = text or None
            again(frame, 1, here=True)

    frame.prompt.ask(
        "find", (now.text if now else None) or "", done=done, hint="in all rows; n the next, N the one before"
    )


def again(frame: Frame, step: int, *, here: bool = False) -> None:
    """Goes to the next row that holds the text looked for."""
    now, grid = sought(frame), frame.grid
    if now is None or grid.table is None or now.text is None:
        frame.say("nothing is looked for: / asks")
        return
    text, table, start = now.text, grid.table, grid.cursor_row + (0 if here else step)

    def done(place: int | None) -> None:
        if grid.table is not table:
            frame.say("")
        elif place is None:
            frame.say(f"no row holds {text}")
        else:
            grid.go_to(place)
            frame.say("")

    frame.aside(lambda task: _around(table, text, start, step), done, f"looking for {text}")


def _around(table: Table, text: str, start: int, step: int) -> int | None:
    """The next place, going on at the other end."""
    count = len(table)
    found = table.find(text, start, step) if 0 <= start < count else None
    return found if found is not None else table.find(text, 0 if step > 0 else count - 1, step)


def sort(frame: Frame) -> None:
    """By the column under the cursor: descending, ascending, as the answer has it."""
    now, key = sought(frame), frame.grid.cursor_key
    if now is None or key is None:
        return
    if now.by is None or now.by[0] != key:
        now.by = (key, True)
    else:
        now.by = (key, False) if now.by[1] else None
    _arranged(frame, now)


def peel(frame: Frame) -> bool:
    """Takes the find, the filter or the marks away, one at a time; False where there was none."""
    now = sought(frame)
    if now is not None and now.text is not None:
        now.text = None
        frame.say("no longer looking")
        return True
    if now is not None and now.holds is not None:
        now.holds = None
        _arranged(frame, now)
        return True
    if frame.grid.marks:
        frame.grid.clear_marks()
        return True
    return False


def arranged(frame: Frame) -> Sought | None:
    """What is done to the rows of the grid in hand, to be done to those of the same question's next answer."""
    return sought(frame) if frame.grids() else None


def arrange_again(frame: Frame, before: Sought | None, told: str = "") -> None:
    """Finds, filters and sorts another answer's rows as the ones before; says ``told`` when that is done."""
    now = sought(frame) if frame.grids() else None
    if before is None or now is None or now is before:
        return
    now.text, now.holds, now.by = before.text, before.holds, before.by
    if now.holds is not None or now.by is not None:
        _arranged(frame, now, told)


def _arranged(frame: Frame, now: Sought, told: str = "") -> None:
    grid = frame.grid

    def work(_task: object) -> Table:
        table = now.whole if now.holds is None else now.whole.filtered(now.holds)
        return table if now.by is None else table.sorted(*now.by)

    def done(table: Table) -> None:
        if grid.table is None or not grid.table.is_of(now.whole):
            # Rows of an answer that another one took the place of meanwhile.
            frame.say("")
            return
        grid.rearrange(table)
        frame.say(told)

    frame.aside(work, done, "sorting")


def state_text(frame: Frame) -> str:
    """The filter, the sort and the marks in force, for as long as they are; empty without any."""
    if not frame.grids() or frame.grid.table is None:
        return ""
    table = frame.grid.table
    parts = []
    if table.filter_text:
        parts.append(f'{len(table):,} of {table.total:,} rows hold "{table.filter_text}"')
    if table.sort is not None:
        heading = next((one.heading for one in table.columns if one.key == table.sort.key), table.sort.key)
        parts.append(f"by {heading}, {'largest' if table.sort.descending else 'smallest'} first")
    marks = len(frame.grid.marks)
    if marks:
        parts.append(f"{marks:,} marked")
    return "; ".join(parts)


def place_text(frame: Frame) -> str:
    """Where the cursor is, for the right end of the status line."""
    if not frame.grids() or frame.grid.table is None or not len(frame.grid.table):
        return ""
    return f"{frame.grid.cursor_row + 1:,}/{len(frame.grid.table):,} "


def details(frame: Frame) -> None:
    """Everything the row under the cursor holds, exactly."""
    from workbench.widgets.popup import Panel

    row = frame.grid.current_row()
    if row is None:
        return
    names = {name: clean(name) for name in row}
    cells = max(map(width, names.values()))
    lines = [f"{pad(names[name], cells)}  {written(value)}" for name, value in row.items()]
    frame.app.push_screen(Panel("row", "\n".join(lines)))


def written(value: object) -> str:
    """A value as JSON writes it: what is not printable is seen as its escape."""
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=isinstance(value, str), default=str)
