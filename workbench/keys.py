"""The keys and what they mean: one table of actions, of which screens, palette, footer and help are made."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from queries.suggest import ask, did_you_mean
from workbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does.

    A key is one printable character (``j``, ``?``), ``space``, or a name as ``enter``, ``shift+tab``, ``ctrl+d``.
    The first is the main key, unmodified; the rest are aliases.
    """

    name: str
    """A screen does it in its method ``do_NAME``; the user's settings name it so."""
    keys: tuple[str, ...]
    label: str
    """A word or two, for the footer."""
    help: str
    """One line, for palette and help."""
    group: str = "screen"
    """The heading it stands under in the help."""


TWICE = "go go"
"""The key of ``top``: that of ``go`` pressed twice, whichever it is."""

GROUPS = ("screen", "move", "screens", "rows", "edit", "ask", "look", "take along", "program")
"""The headings of the help, in order; ``screen`` holds what one screen alone can do."""


def _group(group: str, *actions: tuple[str, str, str, str]) -> tuple[Action, ...]:
    return tuple(Action(name, tuple(keys.split()), label, help, group) for name, keys, label, help in actions)


GLOBAL: tuple[Action, ...] = (
    *_group(
        "move",
        ("left", "h left", "left", "One cell to the left"),
        ("down", "j down", "down", "One row down"),
        ("up", "k up", "up", "One row up"),
        ("right", "l right", "right", "One cell to the right"),
        ("bottom", "G ctrl+end", "bottom", "To the last row"),
        ("half_down", "; ctrl+d", "half down", "Half a page down"),
        ("half_up", "' ctrl+u", "half up", "Half a page up"),
        ("page_down", "_ pagedown", "page down", "A page down"),
        ("page_up", "^ pageup", "page up", "A page up"),
        ("line_start", "@ home", "start", "To the first column"),
        ("line_end", "$ end", "end", "To the last column"),
        ("next_pane", "tab", "next pane", "To the next pane"),
        ("previous_pane", "` shift+tab", "previous pane", "To the pane before"),
        ("previous_tab", "[", "tab before", "To the sub-tab before"),
        ("next_tab", "]", "next tab", "To the next sub-tab"),
        ("enter", "enter", "open", "The people behind a figure, a person's timeline, or edit a field"),
        ("escape", "escape", "one layer back", "Popup, edit, run, find, filter, marks: one after another"),
    ),
    Action("top", (TWICE, "ctrl+home"), "top", "To the first row", "move"),
    *_group(
        "screens",
        ("back", "q", "back", "Back to the screen before"),
        ("quit", "Q", "quit", "Quit, after asking"),
        ("overview", "0", "overview", "The overview"),
        *((f"pin_{n}", str(n), f"pin {n}", f"Pinned screen {n}") for n in range(1, 10)),
        ("go", "g", "go to", "Go to a screen: its letter next; twice: the first row"),
    ),
    *_group(
        "rows",
        ("find", "/", "find", "Find a text in all rows"),
        ("find_next", "n", "next", "The next row found"),
        ("find_previous", "N", "previous", "The row found before"),
        ("filter", "f", "filter", "Show only rows that hold a text"),
        ("sort", "s", "sort", "Sort by this column: descending, ascending, as it was"),
        ("mark", "space", "mark", "Mark the row and go down"),
        ("details", "p", "details", "Every value of the row, whole"),
    ),
    *_group(
        "edit",
        ("add", "a", "add", "Add a line"),
        ("edit", "e i", "edit", "Edit the field or line"),
        ("delete", "d", "delete", "Delete the line"),
        ("duplicate", "D", "duplicate", "Duplicate the line"),
        ("move_down", "J", "move down", "Move the line down"),
        ("move_up", "K", "move up", "Move the line up"),
        ("undo", "u", "undo", "Undo the last change of the question"),
        ("redo", "U", "redo", "Redo what was undone"),
    ),
    *_group(
        "ask",
        ("range", "t", "range", "The time range"),
        ("breakdown", "b", "break down", "Break the answer down by a property"),
        ("compare", "c", "compare", "Compare with the period before, or a segment"),
        ("less", "<", "less", "The value under the cursor, or the screen's main one, down"),
        ("more", ">", "more", "The value under the cursor, or the screen's main one, up"),
        ("run", "r", "run", "Ask again"),
        ("reload", "R", "reload", "List the sources anew, then ask again"),
        ("cancel", "# ctrl+c", "cancel", "Cancel what runs"),
    ),
    *_group(
        "look",
        ("view", "v", "view", "Chart, table, or both"),
        ("zoom", "z", "zoom", "This pane alone, or all"),
        ("sql", "x", "SQL", "The SQL that was asked"),
        ("explain", "E", "explain", "Why the figure is what it is"),
    ),
    *_group(
        "take along",
        ("copy_cell", "y", "copy", "Copy the cell"),
        ("copy_command", "Y", "copy command", "Copy the command line that gives this answer"),
        ("export", "w", "export", "Write the rows to a file"),
        ("save_report", "W", "save", "Save the question as a report"),
        ("save_people", "S", "segment", "Save the people as a segment, after asking"),
        ("open_report", "o", "reports", "Open a saved report"),
        ("history", "H", "history", "What was asked before"),
    ),
    *_group(
        "program",
        ("palette", ": ctrl+p", "commands", "Every action, by name"),
        ("help", "? f1", "help", "What is computed here, and the keys"),
        ("suspend", "% ctrl+z", "suspend", "Back to the shell; fg returns"),
        ("theme", "=", "theme", "The next theme of colours"),
    ),
)
"""What every screen can do; none gives these keys another meaning."""

