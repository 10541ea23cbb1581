"""The list of everything a screen can do: each action with its key, those that cannot be done now with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.keys import GROUPS
from workbench.widgets import Keyed
from workbench.widgets.popup import Choice, Choose

_LATER = ("screens", "move")
"""Groups that hardly anybody looks for by name stand at the end."""


SCREEN = "screen:"
"""Before a screen's name, where a screen is picked and not an action."""


def palette(frame: Keyed, screens: Sequence[tuple[str, str, str]] = ()) -> Choose:
    """A list to filter: what can be done now, then the screens (name, key, what each answers), then the rest.

    What is picked is the name of an action, or of a screen behind :data:`SCREEN`.
    """
    order = {group: at + len(GROUPS) * (group in _LATER) for at, group in enumerate(GROUPS)}
    keymap = frame.keymap
    found = [(frame.why_not(action.name), action) for action in keymap.actions if action.name != "palette"]
    found.sort(key=lambda one: (one[0] is not None, order.get(one[1].group, 0)))
    actions = [
        Choice(action.name, action.label, action.help, why, keymap.key_of(action.name))
        for why, action in found
    ]
    own = [choice for choice in actions if choice.why_not is None]
    rest = [choice for choice in actions if choice.why_not is not None]
    named = [Choice(f"{SCREEN}{name}", f"{name} screen", told, key=key) for name, key, told in screens]
    return Choose("commands", [*own, *named, *rest], filtering=True)
