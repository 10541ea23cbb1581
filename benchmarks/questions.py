"""The funnels of the target table: what is asked, of whom, and what is allowed."""

from __future__ import annotations

import peers
from bench import Missing, Question
from measuring import Limit
from ours import second_funnel
from peers import Funnel

_EVENTS = ("search", "product_view", "add_to_cart", "checkout", "order_paid")
BARE = Funnel(_EVENTS, ("",) * 5)
CONDITIONS = Funnel(
    _EVENTS, ("result_count > 0", "category IN ('女装', '家居', '美妆')", "", "", "amount >= 100")
)
_SHORTER = Funnel(("search", "product_view", "add_to_cart", "order_paid"), ("",) * 4)

QUESTIONS = (
    Question(
        "funnel",
        "funnel, 5 bare steps, 7 days",
        {
            "workbench": lambda b: b.ours.open_funnel(BARE),
            "with opening": lambda b: b.ours.whole_funnel(BARE),
            "scan": lambda b: peers.scan(b.prepared, b.threads),
            "scan of files": lambda b: peers.scan_files(b.prepared, b.threads),
            "MergeTree": lambda b: b.clickhouse.merge_tree(BARE),
            "ClickHouse": lambda b: b.clickhouse.raw(BARE),
            "DuckDB SQL": lambda b: peers.asof_chain(b.prepared, BARE, b.threads),
            "Polars": lambda b: peers.polars_chain(b.prepared, BARE, b.threads),
        },
        (Limit("scan", 3), Limit("MergeTree", 0.2), Limit("ClickHouse", 0.06), Limit("private", 0.5, "GB")),
        "searching only among the people whom the step before left over",
    ),
    Question(
        "conditions",
        "funnel, 5 steps of which 3 have conditions on properties",
        {
            "workbench": lambda b: b.ours.open_funnel(CONDITIONS),
            "first question": lambda b: b.ours.first_funnel(CONDITIONS),
            "scan": lambda b: peers.scan(b.prepared, b.threads),
            "MergeTree": lambda b: b.clickhouse.merge_tree(CONDITIONS),
            "ClickHouse": lambda b: b.clickhouse.raw(CONDITIONS),
        },
        (Limit("scan", 8), Limit("MergeTree", 0.6), Limit("private", 1.0, "GB")),
        "columns of properties made in the background, so that no first question has to",
    ),
    Question(
        "breakdown",
        "breakdown of the bare funnel by channel",
        {
            "workbench": lambda b: b.ours.open_funnel(BARE, "channel"),
            "first question": lambda b: b.ours.first_funnel(BARE, "channel"),
            "plain": lambda b: b.ours.open_funnel(BARE),
            "MergeTree": lambda b: b.clickhouse.merge_tree(BARE, "channel"),
            "ClickHouse": lambda b: b.clickhouse.raw(BARE, "channel"),
        },
        (Limit("plain", 2),),
        "columns of properties made in the background, so that no first question has to",
    ),
    Question(
        "raw",
        "funnel over the files, no store: people",
        {
            "workbench": lambda b: b.ours.files_funnel(BARE),
            "ClickHouse": lambda b: b.clickhouse.raw(BARE),
        },
        (Limit("ClickHouse", 0.8),),
        "one pass for the distinct ids and the steps' events together; footers read once",
        in_store=False,
    ),
    Question(
        "raw-ids",
        "funnel over the files, no store: raw ids",
        {
            "workbench": lambda b: b.ours.files_funnel(BARE, unit="raw"),
            "ClickHouse": lambda b: b.clickhouse.raw(BARE, linked=False),
        },
        (),
        "numbering only people who have one of the steps' events",
        in_store=False,
    ),
    Question(
        "raw-breakdown",
        "funnel over the files, no store: people by channel",
        {
            "workbench": lambda b: b.ours.files_funnel(BARE, by="channel"),
            "ClickHouse": lambda b: b.clickhouse.raw(BARE, "channel"),
        },
        (),
        "the property read in the pass that reads the steps' events",
        in_store=False,
    ),
    Question(
        "key-press",
        "key press to a new funnel's table, in an open program",
        {
            "workbench": lambda b: second_funnel(b.ours, BARE, _SHORTER),
            "MergeTree": lambda b: b.clickhouse.merge_tree(_SHORTER),
        },
        (Limit("seconds", 0.2, "s"), Limit("MergeTree", 1)),
        "the fold itself; drawing is a few milliseconds",
    ),
)

MISSING = (
    Missing("attribution", "attribution, 8 models"),
    Missing("retention", "retention"),
    Missing("segment", "segment of 3 conditions"),
    Missing("search", "search gaps"),
    Missing("paths", "paths"),
)
