"""The list of everything a screen can do: each action with its key, those that cannot be done now with the reason."""

from __future__ import annotations

from workbench.keys import GROUPS
from workbench.widgets import Keyed
from workbench.widgets.popup import Choice, Choose

_LATER = ("screens", "move")
"""Groups that hardly anybody looks for by name stand at the end."""


def palette(frame: Keyed) -> Choose:
    """A list to filter, what can be done now first; what is picked is the name of an action."""
    order = {group: at + len(GROUPS) * (group in _LATER) for at, group in enumerate(GROUPS)}
    keymap = frame.keymap
    found = [(frame.why_not(action.name), action) for action in keymap.actions if action.name != "palette"]
    found.sort(key=lambda one: (one[0] is not None, order.get(one[1].group, 0)))
    choices = [
        Choice(action.name, action.label, action.help, why, keymap.key_of(action.name))
        for why, action in found
    ]
    return Choose("commands", choices, filtering=True)
