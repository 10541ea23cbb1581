"""The signs that screens draw with, in two forms: for terminals that show all of Unicode, and for those that do not."""

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


def wants_ascii(given: bool | None = None) -> bool:
    """Whether plain signs are to be used: as asked, by ``WORKBENCH_ASCII``, or because the locale has no others."""
    if given is not None:
        return given
    asked = os.environ.get("WORKBENCH_ASCII", "")
    if asked:
        return asked not in ("0", "no", "false")
    named = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    if "utf-8" in named.lower() or "utf8" in named.lower():
        return False
    # In the C locale Python writes UTF-8, and so do the terminals of today; a named other encoding is meant.
    encoding = locale.getpreferredencoding(False).lower().replace("-", "")
    return os.environ.get("TERM") == "linux" or encoding not in ("utf8", "ascii", "ansi_x3.41968")


def glyphs(ascii_only: bool) -> Glyphs:
    """The form to use."""
    return ASCII if ascii_only else UNICODE
