"""What the paid channels cost: a price a visit, so cost per order is known exactly."""

from __future__ import annotations

from workbench.demo import days, traffic
from workbench.demo.ledger import Ledger


def cost_by_channel(ledger: Ledger) -> list[int]:
    """What each channel costs over all days, in fen."""
    visits = ledger.campaign_visits.sum(axis=0)
    spent = [0] * len(traffic.CHANNELS)
    for campaign, code in enumerate(traffic.CAMPAIGN_CHANNEL):
        spent[code] += int(visits[campaign]) * traffic.CHANNELS[code].fen
    return spent


def cost_lines(ledger: Ledger) -> list[str]:
    """``costs.csv``: a line for each day and campaign with visits; yuan."""
    lines = ["date,channel,campaign,cost"]
    for day in range(days.DAYS):
        for campaign, name in enumerate(traffic.CAMPAIGNS):
            channel = traffic.CHANNELS[traffic.CAMPAIGN_CHANNEL[campaign]]
            fen = int(ledger.campaign_visits[day, campaign]) * channel.fen
            if fen:
                lines.append(f"{days.name(day)},{channel.name},{name},{fen // 100}.{fen % 100:02d}")
    return lines