FREE = frozenset("mABCFILMOPTVXZ&|-+,.(){}!*")
"""The keys that screens may use for actions of their own."""

_SIGNS = str.maketrans(
    "、。【】《》〈〉「」『』〔〕“”‘’·…—¥",
    "/.[]<><>{}{}[]\"\"''`^_$",
)
"""What a Chinese input method sends for a key, where the full-width form is another sign."""

_PRINTED = {"escape": "esc", "pagedown": "pgdn", "pageup": "pgup"}
_MEANT = {printed: key for key, printed in _PRINTED.items()} | {" ": "space", "return": "enter"}
_NAMED = re.compile(
    r"(?:(?:ctrl|alt|shift)\+)*(?:[a-z0-9]|enter|tab|space|escape|backspace|delete|insert"
    r"|up|down|left|right|home|end|pageup|pagedown|f[1-9]|f1[0-2])"
)


def fold(character: str) -> str:
    """The ASCII character of the key that a Chinese input method turned into its full-width form."""
    if character.isascii():
        return character
    folded = unicodedata.normalize("NFKC", character).translate(_SIGNS)
    return folded if len(folded) == 1 else character.translate(_SIGNS)


def one_character(character: str | None) -> str | None:
    """What a key press types; None for enter, tab and the like, to which drivers give a character too."""
    # The full-width space is no printable character to Python.
    typed = character is not None and len(character) == 1 and fold(character).isprintable()
    return character if typed else None


def printed(key: str) -> str:
    """A key as people read it: ``esc``, ``space``, ``ctrl+d``, a character as it is."""
    return _PRINTED.get(key, key)


def spelled(text: str) -> str | None:
    """A key as the settings name it, in the one spelling used here; None for what is no key."""
    if len(text) == 1 and text != " ":
        folded = fold(text)
        return folded if folded.isprintable() and not folded.isspace() else None
    key = _MEANT.get(text.lower(), text.lower())
    return key if _NAMED.fullmatch(key) else None


