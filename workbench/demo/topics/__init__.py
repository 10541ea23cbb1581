"""Topics of the shop, each a module of its own; one line a topic here, in the order their hooks run.

Numbers (draws, streams, ids outside sessions): 0 events, 1 journey, 2 identity, 3 search, 4 channels,
5 sharing, 6 slots, 7 products, 8 content, 9 campaign, 10 live, 11 lifecycle, 12 retention, 13 experiments,
14 dirty, 15 money, 16 losses, 17 loop, 18 tills,
19 landing, 20 untagged, 21 bots, 22 cheap, 23 regulars, 24 recall.
"""

from __future__ import annotations

from workbench.demo.topics.base import Topic
from workbench.demo.topics.bots import Bots
from workbench.demo.topics.campaign import Campaign
from workbench.demo.topics.catalogue_of_events import CatalogueOfEvents
from workbench.demo.topics.channels import Channels
from workbench.demo.topics.cheap import Cheap
from workbench.demo.topics.content import Content
from workbench.demo.topics.dirty import Dirty
from workbench.demo.topics.experiments import Experiments
from workbench.demo.topics.identity import Identity
from workbench.demo.topics.journey import Journey
from workbench.demo.topics.landing import Landing
from workbench.demo.topics.lifecycle import Lifecycle
from workbench.demo.topics.live import Live
from workbench.demo.topics.loop import Loop
from workbench.demo.topics.losses import Losses
from workbench.demo.topics.money import Money
from workbench.demo.topics.products import Products
from workbench.demo.topics.recall import Recall
from workbench.demo.topics.regulars import Regulars
from workbench.demo.topics.retention import Retention
from workbench.demo.topics.search import Search
from workbench.demo.topics.sharing import Sharing
from workbench.demo.topics.slots import Slots
from workbench.demo.topics.tills import Tills
from workbench.demo.topics.untagged import Untagged

TOPICS: tuple[type[Topic], ...] = (
    CatalogueOfEvents,
    Journey,
    Identity,
    Search,
    Products,
    Channels,
    Money,
    Losses,
    Slots,
    Content,
    Retention,
    Lifecycle,
    Loop,
    Tills,
    Landing,
    Cheap,
    Untagged,
    Bots,
    Campaign,
    Sharing,
    Regulars,
    Recall,
    Live,
    Experiments,
    Dirty,
)
