"""Loads what stays to the end without the garbage collector going through it, then and ever after.

Modules make some hundred thousand objects that are never garbage. Each time the collector counts them all, every
thread stands still for 30 to 170 ms: twice before the first answer, and in the middle of a key press.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """What is imported inside is not looked through again; only imports belong there, no data."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # The engine's binding tells of every object of its own that is left over at the end.
        atexit.register(gc.unfreeze)
        if was:
            gc.enable()
