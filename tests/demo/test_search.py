"""Searching, counted again from the written rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from math import sqrt

import pyarrow.compute as pc
import pytest

from tests.shop import Event, WrittenShop, named

HALF_HOUR = 30 * 60_000
SOURCES = ("typed", "hot", "history", "suggestion")
LETTERS = {"空气炸锅": ("空", "空气", "空气炸"), "running shoes": ("run", "running")}


def searched(term: str) -> Callable[[Event], bool]:
    return named("search", search_term=term)


def queries(shop: WrittenShop) -> list[tuple[Event, bool]]:
    """Every search, and whether it was clicked."""
    clicked = {e["query_id"] for e in shop.events if e["event"] == "search_click"}
    return [(e, e["query_id"] in clicked) for e in shop.events if e["event"] == "search"]


def rate(shop: WrittenShop, where: Callable[[Event], bool]) -> float:
    found = [clicked for event, clicked in queries(shop) if where(event)]
    return sum(found) / len(found)


def test_every_search_has_its_own_query_and_a_click_that_of_the_search_before(shop: WrittenShop) -> None:
    ids = [event["query_id"] for event, _ in queries(shop)]
    assert len(set(ids)) == len(ids) > 5_000
    for rows in shop.sessions.values():
        query = None
        for event in rows:
            if event["event"] == "search":
                query = event["query_id"]
            if event["event"] == "search_click":
                assert event["query_id"] == query


def test_four_sources_of_which_hot_words_are_clicked_least(shop: WrittenShop) -> None:
    counts = Counter((event["search_source"], clicked) for event, clicked in queries(shop))
    for source in SOURCES:
        both = counts[source, True] + counts[source, False]
        assert shop.expected("search-sources", "users", breakdown=source, step=1) == both > 500
        assert shop.expected("search-sources", "users", breakdown=source, step=2) == counts[source, True]
    rates = {source: rate(shop, lambda e, s=source: e["search_source"] == s) for source in SOURCES}
    assert rates["hot"] < 0.6
    assert abs(rates["suggestion"] - rates["typed"]) < 0.1
    assert rates["suggestion"] > 0.65
    # Few terms are hot words; what is wanted and missing is none.
    hot = {event["search_term"] for event, _ in queries(shop) if event["search_source"] == "hot"}
    assert 3 <= len(hot) <= 12
    assert not hot & {"Coach", "coach", "COACH", "蔻驰", "隐形眼镜", "连依裙", "空气炸锅"}


def test_gifts_are_found_and_not_clicked(shop: WrittenShop) -> None:
    gifts = [(e, clicked) for e, clicked in queries(shop) if e["search_term"] == "礼物"]
    assert {event["result_count"] for event, _ in gifts} == {160}
    assert shop.expected("results-without-clicks", "users", step=1) == len(gifts) > 30
    assert shop.expected("results-without-clicks", "users", step=2) == sum(clicked for _, clicked in gifts)
    assert rate(shop, lambda e: e["search_term"] == "礼物") < 0.2
    assert rate(shop, lambda e: e["search_term"] == "台灯") > 0.5


def test_the_misspelt_dress_is_rescued_and_contact_lenses_are_lost(shop: WrittenShop) -> None:
    for term in ("连依裙", "隐形眼镜"):
        assert {e["result_count"] for e, _ in queries(shop) if e["search_term"] == term} == {0}
    typo, dress, clicked = shop.reaching([searched("连依裙"), searched("连衣裙"), "search_click"], 120_000)
    for step, people in enumerate((typo, dress, clicked), start=1):
        assert shop.expected("refined-and-rescued", "users", step=step) == len(people) > 20
    lost, any_click = shop.reaching([searched("隐形眼镜"), "search_click"], 120_000)
    assert shop.expected("lost-search", "users", step=1) == len(lost) > 20
    assert shop.expected("lost-search", "users", step=2) == len(any_click)
    assert len(clicked) / len(typo) > 0.6
    assert len(any_click) / len(lost) < 0.4


@pytest.mark.parametrize(("number", "text"), enumerate(LETTERS, start=1))
def test_letters_end_in_the_whole_term(shop: WrittenShop, number: int, text: str) -> None:
    letters = LETTERS[text]
    begun, whole = shop.reaching([searched(letters[0]), searched(text)], 30_000)
    name = f"keystrokes-{number}"
    assert shop.expected(name, "users", step=1) == shop.expected(name, "users", step=2) == len(begun)
    assert begun == whole
    assert len(begun) >= 5
    searches, intents, runs = 0, 0, 0
    for rows in shop.sessions.values():
        terms = [e["search_term"] for e in rows if e["event"] in ("search", "search_click")]
        for at, term in enumerate(terms):
            searches += term in (*letters, text)
            intents += term == text
            if term == letters[0]:
                runs += 1
                # Nothing comes between, no click either: its term is null.
                assert tuple(terms[at : at + len(letters) + 1]) == (*letters, text)
        assert terms.count(text) <= 1
    assert shop.expected("keystroke-intents", "intents", term=text) == intents
    assert searches == intents + runs * len(letters)
    assert runs > intents * 0.2


def test_cameras_are_rare_and_dear(shop: WrittenShop) -> None:
    def dear(event: Event) -> bool:
        return event["event"] == "order_paid" and event["amount"] > 1000

    searchers, buyers = shop.reaching([searched("单反相机"), dear], HALF_HOUR)
    assert shop.expected("rare-valuable-term", "users", step=1) == len(searchers)
    assert shop.expected("rare-valuable-term", "users", step=2) == len(buyers) >= 4
    assert len(buyers) > 0.5 * len(searchers)
    terms = Counter(event["search_term"] for event, _ in queries(shop))
    assert terms["单反相机"] * 10 < terms["台灯"]
    lamp, lamp_buyers = shop.reaching([searched("台灯"), dear], HALF_HOUR)
    assert len(lamp_buyers) < 0.05 * len(lamp)


def survey(shop: WrittenShop, answer: str | None) -> dict[str, tuple[int, int]]:
    """By where people were asked: how many, and how many bought within half an hour."""
    out = {}
    for place in ("search", "list"):
        values = {"asked_on": place} | ({"answer": answer} if answer else {})
        asked, bought = shop.reaching([named("visit_survey", **values), "order_paid"], HALF_HOUR)
        out[place] = (len(asked), len(bought))
    return out


def test_the_survey_by_place_and_answer(shop: WrittenShop) -> None:
    asked = [e["person"] for e in shop.events if e["event"] == "visit_survey"]
    assert len(set(asked)) == len(asked) > 100
    truths = {None: "searchers-buy-more", "buy": "searchers-came-to-buy", "look": "searchers-came-to-look"}
    for answer, name in truths.items():
        for place, counts in survey(shop, answer).items():
            for step in (1, 2):
                assert shop.expected(name, "users", breakdown=place, step=step) == counts[step - 1]


def apart(one: list[bool], other: list[bool]) -> float:
    """By how many standard errors the first rate is above the second."""
    share = sum(one + other) / len(one + other)
    error = sqrt(share * (1 - share) * (1 / len(one) + 1 / len(other)))
    return (sum(one) / len(one) - sum(other) / len(other)) / error


def test_searchers_buy_more_only_because_they_came_to_buy(shop_of: Callable[[int], WrittenShop]) -> None:
    table = shop_of(400_000).table
    survey, order = (table.filter(pc.equal(table["event"], name)) for name in ("visit_survey", "order_paid"))
    buying = set(order["session_id"].to_pylist())
    bought: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in survey.select(["asked_on", "answer", "session_id"]).to_pylist():
        bought[row["asked_on"], row["answer"]].append(row["session_id"] in buying)
    search, listing = (bought[place, "buy"] + bought[place, "look"] for place in ("search", "list"))
    assert min(len(search), len(listing)) > 300
    assert apart(search, listing) > 2.5
    for answer in ("buy", "look"):
        assert abs(apart(bought["search", answer], bought["list", answer])) < 2.5
    assert apart(bought["list", "buy"], bought["list", "look"]) > 5
    # What tells the two apart is the answer: more of the searchers came to buy.
    assert len(bought["search", "buy"]) / len(search) > 1.5 * len(bought["list", "buy"]) / len(listing)


def test_searches_before_the_survey_are_where_it_says(shop: WrittenShop) -> None:
    for rows in shop.sessions.values():
        for at, event in enumerate(rows):
            if event["event"] == "visit_survey":
                before = {e["event"] for e in rows[:at]}
                assert ("search" in before) == (event["asked_on"] == "search")
                assert "list_view" in before or event["asked_on"] == "search"
                assert "add_to_cart" not in before
