"""Where visits come from: channels, their campaigns, what a visit costs and how ready to buy it is.

Planted here: ``content`` is read by many who come back another day by themselves and buy then (it assists and
seldom closes); ``feed_ads`` brings the most visits of all paid channels and hardly an order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.demo.draws import table


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: how often it brings new people, people who know the shop, and people it was read by."""

    name: str
    new: int
    known: int
    primed: int
    eager: int
    """Readiness to fill a cart, in tenths of a direct visit's."""
    fen: int = 0
    """Paid for each visit."""
    campaigns: tuple[str, ...] = ()


CHANNELS = (
    Channel("direct", 12, 38, 50, 10),
    Channel("organic_search", 16, 14, 30, 10),
    Channel("paid_search", 12, 8, 10, 12, 180, ("brand_terms", "generic_terms")),
    Channel("feed_ads", 28, 10, 0, 1, 45, ("spring_feed", "lookalike")),
    Channel("content", 14, 10, 0, 1, 30, ("kol_notes", "video_notes")),
    Channel("weixin_group", 9, 8, 10, 16),
    Channel("push", 0, 10, 0, 9, 2, ("weekly_push",)),
    Channel("affiliate", 9, 4, 0, 8, 120, ("cashback",)),
    Channel("group_buy", 7, 0, 0, 45, 15, ("one_yuan",)),
    Channel("price_compare", 0, 0, 0, 0),
)
CHANNEL_CODE = {channel.name: code for code, channel in enumerate(CHANNELS)}
DIRECT, FEED, CONTENT, PUSH = (CHANNEL_CODE[name] for name in ("direct", "feed_ads", "content", "push"))

NEW = table([channel.new for channel in CHANNELS])
KNOWN = table([channel.known for channel in CHANNELS])
PRIMED = table([channel.primed for channel in CHANNELS])
EAGER = np.array([channel.eager for channel in CHANNELS], dtype=np.int64)

CAMPAIGNS = tuple(name for channel in CHANNELS for name in channel.campaigns)
FIRST_CAMPAIGN = np.array(
    [sum(len(c.campaigns) for c in CHANNELS[:code]) for code in range(len(CHANNELS))], dtype=np.int64
)
CAMPAIGN_COUNT = np.array([len(channel.campaigns) for channel in CHANNELS], dtype=np.int64)
CAMPAIGN_CHANNEL = tuple(code for code, channel in enumerate(CHANNELS) for _ in channel.campaigns)
