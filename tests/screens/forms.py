"""Random forms for the screens: edits as keys that people press, each with what the question is to be after it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from textual import events
from textual.keys import _character_to_key

from queries.funnel_request import FunnelRequest, from_dict, parse_exclusion
from queries.question import QuestionError, Request
from queries.steps import Step
from tests.screens.driver import PATIENCE_SECONDS, Driver

Saved = dict[str, Any]
SEGMENT = "keen"
"""A saved list of people."""


@dataclass(frozen=True)
class Words:
    """What a shop's forms are made of."""

    steps: tuple[str, ...]
    properties: tuple[str, ...]
    wheres: tuple[str, ...]
    whos: tuple[str, ...]
    ranges: tuple[str, ...]
    """Days inside the data."""
    wrong: tuple[str, ...] = ("nowhere_to_be_found", "1 +", "did(", "'", "a;b", "[/red]", "@x", "", "-1", "0")
    """Texts that no field takes, or that name nothing."""

    @property
    def typed(self) -> tuple[str, ...]:
        """The steps that a line takes as they are: lines and controls that are pasted into it become blanks."""
        return tuple(step for step in self.steps if not any(char < " " for char in step))


DEMO = Words(
    steps=(
        "product_view", "add_to_cart", "checkout", "order_paid", "search|search_click", "session_start", "login",
        "view_cart", "product_view: platform = 'app'", "order_paid: amount > 100", "add_to_cart|favorite",
    ),
    properties=("channel", "platform", "city", "product_id", "session_id", "app_version", "amount"),
    wheres=(
        "platform = 'app'", "channel in ('direct', 'content')", "city is not null and not (city = '上海')",
        "price > 50 or price is null", "campaign is null", "product_name like '%01'",
    ),
    whos=(
        "did('order_paid') = 0", "did('product_view') >= 3 and platform = 'app'", "channel = 'direct'",
        "total_of('order_paid', amount) > 100", "first_did('add_to_cart') is not null",
    ),
    ranges=("2026-03-05", "2026-03-20", "2026-04-10", "2026-05-01", "2026-05-20"),
)  # fmt: skip

NAMES = (
    "view", "add", "pay", "a|b", "x: y", 'say "so"', "e@1:2", "[red]x[/red]", "\x1b[31mred", "a;b", "none", "-dash",
    "=1+1", "下单", "a\u202eb", "two\nlines", "tab\there", "'", "  blank  ", "$(date)", "100%",
)  # fmt: skip
VALUES = (
    "none", "Other", "(none)", "(other)", "@x", "dropped:1", "a@b", "[/bold]", "", "null", "-1", "=2*3", "x\ny", "中文",
    "'quoted'", "\x07bell", "a, b", "all",
)  # fmt: skip
PEOPLE = (
    "u1", "-u", "--kind", "u,2", 'u"3', "u 4", "=u5", "u\t6", "用户七", "[u]8", "u'9", "user = 'x'", "none", "007",
    "u\\10", "#11", "u\n12", "@13", "+14", " u15 ", "null", "NaN", "a=b",
)  # fmt: skip

HOSTILE = Words(
    steps=(
        *(str(Step((name,))) for name in NAMES),
        "view|add", "view: channel = 'none'", "add: channel = 'a;b' or channel = 'x'", "view: \"odd name\" = 'none'",
    ),
    properties=("channel", "odd name", "none", "[b]", "user_id", "number"),
    wheres=(
        "channel = 'none'", "channel <> '[/bold]'", "\"odd name\" = '中文'", "event <> 'two\\nlines'",
        "number > 0.5", "channel like '%''%'", "channel = '; drop'", "not channel = '|'",
    ),
    whos=("did('none') = 0", "did('a|b') > 0 or channel = 'none'", "did('下单') = 0", "channel <> 'none'"),
    ranges=("2026-03-02", "2026-03-05", "2026-03-09"),
)  # fmt: skip


