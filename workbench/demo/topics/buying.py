"""Who may be led to buy without blurring what is planted elsewhere."""

from __future__ import annotations

import numpy as np

from workbench.demo import traffic
from workbench.demo.draws import Bools
from workbench.demo.people import BROKEN_VERSION, WEB, People
from workbench.demo.visits import Visits


def at_home(visits: Visits) -> Bools:
    """Visits to the mini program or the app, by channels that do buy.

    The web, where carts are lost, and the channels that seldom close stay as they are.
    """
    elsewhere = np.isin(visits.channel, (traffic.FEED, traffic.CONTENT))
    return np.asarray((visits.platform != WEB) & ~elsewhere, dtype=np.bool_)


def may_pay(people: People, visits: Visits) -> Bools:
    """Those of them whose people log in and whose app takes payments."""
    works = visits.version != BROKEN_VERSION
    return np.asarray(at_home(visits) & works & people.member[visits.person], dtype=np.bool_)
