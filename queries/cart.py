"""What a person has in the cart, event by event: a fold over adds, removals, orders and carts found empty.

The rule. An *add* puts a line into the cart: its product, its quantity (one where the export says none) and its
value. A *remove* takes its quantity of its product out again, at most what is there. An *order* takes the line of
its product; one without a product, or whose product is not in the cart, takes everything. An event of any other
kind that says the cart holds nothing, while by these rules it does, marks every line as *lost*.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["added", "removed", "ordered", "lost"]


@dataclass(frozen=True, slots=True)
class Line:
    """Pieces of one product; ``value`` is that of all of them in minor units, None where it is not known."""

    product: str | None
    name: str | None
    pieces: int
    value: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """What an event did to the cart."""

    kind: Kind
    lines: tuple[Line, ...]

    @property
    def pieces(self) -> int:
        """Pieces of all lines."""
        return sum(line.pieces for line in self.lines)

    @property
    def value(self) -> int | None:
        """Minor units; None where one line's is not known."""
        return value_of(self.lines)


@dataclass(slots=True)
class Cart:
    """The lines of a cart by product, in the order they came."""

    lines: dict[str | None, Line] = field(default_factory=dict)

    def copy(self) -> Cart:
        """The same cart, to go on from."""
        return Cart(dict(self.lines))

    @property
    def pieces(self) -> int:
        """How many pieces are in it."""
        return sum(line.pieces for line in self.lines.values())

    @property
    def value(self) -> int | None:
        """What is in it, in minor units: 0 when it is empty, None where one line's value is not known."""
        return value_of(tuple(self.lines.values()))

    def add(self, line: Line) -> Change | None:
        """Puts a line in; nothing where it has no pieces."""
        if line.pieces <= 0:
            return None
        held = self.lines.get(line.product)
        if held is None:
            self.lines[line.product] = line
        else:
            known = held.value is not None and line.value is not None
            self.lines[line.product] = replace(
                held,
                name=held.name or line.name,
                pieces=held.pieces + line.pieces,
                value=(held.value or 0) + (line.value or 0) if known else None,
            )
        return Change("added", (line,))

    def remove(self, product: str | None, pieces: int) -> Change | None:
        """Takes pieces of a product out; nothing where none is there."""
        held = self.lines.get(product)
        if held is None or pieces <= 0:
            return None
        taken = min(pieces, held.pieces)
        value = None if held.value is None else held.value * taken // held.pieces
        if taken == held.pieces:
            del self.lines[product]
        else:
            left = None if held.value is None or value is None else held.value - value
            self.lines[product] = replace(held, pieces=held.pieces - taken, value=left)
        return Change("removed", (replace(held, pieces=taken, value=value),))

    def order(self, product: str | None) -> Change | None:
        """Takes the line of a product, or everything; nothing where the cart is empty."""
        if product is not None and product in self.lines:
            return Change("ordered", (self.lines.pop(product),))
        return self._emptied("ordered")

    def lose(self) -> Change | None:
        """Takes everything: the export says the cart is empty."""
        return self._emptied("lost")

    def _emptied(self, kind: Kind) -> Change | None:
        if not self.lines:
            return None
        lines = tuple(self.lines.values())
        self.lines.clear()
        return Change(kind, lines)


def value_of(lines: tuple[Line, ...]) -> int | None:
    """The value of lines in minor units; None where one line's is not known."""
    total = 0
    for line in lines:
        if line.value is None:
            return None
        total += line.value
    return total
