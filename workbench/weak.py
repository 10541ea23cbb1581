"""Methods handed to what their object holds: in a circle, it would only be dropped when garbage is collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakMethod

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


def weakly(method: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """A bound method that does not keep its object; raises ReferenceError once that is gone."""
    held = WeakMethod(method)

    def call(*arguments: _Given.args, **named: _Given.kwargs) -> _Answer:
        found = held()
        if found is None:
            raise ReferenceError("the object of this method is gone")
        return found(*arguments, **named)

    return call
