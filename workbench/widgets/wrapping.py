"""Text broken into lines by terminal cells, between words where there are any: half of ours is Chinese."""

from __future__ import annotations

from workbench.text import width


def wrapped(line: str, cells: int) -> list[str]:
    """Cleaned text in lines of at most so many cells, broken between words where it can be.

    What follows an indented line is indented further; prose is not.
    """
    if width(line) <= cells:
        return [line]
    before = len(line) - len(line.lstrip(" "))
    indent = min(before + 2, cells // 2) if before else 0
    out: list[str] = []
    rest = line
    while rest:
        room = max(cells - (indent if out else 0), 2)
        at = _fitting(rest, room)
        if at < len(rest):
            space = rest.rfind(" ", 0, at + 1)
            # Leading spaces are no place to break.
            at = space if rest[: max(space, 0)].strip() else at
        out.append(" " * (indent if out else 0) + rest[:at].rstrip(" "))
        rest = rest[at:].lstrip(" ")
    return out


def _fitting(text: str, cells: int) -> int:
    """How many characters fit; one at least."""
    if text.isascii():
        return min(max(cells, 1), len(text))
    used = 0
    for at, char in enumerate(text):
        used += width(char)
        if used > cells:
            return max(at, 1)
    return len(text)
