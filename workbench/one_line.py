"""Text of others on one harmless line, for the messages of errors."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Text on one line of at most 500 characters, what would steer a terminal written as an escape."""
    head = text[:500]
    shown = "".join(c if c.isprintable() or c == "\u3000" else ascii(c)[1:-1] for c in head)
    return shown if len(text) <= 500 and len(shown) <= 500 else shown[:499] + "…"
