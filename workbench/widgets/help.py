"""What a screen's help says: what is computed, then the keys that are alive, from the same table that runs them."""

from __future__ import annotations

from collections.abc import Sequence

from queries import QUESTIONS
from workbench.keys import GROUPS, Action, Keymap
from workbench.text import pad, width
from workbench.widgets import Keyed

_HEADINGS = {"screen": "this screen", "rows": "rows and columns"}
_MODES = (
    "Keys work as shown while nothing is being typed; in an input line every printable key types, enter commits, "
    "esc reverts, tab takes the completion. A Chinese input method may stay on: full-width keys mean the same."
)


def help_text(frame: Keyed) -> str:
    """Plain text: the question's summary and rule, then the keys by group of what can be done now.

    For what cannot, it points to the palette, which says why.
    """
    question = QUESTIONS.get(getattr(frame, "question", ""))
    rule = frame.rule_text().strip()
    told = [question.summary] if question is not None and question.summary not in rule else []
    told += [rule] if rule else []
    parts = ["\n\n".join(told)] if told else []
    live = [action for action in frame.keymap.actions if frame.why_not(action.name) is None]
    groups = dict.fromkeys((*GROUPS, *(action.group for action in live)))
    for group in groups:
        if actions := [action for action in live if action.group == group]:
            parts.append("\n".join([_HEADINGS.get(group, group), *_lines(frame.keymap, actions)]))
    if dead := len(frame.keymap.actions) - len(live):
        key = frame.keymap.key_of("palette")
        parts.append(f"{dead} more cannot be done now: {key} lists them, each with the reason.")
    return "\n\n".join([*parts, _MODES])


def _lines(keymap: Keymap, actions: Sequence[Action]) -> list[str]:
    rows: list[tuple[str, str]] = []
    pins = [action for action in actions if action.name.startswith("pin_")]
    for action in actions:
        if action not in pins:
            rows.append(("  ".join(keymap.keys_of(action.name)), action.help))
        elif action is pins[0]:
            # Nine lines that differ in a digit would push the rest out of sight.
            rows.append((_span([keymap.key_of(pin.name) for pin in pins]), "Pinned screens"))
    cells = max(width(keys) for keys, _ in rows)
    return [f"  {pad(keys, cells)}  {text}" for keys, text in rows]


def _span(keys: Sequence[str]) -> str:
    running = [str(number) for number in range(1, 10)]
    return f"{keys[0]}-{keys[-1]}" if list(keys) == running else " ".join(keys)