class Keymap:
    """The keys of one screen: the global actions, its own, and the user's wishes over both."""

    __slots__ = ("_by_key", "_by_name", "actions")

    actions: tuple[Action, ...]
    """The screen's own first, then the global ones."""

    def __init__(
        self, local: Sequence[Action] = (), remapped: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Raises UsageError where two actions would share a key or one would have none."""
        wishes = remapped or {}
        self.actions = tuple(_wished(action, wishes.get(action.name)) for action in (*local, *GLOBAL))
        self._by_name = {action.name: action for action in self.actions}
        self._by_key: dict[str, Action] = {}
        for action in self.actions:
            for key in action.keys:
                other = self._by_key.setdefault(key, action)
                if other is not action:
                    raise UsageError(
                        f"keys: {printed(key)} would be both {other.name} and {action.name}",
                        f"give one of them another key under [keys] of {settings_path()}",
                    )

    def action(self, key: str, character: str | None) -> Action | None:
        """What a key press means in Browse; ``key`` and ``character`` as the terminal's driver names them."""
        typed = one_character(character)
        if typed is None:
            return self._by_key.get(key)
        folded = fold(typed)
        return self._by_key.get("space" if folded == " " else folded)

    def named(self, name: str) -> Action | None:
        """The action of a name."""
        return self._by_name.get(name)

    def key_of(self, name: str) -> str:
        """The main key of an action, as people read it; empty for an action that is not there."""
        keys = self.keys_of(name)
        return keys[0] if keys else ""

    def keys_of(self, name: str) -> tuple[str, ...]:
        """All keys of an action, as people read them, the main one first."""
        action = self._by_name.get(name)
        if action is None:
            return ()
        go = printed(self._by_name["go"].keys[0])
        return tuple(f"{go} {go}" if key == TWICE else printed(key) for key in action.keys)


def _wished(action: Action, keys: Sequence[str] | None) -> Action:
    if keys is None:
        return action
    known = tuple(dict.fromkeys(_checked(key, action.name) for key in keys))
    if not known:
        raise UsageError(f"keys: {action.name} has no key", f"leave it out to keep {printed(action.keys[0])}")
    return Action(action.name, known, action.label, action.help, action.group)


def _checked(text: str, name: str) -> str:
    key = spelled(text)
    if key is None:
        raise UsageError(
            f"keys: {name}: {text!r} is no key",
            "a key is one character, or a name as enter, space, ctrl+d, f5",
        )
    return key


def settings_path() -> Path:
    """The user's settings; the file need not be there."""
    from platformdirs import user_config_path

    return user_config_path("workbench", appauthor=False) / "config.toml"


def load_remapped(known: Iterable[str] | None = None, path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """The table ``[keys]`` of the user's settings: action name → keys; empty without a file.

    With ``known``, the names of all screens' own actions, a name that neither they nor the global actions
    have is refused. Raises UsageError with file, line and column.
    """
    from workbench.toml_reader import Reader, read_toml

    file = settings_path() if path is None else path
    try:
        if not file.exists():
            return {}
    except OSError as error:
        raise UsageError(f"{file}: can't be read: {error.strerror}", "check its owner and mode") from None
    table = Reader(file, read_toml(file)).top.table("keys")
    names = None if known is None else {*known, *(action.name for action in GLOBAL)}
    found: dict[str, tuple[str, ...]] = {}
    for name in table.values:
        if names is not None and name not in names:
            near = did_you_mean(name, sorted(names))
            raise table.error(f"no action is named {name}", name, ask(near) if near else None)
        found[name] = table.texts(name, required=True)
        for key in found[name]:
            if spelled(key) is None:
                raise table.error(
                    f"{name}: {key!r} is no key", name, "one character, or enter, space, ctrl+d …"
                )
    return found


def screen_letters() -> dict[str, str]:
    """The letters after ``go``, each with the name of its question; ASCII letters, unique, never ``g``."""
    from queries import QUESTIONS

    return {question.key: name for name, question in QUESTIONS.items() if question.key is not None}


def one_letter(letters: Collection[str], character: str | None) -> str | None:
    """The letter of a key press after ``go``, where it is one of those there are."""
    folded = fold(character) if character else ""
    return folded if folded in letters else None
