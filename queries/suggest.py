"""Finds what somebody meant when a name is not known, so that an error can say it."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

_CUTOFF = 0.6
_WIDTH = 60


def fold(name: str) -> str:
    """A name as it is compared with others: full-width forms (NFKC) and case make no difference."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def did_you_mean(word: str, candidates: Iterable[str], n: int = 3) -> list[str]:
    """The up to ``n`` candidates nearest to ``word``, best first; equal ones in the order of their names.

    Names that differ in case or width alone hide all others; names that start with the word, or hold it as a
    part between separators, count as near.
    """
    wanted = fold(word)[:200]
    if not wanted:
        return []
    names = sorted(set(candidates))
    if same := [name for name in names if fold(name) == fold(word)]:
        return same[:n]
    scored: list[tuple[float, str]] = []
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    for name in names:
        folded = fold(name)[:200]
        matcher.set_seq1(folded)
        ratio = 0.0
        if matcher.real_quick_ratio() >= _CUTOFF and matcher.quick_ratio() >= _CUTOFF:
            ratio = matcher.ratio()
        if len(wanted) >= 3 and (folded.startswith(wanted) or wanted in _parts(folded)):
            ratio = max(ratio, 0.9)
        if ratio >= _CUTOFF:
            scored.append((-ratio, name))
    return [name for _, name in sorted(scored)[:n]]


def hint(word: str, candidates: Iterable[str], n: int = 3) -> str | None:
    """The line ``did you mean "a" or "b"?`` for a name that is not known, or None when nothing is near."""
    near = did_you_mean(word, candidates, n)
    return ask(near) if near else None


def ask(names: Sequence[str]) -> str:
    """The line ``did you mean "a", "b" or "c"?`` over one or more names."""
    quoted = [shown(name) for name in names]
    if len(quoted) == 1:
        return f"did you mean {quoted[0]}?"
    return f"did you mean {', '.join(quoted[:-1])} or {quoted[-1]}?"


def shown(text: str) -> str:
    """Text as a message repeats it: in double quotes, on one line, unprintable characters replaced, cut."""
    short = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
    return '"' + "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in short) + '"'


def _parts(name: str) -> list[str]:
    for separator in "/.-: ":
        name = name.replace(separator, "_")
    return name.split("_")
