"""The signs that screens draw with, in two forms: for terminals that show all of Unicode, and for those that do not.

Who lays something out takes its signs from :class:`Glyphs`. Signs in texts, as the dash of a missing value, are put in
their plain form where lines are drawn (:data:`PLAIN`), each by one of the same width.
"""

from __future__ import annotations

import locale
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One form of every sign."""

    up: str
    down: str
    ok: str
    bad: str
    mark: str
    """A marked row."""
    open: str
    """Still running."""
    point: str
    """The field or row in hand."""
    then: str
    """Between two steps of a way."""
    more: str
    """Something is cut off here."""
    dot: str
    """Between two short texts."""
    lines: str
    """A horizontal line's cell."""
    blocks: str
    """Of a bar's last cell, the eighths from one to eight; one sign: whole cells alone."""
    ticks: str
    """Of a sparkline, low to high."""
    shade: str
    """A bar's part that is not certain, as what is still open."""


UNICODE = Glyphs("▲", "▼", "✓", "!", "●", "◌", "▸", "→", "…", "·", "─", "▏▎▍▌▋▊▉█", "▁▂▃▄▅▆▇█", "░")
ASCII = Glyphs("^", "v", "ok", "!", "*", "o", ">", "->", "~", "-", "-", "#", "_.-=+*#@", ":")


def _pairs() -> dict[str, str]:
    """What stands for a sign in a line that is laid out already: one ASCII character each."""
    blocks, boxes = map(chr, range(0x2580, 0x25A0)), map(chr, range(0x2500, 0x2580))
    found = dict.fromkeys(blocks, "#") | dict.fromkeys(boxes, "+")
    found |= dict.fromkeys("─━┄┅┈┉╌╍═╴╶╸╺╼╾", "-") | dict.fromkeys("│┃┆┇┊┋╎╏║╵╷╹╻╽╿", "|")
    found |= dict(zip(UNICODE.ticks[:-1], ASCII.ticks[:-1], strict=True))
    for name in ("up", "down", "bad", "mark", "open", "point", "more", "dot", "shade"):
        found[getattr(UNICODE, name)] = getattr(ASCII, name)
    found |= {UNICODE.ok: "+", UNICODE.then: ">", "←": "<", "↑": "^", "↓": "v", "–": "-", "—": "-", "−": "-"}
    found |= {"•": "*", "×": "x", "○": "o", "△": "^", "≤": "<", "≥": ">", "≠": "#", "±": "~", "≈": "~"}
    found |= {"‘": "'", "’": "'", "“": '"', "”": '"'}
    return {sign: plain for sign, plain in found.items() if not sign.isascii()}


PLAIN = _pairs()
"""Our signs, each with the ASCII character that takes its place; what else is not ASCII is the data's."""

_BARE = frozenset({"linux", "ansi", "cons25", "vt52", "vt100", "vt102", "vt220"})
"""Terminals whose font has few signs, or none beyond ASCII."""


def wants_ascii(given: bool | None = None) -> bool:
    """Whether plain signs are to be used: as asked, by ``WORKBENCH_ASCII``, or because the terminal has no others."""
    if given is not None:
        return given
    asked = os.environ.get("WORKBENCH_ASCII", "")
    if asked:
        return asked not in ("0", "no", "false")
    return os.environ.get("TERM", "") in _BARE or not reads_utf8()


def reads_utf8() -> bool:
    """Whether the terminal reads UTF-8, as far as the locale says.

    The C locale says nothing: terminals of today do. A named other encoding is meant.
    """
    named = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    # The name counts, not what this machine makes of it: a locale may not be installed where the terminal has it.
    encoding = named.partition(".")[2].partition("@")[0] or locale.getpreferredencoding(False)
    return encoding.lower().replace("-", "") in ("utf8", "ascii", "usascii", "ansi_x3.41968", "646")


def glyphs(ascii_only: bool) -> Glyphs:
    """The form to use."""
    return ASCII if ascii_only else UNICODE