def write_hostile(folder: Path, people: int = 60, seed: int = 7) -> Path:
    """A shop whose names, values and ids mean something to terminals, shells, spreadsheets and our own grammar."""
    rng = random.Random(seed)
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    rows = []
    for number in range(people):
        user = PEOPLE[number] if number < len(PEOPLE) else f"u{number:03}"
        at = begin + timedelta(hours=rng.randrange(200))
        for _ in range(rng.randrange(3, 30)):
            at += timedelta(seconds=rng.choice((0, 1, 30, 600, 7_200, 90_000)))
            name = NAMES[min(int(rng.expovariate(0.35)), len(NAMES) - 1)]
            row: Saved = {"ts": at.isoformat(), "event": name, "user_id": user, "anonymous_id": f"d{number}"}
            row |= {
                "channel": rng.choice(VALUES),
                "odd name": rng.choice(VALUES),
                "none": rng.choice(VALUES[:3]),
            }
            row |= {"[b]": rng.choice(VALUES), "number": rng.choice((None, 0, 0.5, 1e9, -3))}
            rows.append(
                {key: value for key, value in row.items() if rng.random() > 0.05 or key in ("ts", "event")}
            )
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "e.ndjson").write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    known = ("ts", "event", "user_id", "anonymous_id", "channel")
    (folder / "workbench.toml").write_text(
        'schema = 1\ntimezone = "Asia/Shanghai"\n[[source]]\nname = "shop"\npath = "data/*.ndjson"\n[source.map]\n'
        + "".join(f'{name} = "{name}"\n' for name in known)
        + '[roles]\nview = "view"\nadd = "add"\norder = "pay"\n',
        "utf-8",
    )
    return folder


async def quick(d: Driver, *keys: str) -> None:
    """Presses keys of one screen in a run, as fast as a terminal may hand them on; waits for the answers alone.

    What is drawn is there after :meth:`Driver.settled`, which takes several times as long.
    """
    assert d.app._driver is not None
    for key in keys:
        name = key if len(key) > 1 or key.isalnum() else _character_to_key(key)
        d.app._driver.send_message(events.Key(name, key if len(key) == 1 else None))
    until, calm = time.monotonic() + PATIENCE_SECONDS, 0
    # A key goes from the program to the screen to the line, and what the line says comes back that way.
    while calm < 4:
        await d._pilot._wait_for_screen()
        calm = calm + 1 if d.app.session.idle else 0
        if not calm:
            assert time.monotonic() < until, f"never settled:\n{d.text()}"
            await asyncio.sleep(0.005)


OPTIONS: Mapping[str, tuple[str, ...]] = {
    "window": ("30m", "1h", "12h", "1d", "7d", "30d", "none", "90m", "soon"),
    "step_windows": ("2=1h", "2=30m 3=2d", "9=1h", "2", "none"),
    "order": ("ordered", "strict", "any", "sideways"),
    "entry": ("any", "first", "every"),
    "ties": ("order", "strict"),
    "tolerance": ("2s", "1m", "none", "x"),
    "exclusion": ("drop", "remove"),
    "optional": ("2", "2 3", "1", "none", "two"),
    "range": ("entry", "whole"),
    "at": ("first", "last", "step:2", "user-first", "user-last", "step:9"),
    "since": ("entry", "first"),
    "mature": ("yes", "no"),
    "trend": ("day", "week", "month", "none"),
    "as": ("none", "all", "posthog", "clickhouse", "mixpanel", "amplitude", "growingio", "excel"),
    "top": ("1", "3", "10", "0", "many"),
    "unit": ("user", "raw", "session"),
    "compare": ("previous", "none", SEGMENT, "no such segment"),
}
"""Fields of the funnel's form and what is written into them."""


