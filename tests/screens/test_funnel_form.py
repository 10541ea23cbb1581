"""The Funnel screen's form: steps and options edited in place, completed, stepped through, refused with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from screens.funnel import FunnelScreen
from screens.funnel_options import OPTIONS
from tests.screens.driver import driver
from tests.screens.forms import write_hostile
from tests.screens.funnel_walk import (
    STEPS,
    ask,
    made,
    run,
    said,
    to_field,
    write,
    write_shop,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("funnel") / "shop")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile(tmp_path_factory.mktemp("funnel") / "odd")


def test_steps_are_added_moved_renamed_and_conditioned_in_place(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, steps=["product_view", "order_paid"])
            await d.press("a")
            await d.type("add_to")
            assert re.search(r"▸ add_to_cart +\d", d.text()), d.text()
            await d.press("tab", "enter")
            assert steps(screen) == ["product_view", "add_to_cart", "order_paid"]
            await to_field(d, "step:1")
            await d.press("J")
            assert steps(screen) == ["product_view", "order_paid", "add_to_cart"]
            await d.press("K")
            await d.press("e")
            await d.paste(": platform = ")
            await d.settled()
            await d.press("'")
            assert "platform = 'app'" in d.text(), "the values of the property are offered"
            await d.paste("app'")
            await d.press("enter")
            assert steps(screen) == ["product_view", "add_to_cart: platform = 'app'", "order_paid"]
            await d.press("D")
            assert steps(screen)[1] == steps(screen)[2]
            await d.press("d", "u", "u")
            assert steps(screen) == ["product_view", "add_to_cart: platform = 'app'", "order_paid"]
            assert "add_to_cart: platform = 'app'" in d.text()

    run(walk)


def steps(screen: FunnelScreen) -> list[str]:
    assert screen.asked is not None
    return [str(step) for step in screen.asked.steps]


def test_names_complete_with_their_counts_quoted_where_they_must_be(odd: Path) -> None:
    async def walk() -> None:
        async with driver(odd) as d:
            screen = await ask(d, steps=["view"])
            await d.press("a")
            await d.type("x")
            assert re.search(r'"x: y" +\d+', d.text()), d.text()
            await d.press("tab", "enter")
            assert screen.asked is not None
            assert screen.asked.steps[1].events == ("x: y",)
            await d.press("a")
            await d.type("view: odd")
            await d.press("tab")
            assert screen.prompt.value == 'view: "odd name"'
            await d.press("escape", "b")
            await d.type("odd")
            await d.press("tab", "enter")
            assert screen.asked.scope.by == "odd name"
            assert "odd name" in d.text()
            figures = [row for row in screen.answer.result.rows if row["step"] == 1] if screen.answer else []
            assert sum(int(str(row["users"])) for row in figures[1:]) == figures[0]["users"]

    run(walk)


def test_options_stay_with_their_steps_and_what_cannot_is_said(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, optional=[2, 3], step_windows={"3": "1h"})

            def optional() -> list[int]:
                return [] if screen.asked is None else list(screen.asked.optional)

            await to_field(d, "step:0")
            await d.press("a")
            await write(d, "session_start")
            assert screen.asked is not None
            assert optional() == [3, 4] and dict(screen.asked.step_windows) == {4: 3_600_000}
            await to_field(d, "step:3")
            await d.press("d")
            assert optional() == [3] and not screen.asked.step_windows
            assert said(d).startswith("! left out: optional 4, step window 4=1h; u undoes")
            await d.press("u")
            assert optional() == [3, 4]

    run(walk)


def test_a_step_that_is_none_is_refused_in_the_prompt(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, steps=["product_view"])
            before = screen.request
            for text, why in (
                (" ", "a step needs an event's name"),
                ('"open', "opens a quote"),
                ("a:", "ends after the colon"),
            ):
                await d.press("a")
                await write(d, text)
                assert screen.prompt.active and why in d.text(), d.text()
                await d.press("escape")
                assert screen.request == before
            await d.press("d")
            assert "a funnel needs a step" in said(d)
            screen = await ask(d, steps=(STEPS * 8)[:30])
            await d.press("a")
            await write(d, "order_paid")
            assert "at most 30 can be asked" in d.text()

    run(walk)


# --- options ------------------------------------------------------------------------------------------


def test_every_option_is_edited_stepped_and_put_back(shop: Path) -> None:
    written = {
        "window": "2h", "by": "channel", "compare": "app", "trend": "week", "as": "posthog", "top": "4",
        "step_windows": "2=1h 3=30m", "order": "strict", "entry": "first", "ties": "strict", "tolerance": "2s",
        "exclude": "login; login_prompt: reason = 'a;b'@1:2", "hold": "platform", "optional": "2 3",
        "range": "whole", "at": "step:2", "since": "first", "mature": "yes", "where": "platform = 'app'",
        "who": "did('login') > 0", "unit": "session",
    }  # fmt: skip

    async def walk() -> None:
        async with driver(shop, size=(100, 40)) as d:
            screen = await ask(d)
            defaults = made()
            for key in OPTIONS:
                await to_field(d, key)
                if key in written:
                    await d.press("e")
                    await write(d, written[key])
                    field = next(one for one in screen.form() if one.name == key)
                    assert (field.text, screen.prompt.active) == (written[key], False), (key, d.text())
                    assert screen.request == screen.answer.request if screen.answer else False
                    await d.press("d")
                    assert screen.request == defaults, key
                if OPTIONS[key].choices and key not in ("exclusion", "compare"):
                    now = next(one for one in screen.form() if one.name == key).text
                    place = OPTIONS[key].choices.index(now)
                    is_last = place + 1 == len(OPTIONS[key].choices)
                    await d.press("<" if is_last else ">")
                    wanted = OPTIONS[key].choices[place - 1 if is_last else place + 1]
                    assert next(one for one in screen.form() if one.name == key).text == wanted
                    await d.press("d")
                    assert screen.request == defaults, key
                elif not OPTIONS[key].choices:
                    await d.press(">")
                    assert "edited with e" in said(d)

    run(walk)


def test_what_cannot_be_asked_says_so_in_one_line(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d)
            before = screen.request
            await to_field(d, "compare")
            await d.press(">")
            assert screen.request == before
            assert "no period before" in said(d) and "; t: a range" in said(d)
            await to_field(d, "exclusion")
            await d.press(">")
            assert "needs an --exclude" in said(d) and screen.request == before
            for key, text, why in (("top", "many", "a number is wanted"), ("mature", "perhaps", "yes or no")):
                await to_field(d, key)
                await d.press("e")
                await write(d, text)
                assert screen.prompt.active and why in d.text()
                await d.press("escape")

    run(walk)


def test_a_question_that_fails_leaves_the_form_at_its_answer(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d)
            before = screen.request
            await d.press("b")
            await write(d, "no_such_property")
            assert screen.request == before
            assert said(d).startswith("!") and "no_such_property" in said(d)
            await d.press("X")
            await write(d, "platform = ")
            assert screen.request == before and said(d).startswith("!")

    run(walk)


def test_rules_and_filters_complete(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d)
            await d.press("X")
            await d.type("platf")
            await d.press("tab")
            assert screen.prompt.value == "platform"
            await d.paste(" = ")
            await d.settled()
            assert "platform = 'app'" in d.text()
            await d.paste("'app'")
            await d.press("enter")
            assert screen.asked is not None and screen.asked.scope.where == "platform = 'app'"
            assert screen.pane == 1
            await d.press("A")
            await d.paste("did('order_p")
            assert "did('order_paid'" in d.text()
            await d.press("tab")
            await d.paste(") = 0")
            await d.press("enter")
            assert screen.asked.scope.who == "did('order_paid') = 0"
            rows = screen.answer.result.rows if screen.answer else []
            assert rows[-1]["users"] == 0 and int(str(rows[0]["users"])) > 0

    run(walk)
