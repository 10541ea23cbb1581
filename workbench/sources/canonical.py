"""The canonical columns of events and items with their kinds: what every mapping maps to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from queries.question import ColumnKind
from queries.suggest import ask, did_you_mean

COLUMNS: Mapping[str, ColumnKind] = MappingProxyType(
    {
        "event_id": "text",
        "sequence": "integer",
        "ts": "time",
        "received_ts": "time",
        "event": "text",
        "user_id": "text",
        "anonymous_id": "text",
        "session_id": "text",
        "channel": "text",
        "source": "text",
        "medium": "text",
        "campaign": "text",
        "click_id": "text",
        "referrer": "text",
        "url": "text",
        "page": "text",
        "platform": "text",
        "device": "text",
        "slot": "text",
        "position": "integer",
        "content_id": "text",
        "product_id": "text",
        "product_name": "text",
        "category": "text",
        "search_term": "text",
        "result_count": "integer",
        "query_id": "text",
        "order_id": "text",
        "quantity": "integer",
        "amount": "money",
        "discount": "money",
        "margin": "money",
        "refund_amount": "money",
        "currency": "text",
        "coupon": "text",
        "share_id": "text",
        "referrer_user_id": "text",
        "live_id": "text",
        "host_id": "text",
        "variant": "text",
    }
)
"""Name → kind, in the order a listing shows them; ids of other kinds are ``ids.KIND``, text."""

ITEM_COLUMNS: Mapping[str, ColumnKind] = MappingProxyType(
    {
        name: COLUMNS[name]
        for name in ("order_id", "event_id", "product_id", "category", "quantity", "amount", "margin")
    }
)
"""What an order holds: the columns of the items relation, in order."""

FIXED = ("ts", "ts_given", "fine", "sequence", "place", "source_index", "event")
"""What the events relation yields first, in this order; ``fine`` and ``sequence`` where there is one."""

RESERVED = frozenset(
    (
        *(*FIXED, "person", "session_code", "breakdown_code", "breakdown_value", "held_code", "held_value"),
        *("file_index", "file_row_number"),
    )
)
"""Names a property can't keep: the relation or the reader needs them."""

_OTHER_ID = re.compile(r"ids\.[A-Za-z0-9_-]{1,64}")


def kind_of(name: str) -> ColumnKind:
    """The kind of a canonical column; raises KeyError for any other name."""
    return "text" if _OTHER_ID.fullmatch(name) else COLUMNS[name]


def is_canonical(name: str) -> bool:
    """Whether a name is a canonical column, ``ids.KIND`` included."""
    return name in COLUMNS or _OTHER_ID.fullmatch(name) is not None


def is_id(name: str) -> bool:
    """Whether a canonical column says who it was."""
    return name in ("user_id", "anonymous_id") or _OTHER_ID.fullmatch(name) is not None


def near_canonical(name: str) -> str:
    """The hint for a name that is no canonical column."""
    near = did_you_mean(name, COLUMNS)
    return ask(near) if near else f"canonical columns: {', '.join(COLUMNS)}, ids.KIND"