def random_funnel(rng: random.Random, words: Words) -> FunnelRequest:
    """A funnel that can be asked."""
    while True:
        saved: Saved = {"steps": rng.sample(words.steps, rng.randrange(1, 5))}
        for name, texts, share in (
            ("by", words.properties, 0.3),
            ("where", words.wheres, 0.2),
            ("who", words.whos, 0.2),
            ("exclude", words.steps, 0.3),
            ("last", ("7d", "30d"), 0.1),
        ):
            if rng.random() < share:
                saved[name] = rng.choice(texts)
        try:
            for name in rng.sample(sorted(OPTIONS), rng.randrange(0, 4)):
                written(saved, name, rng.choice(OPTIONS[name]))
            return from_dict(saved)
        except (QuestionError, ValueError):
            continue


def written(saved: Saved, name: str, text: str) -> None:
    """Puts an option, as it is written in the form, into a saved request; ValueError for what is none."""
    nothing = text in ("", "none")
    if name == "step_windows":
        saved[name] = (
            {}
            if nothing
            else {step: span for step, _, span in (pair.partition("=") for pair in text.split())}
        )
    elif name == "optional":
        saved[name] = [] if nothing else [int(part) for part in text.split()]
    elif name == "top":
        saved[name] = int(text)
    elif name == "mature":
        saved[name] = text == "yes"
    elif name == "exclude":
        saved[name] = [] if nothing else [part.strip() for part in text.split(";")]
    elif name == "window":
        saved[name] = text
    else:
        saved[name] = None if nothing else text


def rearranged(saved: Saved, change: Callable[[list[tuple[int | None, str]]], object]) -> Saved:
    """The funnel of other steps: what is of a step follows it, and goes where it cannot be."""
    steps: list[tuple[int | None, str]] = list(enumerate(saved["steps"], 1))
    change(steps)
    now = {old: new for new, (old, _) in enumerate(steps, 1) if old is not None}
    last, windows, exclude = len(steps), saved["step_windows"].items(), []
    for one in map(parse_exclusion, saved["exclude"]):
        ends = sorted(now.get(end or 0, 0) for end in (one.first, one.last))
        if one.first is None and last > 1:
            exclude.append(str(one))
        elif one.first is not None and ends[0]:
            exclude.append(str(replace(one, first=ends[0], last=ends[1])))
    at = saved["at"]
    if at.startswith("step:"):
        at = f"step:{now[int(at[5:])]}" if int(at[5:]) in now else "first"
    return saved | {
        "steps": [text for _, text in steps],
        "optional": sorted(now[step] for step in saved["optional"] if 1 < now.get(step, 0) < last),
        "step_windows": {str(now[int(k)]): span for k, span in windows if now.get(int(k), 0) > 1},
        "exclude": exclude,
        "exclusion": saved["exclusion"] if exclude else "drop",
        "at": at,
    }


