"""Carts lost on one platform, payments failing on one version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from workbench.demo import rows
from workbench.demo.draws import Ints
from workbench.demo.people import PLATFORMS, VERSIONS
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, Topic, World


class Losses(Topic):
    """Sessions that fill a cart, check out, pay."""

    name: ClassVar[str] = "losses"
    number: ClassVar[int] = 16

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._platforms = np.zeros((len(PLATFORMS), 2), dtype=np.int64)
        self._versions = np.zeros((len(VERSIONS), 2), dtype=np.int64)

    def note(self, part: Part) -> None:
        """Counts sessions by platform and by app version."""
        adds, checks, pays = (part.does(event) for event in (rows.ADD, rows.CHECKOUT, rows.PAID))
        platform, version = part.rows.platform[part.first], part.rows.version[part.first]
        for column, which in enumerate((adds, adds & checks)):
            self._platforms[:, column] += np.bincount(platform[which], minlength=len(PLATFORMS))
        on_app = version >= 0
        for column, which in enumerate((checks & on_app, checks & pays & on_app)):
            self._versions[:, column] += np.bincount(version[which], minlength=len(VERSIONS))

    def truths(self, counted: Counted) -> list[Truth]:
        """The web loses carts, 5.2.0 loses payments."""
        return [
            Truth(
                "cart-loss-web",
                "Of the sessions that fill a cart, far fewer reach the checkout on the web than elsewhere.",
                "workbench funnel --unit session --by platform --step add_to_cart --step checkout --window 1d",
                expected=_two_steps(PLATFORMS, self._platforms),
                decoys=(
                    Decoy("app", "The app fills as many carts, and keeps them.", row={"breakdown": "app"}),
                ),
            ),
            Truth(
                "payment-failure",
                "Payments fail more often on app version 5.2.0 than on any other.",
                "workbench funnel --unit session --by app_version --step checkout --step order_paid "
                "--window 1d",
                expected=_two_steps(VERSIONS, self._versions),
                decoys=(
                    Decoy("next-version", "5.2.1 is as new, and works again.", row={"breakdown": "5.2.1"}),
                ),
            ),
        ]


def _two_steps(names: Sequence[str], counts: Ints) -> tuple[Expect, ...]:
    """Both steps of a funnel broken down by names."""
    return tuple(
        Expect({"breakdown": name, "step": step + 1}, "users", int(counts[code, step]))
        for code, name in enumerate(names)
        for step in (0, 1)
    )
