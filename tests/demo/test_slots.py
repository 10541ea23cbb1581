"""Home slots, counted again from the written rows."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from tests.shop import WrittenShop, named

SLOTS = ("new_arrivals", "flash_sale", "live_entry", "brand_zone")
HALF_HOUR = 30 * 60_000


def counts(shop: WrittenShop, position: int | None = None) -> dict[str, tuple[int, int]]:
    """By slot: people who were shown it (at a position), and who clicked it within half an hour."""
    shown: dict[tuple[str, str], list[int]] = defaultdict(list)
    clicked: set[tuple[str, str]] = set()
    for event in shop.events:
        own = (event["person"], event["slot"])
        if event["event"] == "slot_exposure" and position in (None, event["position"]):
            shown[own].append(event["ts"])
        if event["event"] == "slot_click" and any(event["ts"] - ts <= HALF_HOUR for ts in shown[own]):
            clicked.add(own)
    own_shown = {own for own, times in shown.items() if times}
    return {s: (sum(o[1] == s for o in own_shown), sum(o[1] == s for o in clicked)) for s in SLOTS}


def test_clicks_by_slot(shop: WrittenShop) -> None:
    for name, position in (("slot-clicks", None), ("slot-clicks-on-top", 1)):
        for slot, (shown, clicked) in counts(shop, position).items():
            assert shop.expected(name, "users", breakdown=slot, step=1) == shown > 100
            assert shop.expected(name, "users", breakdown=slot, step=2) == clicked > 10


def test_new_arrivals_is_good_only_by_its_position(shop: WrittenShop) -> None:
    everywhere, on_top = counts(shop), counts(shop, 1)
    rate = {slot: clicked / shown for slot, (shown, clicked) in everywhere.items()}
    top = {slot: clicked / shown for slot, (shown, clicked) in on_top.items()}
    assert rate["new_arrivals"] > 1.3 * rate["live_entry"]
    assert 0.8 < top["new_arrivals"] / top["live_entry"] < 1.3
    assert top["flash_sale"] > 1.8 * top["new_arrivals"]


def test_clicks_are_not_money(shop: WrittenShop) -> None:
    bought = {}
    for slot in ("flash_sale", "brand_zone", "live_entry"):
        clicked, paid = shop.reaching([named("slot_click", slot=slot), "order_paid"], HALF_HOUR)
        bought[slot] = len(paid) / len(clicked)
        if slot != "live_entry":
            name = f"slot-revenue-{slot.replace('_', '-')}"
            assert shop.expected(name, "users", step=1) == len(clicked)
            assert shop.expected(name, "users", step=2) == len(paid)
    assert bought["flash_sale"] < 0.02
    assert bought["brand_zone"] > 0.2
    assert bought["live_entry"] < 0.1


def test_exposures_stand_behind_the_first_home_view_and_a_click_behind_its_exposure(
    shop: WrittenShop,
) -> None:
    homes = with_slots = 0
    for rows in shop.sessions.values():
        slots = [e for e in rows if e["event"] in ("slot_exposure", "slot_click")]
        shown = [e["position"] for e in slots if e["event"] == "slot_exposure"]
        assert shown == list(range(1, len(shown) + 1))
        homes += any(e["event"] == "home_view" for e in rows)
        with_slots += bool(shown)
        assert len(slots) - len(shown) <= 1
        for before, event in pairwise(rows):
            if event["event"] == "slot_click":
                assert before["event"] == "slot_exposure"
                assert event["slot"] in {e["slot"] for e in slots if e["event"] == "slot_exposure"}
    # Planted people see no slots.
    assert homes * 0.95 < with_slots <= homes