class Editor:
    """Edits the funnel in front by keys; every edit says what the question is to be afterwards."""

    def __init__(self, d: Driver, rng: random.Random, words: Words) -> None:
        self.d, self.rng, self.words = d, rng, words
        self.did = ""
        """What was done last, for the report of a difference."""

    @property
    def frame(self) -> Any:
        return self.d.app.trail[-1]

    async def once(self) -> Request | None:
        """One random edit; the request that is to be asked after it, or None where it is to be refused."""
        kinds: Sequence[Callable[[Saved], Any]] = (
            self._add, self._step, self._delete, self._duplicate, self._move, self._window, self._breakdown,
            self._trend, self._peers, self._range, self._where, self._who, self._compare, self._option, self._option,
            self._exclude, self._reset, self._stepped, self._untouched,
        )  # fmt: skip
        saved = self.frame.request.to_dict()
        try:
            after = await self.rng.choice(kinds)(saved)
            return from_dict(after)
        except (QuestionError, ValueError):
            return None

    async def _press(self, *keys: str) -> None:
        self.did += " " + " ".join(keys)
        # A key that opens a box is waited for: the box takes the next one.
        if keys[0] == "t":
            await self.d.press(*keys)
        else:
            await quick(self.d, *keys)

    async def write(self, text: str) -> None:
        """Replaces what stands in the prompt."""
        self.did += f" «{text}»"
        await quick(self.d, "ctrl+e", "ctrl+u")
        if len(text) < 12 and text.isascii() and text.isalnum():
            await quick(self.d, *text)
        else:
            self.d.app.post_message(events.Paste(text))
            await quick(self.d)
        await quick(self.d, "enter")

    async def to_form(self, name: str) -> None:
        """Takes a field of the form in hand."""
        if self.frame.pane != 0:
            # The form is the pane before the first table; e would go on to its first field on some screens.
            await self._press(*["shift+tab"] * self.frame.pane)
        form = self.frame.query_one("#form")
        names = [field.name for field in self.frame.form()]
        steps = names.index(name) - form.place
        if steps:
            await self._press(*(["j" if steps > 0 else "k"] * abs(steps)))

    async def to_table(self) -> None:
        """Goes back to the table."""
        if self.frame.pane == 0:
            await self._press("tab")

    async def _some_step(self, saved: Saved) -> int:
        """Takes a step in hand, in the form or in the table; its place."""
        place = self.rng.randrange(len(saved["steps"]))
        if self.rng.random() < 0.5 or self.frame.looks == "sides":
            await self.to_form(f"step:{place}")
            return place
        await self.to_table()
        rows = self.rng.randrange(len(self.frame.table))
        now = self.frame.grid.cursor_row
        keys = ["j" if rows > now else "k"] * min(abs(rows - now), 12)
        if keys:
            await self._press(*keys)
        return int(self.frame.grid.current_row()["step"]) - 1

    async def _add(self, saved: Saved) -> Saved:
        place = await self._some_step(saved)
        text = self.rng.choice((*self.words.typed, *self.words.typed, *self.words.wrong))
        await self._press("a")
        await self.write(text)
        return rearranged(saved, lambda steps: steps.insert(place + 1, (None, text)))

    async def _step(self, saved: Saved) -> Saved:
        place = self.rng.randrange(len(saved["steps"]))
        await self.to_form(f"step:{place}")
        text = self.rng.choice((*self.words.typed, *self.words.wrong))
        await self._press("e")
        await self.write(text)
        saved["steps"][place] = text
        return saved

    async def _delete(self, saved: Saved) -> Saved:
        place = await self._some_step(saved)
        await self._press("d")
        return rearranged(saved, lambda steps: steps.pop(place))

    async def _duplicate(self, saved: Saved) -> Saved:
        place = await self._some_step(saved)
        await self._press("D")
        return rearranged(saved, lambda steps: steps.insert(place + 1, (None, saved["steps"][place])))

    async def _move(self, saved: Saved) -> Saved:
        place = await self._some_step(saved)
        way = self.rng.choice((1, -1))
        await self._press("J" if way > 0 else "K")
        if 0 <= place + way < len(saved["steps"]):
            return rearranged(saved, lambda steps: steps.insert(place + way, steps.pop(place)))
        return saved

    async def _window(self, saved: Saved) -> Saved:
        from screens.funnel import WINDOWS

        await self.to_table()
        way = self.rng.choice((1, -1))
        before = saved["window"]
        await self._press("<" if way < 0 else ">")
        if before not in WINDOWS:
            # Which one comes next to a window of one's own is the screen's choice.
            return dict(self.frame.request.to_dict())
        place = min(max(WINDOWS.index(before) + way, 0), len(WINDOWS) - 1)
        saved["window"] = WINDOWS[place]
        return saved

    async def _breakdown(self, saved: Saved) -> Saved:
        name = self.rng.choice((*self.words.properties, "none", "no_such_property"))
        await self._press("b")
        await self.write(name)
        saved["by"] = None if name == "none" else name
        return saved

    async def _trend(self, saved: Saved) -> Saved:
        from screens.funnel import TRENDS

        await self._press("T")
        saved["trend"] = TRENDS[(TRENDS.index(saved["trend"]) + 1) % 4]
        return saved

    async def _peers(self, saved: Saved) -> Saved:
        await self._press("P")
        saved["as"] = "all" if saved["as"] is None else None
        return saved

    async def _range(self, saved: Saved) -> Saved:
        place = self.rng.randrange(9)
        await self._press("t", *(["j"] * place), "enter")
        saved |= {"from": None, "to": None, "last": None}
        if place < 7:
            saved["last"] = (None, "1d", "7d", "14d", "30d", "24h", "1h")[place]
        elif place == 8:
            saved["last"] = self.rng.choice(("3w", "90m", "2d", "x"))
            await self.write(saved["last"])
        else:
            ends = sorted(self.rng.sample(self.words.ranges, self.rng.randrange(1, 3)))
            await self.write(self.rng.choice((" ", " to ")).join(ends))
            saved["from"] = ends[0]
            saved["to"] = ends[1] if len(ends) > 1 else None
        return saved

    async def _where(self, saved: Saved) -> Saved:
        return await self._rule(saved, "X", "where", self.words.wheres)

    async def _who(self, saved: Saved) -> Saved:
        return await self._rule(saved, "A", "who", self.words.whos)

    async def _rule(self, saved: Saved, key: str, name: str, known: tuple[str, ...]) -> Saved:
        text = self.rng.choice((*known, *known, *self.words.wrong))
        await self._press(key)
        await self.write(text)
        saved[name] = text or None
        return saved

    async def _compare(self, saved: Saved) -> Saved:
        place = self.rng.randrange(3)
        self.did += f" c {place}"
        await self.d.press("c", *["j"] * place, "enter")
        saved["compare"] = (None, "previous", SEGMENT)[place]
        return saved

    async def _option(self, saved: Saved) -> Saved:
        name = self.rng.choice(sorted(OPTIONS))
        text = self.rng.choice(OPTIONS[name])
        await self.to_form(name)
        await self._press("e")
        await self.write(text)
        written(saved, name, text)
        return saved

    async def _exclude(self, saved: Saved) -> Saved:
        # A semicolon separates several of them.
        text = self.rng.choice((*(step for step in self.words.typed if ";" not in step), "none"))
        await self.to_form("exclude")
        await self._press("e")
        await self.write(text)
        written(saved, "exclude", text)
        return saved

    async def _reset(self, saved: Saved) -> Saved:
        name = self.rng.choice((*sorted(OPTIONS), "exclude", "by", "where", "who", "compare", "hold"))
        await self.to_form(name)
        await self._press("d")
        del saved[name]
        return saved

    async def _untouched(self, saved: Saved) -> Saved:
        name = self.rng.choice([field.name for field in self.frame.form()])
        await self.to_form(name)
        await self._press("e", "enter")
        return saved

    async def _stepped(self, saved: Saved) -> Saved:
        name, choices = self.rng.choice([(n, c) for n, c in FEW.items()])
        await self.to_form(name)
        way = self.rng.choice((1, -1))
        now = "yes" if saved[name] is True else "no" if saved[name] is False else saved[name] or "none"
        await self._press("<" if way < 0 else ">")
        if now in choices:
            at = min(max(choices.index(now) + way, 0), len(choices) - 1)
            written(saved, name, choices[at])
        else:
            return dict(self.frame.request.to_dict())
        return saved


FEW: Mapping[str, tuple[str, ...]] = {
    "order": ("ordered", "strict", "any"),
    "entry": ("any", "first", "every"),
    "ties": ("order", "strict"),
    "exclusion": ("drop", "remove"),
    "range": ("entry", "whole"),
    "at": ("first", "last", "user-first", "user-last"),
    "since": ("entry", "first"),
    "mature": ("no", "yes"),
    "trend": ("none", "day", "week", "month"),
    "unit": ("user", "raw", "session", "order"),
}
"""Fields whose values < and > go through."""
