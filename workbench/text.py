"""Hostile text made harmless on its way to a terminal, and text fitted to terminal cells.

Everything that a person will read in a terminal passes :func:`clean` once, at the moment it is shown. Data
formats (CSV, JSON, Parquet) never do: they keep what the data holds.
"""

from __future__ import annotations

import unicodedata
from contextvars import ContextVar
from functools import lru_cache
from typing import Literal

from workbench.glyphs import PLAIN

NULL = "–"
"""How a missing value is shown."""

REPLACED = "\ufffd"

Align = Literal["left", "right"]

# Beyond the format characters (Cf): selectors, fillers and joiners that take no room and are of other
# categories, and skin tones, which terminals disagree about by two cells.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
)
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0000, 0xE1000))
_REGIONAL_A = 0x1F1E6
_NARROW = (
    range(0x20, 0x7F),
    range(0xAE, 0x300),
    range(0x2010, 0x2028),
    range(0x2190, 0x2200),
    range(0x2500, 0x25A0),
)
"""ASCII, Latin, punctuation, arrows, lines and blocks: one cell each."""

ESCAPES = ContextVar("ESCAPES", default=False)
"""Whether :func:`clean` writes what is not ASCII as an escape: for screens on a terminal that does not read UTF-8.

Of a context, and so not of the worker thread, which writes files.
"""


def clean(value: object, maximum: int = 4096) -> str:
    """A value as text that can do nothing to a terminal and whose width is known.

    Control characters become visible signs, bidirectional and zero-width ones go, what is no character
    becomes U+FFFD, flags become their letters, a base keeps one combining mark, the rest is NFC. Text longer
    than ``maximum`` characters is cut and says how long it was. ``None`` is shown as an en dash. Cleaning
    twice changes nothing more, as long as nothing is cut. Under :data:`ESCAPES` what is not ASCII becomes
    ``\\u`` escapes, our own signs aside.
    """
    if value is None:
        return NULL
    text = value if isinstance(value, str) else str(value)
    if len(text) > maximum:
        return f"{clean(text[:maximum])}… ({len(text):,} characters)"
    if text.isascii() and text.isprintable():
        return text
    shown = harmless(text)
    return escaped(shown) if not shown.isascii() and ESCAPES.get() else shown


def harmless(text: str) -> str:
    """Text as :func:`clean` makes it, neither cut nor escaped."""
    visible = unicodedata.normalize("NFC", "".join(map(_visible, text)))
    return visible if visible.isascii() else _one_mark_a_base(visible)


def escaped(text: str) -> str:
    """Text in ASCII and our own signs, which have a plain form; the rest as ``\\u`` escapes."""
    return "".join(char if char.isascii() or char in PLAIN else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=8192)
def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if char in _INVISIBLE or any(code in selectors for selectors in _SELECTORS):
        return ""
    if _REGIONAL_A <= code < _REGIONAL_A + 26:
        return chr(ord("A") + code - _REGIONAL_A)
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    if category[0] == "C" or category in ("Zl", "Zp"):
        return REPLACED
    return char


def _one_mark_a_base(text: str) -> str:
    out: list[str] = []
    free = False
    for char in text:
        if _cells(char):
            free = True
        elif not out:
            # Without a base it would land on whatever stands to the left of the text.
            out.append("\u25cc")
        elif not free:
            continue
        else:
            free = False
        out.append(char)
    return "".join(out)


@lru_cache(maxsize=8192)
def _cells(char: str) -> int:
    code = ord(char)
    if any(code in codes for codes in _NARROW):
        return 1
    # Imported late: its tables take longer to load than all of an ASCII run.
    from wcwidth import wcwidth

    return max(wcwidth(char), 0)


def width(text: str) -> int:
    """The terminal cells that cleaned text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def clip(text: str, cells: int) -> str:
    """Cleaned text in at most so many cells, ``…`` at the end where something is left out."""
    if width(text) <= cells:
        return text
    if cells < 1:
        return ""
    out: list[str] = []
    used = 1
    for char in text:
        used += _cells(char)
        if used > cells:
            break
        out.append(char)
    return "".join(out) + "…"


def pad(text: str, cells: int, align: Align = "left") -> str:
    """Cleaned text in exactly so many cells, clipped or filled with spaces."""
    fitted = clip(text, cells)
    space = " " * (max(cells, 0) - width(fitted))
    return space + fitted if align == "right" else fitted + space
