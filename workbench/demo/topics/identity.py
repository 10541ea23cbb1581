"""Devices, logins and the people they make; the table behind it is ``truth/people.parquet``."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics import tills
from workbench.demo.topics.base import Counted, Topic


class Identity(Topic):
    """Who is who."""

    name: ClassVar[str] = "identity"
    number: ClassVar[int] = 2

    def truths(self, counted: Counted) -> list[Truth]:
        """Devices, logins, people."""
        seen, logged = counted.seen.reshape(-1, 2), counted.logged.reshape(-1, 2)
        family = np.zeros(len(seen), dtype=np.bool_)
        family[counted.family] = True
        own = seen & ~family[:, None]
        homes = np.unique(counted.family[seen[counted.family, 0]] & ~1)
        both = logged[homes, 0] & logged[homes + 1, 0]
        users = int(logged.any(axis=1).sum())
        anonymous = int((own & ~logged).sum())
        devices = int(own.sum()) + len(homes)
        totals = (
            Expect({}, "devices", devices),
            Expect({}, "users", users),
            Expect({}, "people", users + anonymous + tills.buyers(counted.world)),
            Expect({}, "devices_without_login", anonymous),
            Expect({}, "devices_with_several_logins", int(both.sum())),
            Expect({}, "people_on_several_devices", int(logged.all(axis=1).sum())),
        )
        return [
            Truth(
                "identity",
                "Devices that log in belong to their one login; a family's device has several; some people "
                "use the mini program and the app.",
                "workbench identity",
                expected=totals,
                decoys=(
                    Decoy("family", "Two people of a family share a device and stay two."),
                    Decoy("tills", "A phone number at the tills is a person of its own."),
                    Decoy("two-anonymous", "A person who logs in on neither of two devices counts as two."),
                ),
            )
        ]
