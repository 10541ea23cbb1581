"""Which columns questions missed in a store: the next import keeps them too, so that such questions need no files."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

EVERY = "*"
"""Stands for every column there is: one person's timeline shows all of them."""

MOST = 200
"""Names that are remembered."""
_MOST_BYTES = 1_000_000


def path_of(root: Path) -> Path:
    """Where the wishes for a store lie; ``root`` is the store's folder, there or not."""
    return root.with_name(f"{root.name}.wanted.json")


def wanted(root: Path) -> frozenset[str]:
    """The columns wanted of a store, :data:`EVERY` among them; none where nothing can be read."""
    try:
        with path_of(root).open("rb") as file:
            names = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return (
        frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
    )


def want(root: Path, names: Collection[str]) -> None:
    """Remembers columns; a cache that cannot be written only leaves questions as slow as they are."""
    known = wanted(root)
    more = known | frozenset(names)
    if more == known or EVERY in known or len(more) > MOST:
        return
    place = path_of(root)
    temporary = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    with suppress(OSError, ValueError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            temporary.write_text(json.dumps(sorted(more)), "utf-8")
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
