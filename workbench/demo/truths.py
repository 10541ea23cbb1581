"""What the demo plants, each as a sentence, the command that must find it, and the exact answer.

Every topic is a function from what was counted to its truths; a new topic is a new function in
:data:`TOPICS`. Commands that do not exist yet are written as they will be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.demo import catalogue, days, tables, traffic
from workbench.demo.costs import cost_by_channel
from workbench.demo.draws import Bools, Ints
from workbench.demo.journeys import Planted
from workbench.demo.ledger import WATCHED, Ledger
from workbench.demo.people import PLATFORMS, VERSIONS
from workbench.demo.rows import EVENTS
from workbench.demo.statements import Decoy, Expect, Truth, Value

_DAY_MS = days.MS_DAY


@dataclass(frozen=True, slots=True)
class Counted:
    """Everything the truths are read from when the shop has closed."""

    ledger: Ledger
    planted: Planted
    logged: Bools
    seen: Bools
    family: Ints
    """People who share a device and came at all, by number."""


def _ids(person: Ints) -> tuple[str, ...]:
    return tuple(sorted(str(value) for value in tables.user_ids(person).to_pylist()))


def catalogue_of_events(counted: Counted) -> list[Truth]:
    """How often each event happens."""
    counts = zip(EVENTS, counted.ledger.by_event.tolist(), strict=True)
    return [
        Truth(
            "events",
            "Every event of the shop, and how many of each.",
            "workbench events",
            expected=tuple(Expect({"event": name}, "events", count) for name, count in counts),
        )
    ]


def journey(counted: Counted) -> list[Truth]:
    """The cart lost at a forced login."""
    steps = (
        "--step add_to_cart --step view_cart --step coupon_apply "
        "--step \"login_prompt: reason = 'coupon'\" --step order_paid --window 1d"
    )
    lost, patient = counted.planted.lost, counted.planted.patient
    patience = Decoy(
        "back-and-paid",
        "The same evening and the same login, but the cart was kept and is paid about three hours later.",
        ids=_ids(patient),
    )
    asked = Decoy(
        "asked-at-checkout",
        "Many are sent to log in by the checkout and leave: their prompt's reason is 'checkout'.",
    )
    people = Truth(
        "forced-login",
        "People fill a cart from 21:37, open it at 21:54, type a coupon at 21:55, are sent to log in at "
        "21:56, come back about three hours later to an empty cart, and are gone.",
        f"workbench funnel {steps} --users dropped:4",
        ids=_ids(lost),
        decoys=(patience, asked),
    )
    count = Truth(
        "forced-login-count",
        "All of them, and nobody else, stop between the login a coupon asks for and payment.",
        f"workbench funnel {steps}",
        expected=(Expect({"step": 4}, "dropped", len(lost)),),
        decoys=(patience,),
    )
    return [people, count]


def search(counted: Counted) -> list[Truth]:
    """The brand people want and the shop does not have."""
    spellings = dict(zip(catalogue.MISSING_BRAND, counted.ledger.brand_searches.tolist(), strict=True))
    latin = sum(count for text, count in spellings.items() if text.casefold() == "coach")
    quoted = ", ".join(f"'{text}'" for text in catalogue.MISSING_BRAND)
    unknown = Decoy(
        "not-logged",
        "'Gucci' finds an unknown number of products: unknown is not zero.",
        row={"term": "gucci"},
    )
    couch = Decoy("couch", "'Couch' looks alike and finds sofas.", row={"term": "couch"})
    gaps = Truth(
        "missing-brand",
        "Coach (蔻驰, in four spellings) is searched and never found.",
        "workbench search --view gaps",
        expected=(
            Expect({"term": "coach"}, "searches", latin),
            Expect({"term": "coach"}, "no_result", latin),
            Expect({"term": "蔻驰"}, "searches", spellings["蔻驰"]),
            Expect({"term": "蔻驰"}, "no_result", spellings["蔻驰"]),
        ),
        decoys=(unknown, couch),
    )
    searchers = Truth(
        "missing-brand-searchers",
        "So many people searched it.",
        f'workbench funnel --step "search: search_term IN ({quoted}) AND result_count = 0" '
        "--step order_paid --window 7d",
        expected=(Expect({"step": 1}, "users", counted.ledger.brand_searchers(counted.logged)),),
        decoys=(unknown, couch),
    )
    return [gaps, searchers]


def channels(counted: Counted) -> list[Truth]:
    """Visits, orders, help given and money spent, by channel."""
    ledger = counted.ledger
    rows: list[Expect] = []
    costs: list[Expect] = []
    spent = cost_by_channel(ledger)
    for code, channel in enumerate(traffic.CHANNELS):
        sessions, orders = int(ledger.sessions[code]), int(ledger.orders[code])
        rows.append(Expect({"breakdown": channel.name, "step": 1}, "users", sessions))
        rows.append(Expect({"breakdown": channel.name, "step": 2}, "users", orders))
        if channel.fen:
            row: Mapping[str, Value] = {"value": channel.name, "model": "last"}
            costs.append(Expect(row, "cost", spent[code] / 100))
            costs.append(Expect(row, "cpa", spent[code] / 100 / orders if orders else None))
    lookback = 30 * _DAY_MS
    helped = [
        Expect({"value": traffic.CHANNELS[code].name, "model": model}, "conversions", count)
        for code in WATCHED
        for model, count in (
            ("last", int(ledger.orders[code])),
            ("participation", ledger.orders_after(code, lookback, counted.logged)),
        )
    ]
    crowded = Truth(
        "many-visits-few-orders",
        "feed_ads brings more visits than any other paid channel and hardly an order.",
        "workbench funnel --unit session --by channel --step session_start --step order_paid",
        expected=tuple(rows),
        decoys=(
            Decoy(
                "affiliate",
                "affiliate has fewer visits, and a larger share of them buys.",
                row={"breakdown": "affiliate"},
            ),
        ),
    )
    helper = Truth(
        "assists-seldom-closes",
        "content seldom has the order, but is on the way to many.",
        "workbench attribution --conversion order_paid --dimension channel "
        "--model last --model participation --lookback 30d",
        expected=tuple(helped),
        decoys=(
            Decoy(
                "feed",
                "feed_ads has more visits and closes as seldom, but is on the way to fewer orders.",
                row={"value": "feed_ads"},
            ),
        ),
    )
    paid = Truth(
        "costs",
        "What each paid channel costs, in all and for an order it closes.",
        "workbench attribution --conversion order_paid --dimension channel --model last --costs costs.csv",
        expected=tuple(costs),
        tolerance=1e-9,
    )
    return [crowded, helper, paid]


def money(counted: Counted) -> list[Truth]:
    """Buying again, and giving back."""
    ledger = counted.ledger
    buyers, again = ledger.repeat_buyers(30 * _DAY_MS)
    orders = int(ledger.orders.sum())
    return [
        Truth(
            "repurchase",
            "So many people buy, and so many of them again within 30 days.",
            "workbench funnel --step order_paid --step order_paid --window 30d",
            expected=(Expect({"step": 1}, "users", buyers), Expect({"step": 2}, "users", again)),
        ),
        Truth(
            "refunds",
            "So many orders are refunded, each in full, three to twelve days later.",
            "workbench funnel --hold order_id --step order_paid --step refund --window 30d",
            expected=(Expect({"step": 1}, "users", orders), Expect({"step": 2}, "users", ledger.refunds)),
        ),
    ]


def _two_steps(names: Sequence[str], counts: Ints) -> tuple[Expect, ...]:
    """Both steps of a funnel broken down by names."""
    return tuple(
        Expect({"breakdown": name, "step": step + 1}, "users", int(counts[code, step]))
        for code, name in enumerate(names)
        for step in (0, 1)
    )


def losses(counted: Counted) -> list[Truth]:
    """Carts lost on one platform, payments failing on one version."""
    carts = _two_steps(PLATFORMS, counted.ledger.platform_sessions)
    payments = _two_steps(VERSIONS, counted.ledger.version_sessions)
    return [
        Truth(
            "cart-loss-web",
            "Of the sessions that fill a cart, far fewer reach the checkout on the web than elsewhere.",
            "workbench funnel --unit session --by platform --step add_to_cart --step checkout --window 1d",
            expected=carts,
            decoys=(Decoy("app", "The app fills as many carts, and keeps them.", row={"breakdown": "app"}),),
        ),
        Truth(
            "payment-failure",
            "Payments fail more often on app version 5.2.0 than on any other.",
            "workbench funnel --unit session --by app_version --step checkout --step order_paid --window 1d",
            expected=payments,
            decoys=(Decoy("next-version", "5.2.1 is as new, and works again.", row={"breakdown": "5.2.1"}),),
        ),
    ]


def identity(counted: Counted) -> list[Truth]:
    """Devices, logins and the people they make; the table behind it is truth/people.parquet."""
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
        Expect({}, "people", users + anonymous),
        Expect({}, "devices_without_login", anonymous),
        Expect({}, "devices_with_several_logins", int(both.sum())),
        Expect({}, "people_on_several_devices", int(logged.all(axis=1).sum())),
    )
    return [
        Truth(
            "identity",
            "Devices that log in belong to their one login; a family's device has several; some people use "
            "the mini program and the app.",
            "workbench identity",
            expected=totals,
            decoys=(
                Decoy("family", "Two people of a family share a device and stay two."),
                Decoy("two-anonymous", "A person who logs in on neither of two devices counts as two."),
            ),
        )
    ]


TOPICS: tuple[Callable[[Counted], list[Truth]], ...] = (
    catalogue_of_events,
    journey,
    search,
    channels,
    money,
    losses,
    identity,
)


def all_truths(counted: Counted) -> list[Truth]:
    """Every planted truth, in the order they are written."""
    return [truth for topic in TOPICS for truth in topic(counted)]
