"""The session alone: who hears of what, in which order, and whose people they are; without a screen."""

from __future__ import annotations

import csv
import gc
import os
import random
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import workbench.session as module
from queries.funnel_request import from_dict as funnel_request
from queries.overview_request import from_dict as overview_request
from queries.question import PeopleRequest, Request, Scope
from queries.users import from_dict as users_request
from workbench.errors import Cancelled
from workbench.runner import Task
from workbench.session import MOST_KEPT, Outcome, Session

PATIENCE = 10.0


class Screens:
    """The thread of the screens: what is delivered waits here until it is let through."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()
        self.heard: list[tuple[str, Any]] = []
        self.session = Session(self.calls.append)

    def done(self, name: str) -> Callable[[Outcome[Any]], None]:
        return lambda outcome: self.heard.append((name, outcome.error or outcome.value))

    def say(self, owner: str, name: str) -> module.Job[str]:
        return self.session.submit(owner, lambda task: name, self.done(name))

    def hear(self) -> list[tuple[str, Any]]:
        """Waits until nothing runs, then lets through what was delivered."""
        self.wait(lambda: self.session.idle)
        self.let_through()
        return self.heard

    def let_through(self) -> None:
        while self.calls:
            self.calls.popleft()()

    def wait(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < end
            time.sleep(0.002)


class Held:
    """Work that goes on until it is let go; deaf to cancel, or listening."""

    def __init__(self, value: str, *, deaf: bool = False) -> None:
        self.value, self.deaf = value, deaf
        self.began, self.go, self.over = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, task: Task) -> str:
        self.began.set()
        try:
            while not self.go.wait(0.002):
                if not self.deaf:
                    task.check()
            return self.value
        finally:
            self.over.set()


@pytest.fixture
def screens() -> Iterator[Screens]:
    found = Screens()
    yield found
    found.session.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)


# --- the newest question of an owner ----------------------------------------------------------------------------


def test_of_an_owners_questions_only_the_newest_is_heard_of(screens: Screens) -> None:
    running = Held("running")
    screens.session.submit("a", running, screens.done("running"))
    assert running.began.wait(PATIENCE)
    for name in ("second", "third", "newest"):
        screens.say("a", name)
    assert screens.hear() == [("newest", "newest")]


def test_an_answer_on_its_way_is_not_heard_of_once_its_owner_asks_anew(screens: Screens) -> None:
    screens.say("a", "old")
    screens.say("b", "other")
    screens.wait(lambda: len(screens.calls) == 2)
    screens.say("a", "new")
    assert screens.hear() == [("other", "other"), ("new", "new")]


def test_owners_do_not_take_each_others_place(screens: Screens) -> None:
    first = Held("first")
    screens.session.submit("a", first, screens.done("first"))
    assert first.began.wait(PATIENCE)
    for owner in "bcdef":
        screens.say(owner, owner)
    first.go.set()
    assert screens.hear() == [("first", "first"), *((owner, owner) for owner in "bcdef")]


# --- cancel -----------------------------------------------------------------------------------------------------


def test_what_waits_and_what_runs_is_cancelled_and_heard_of_once(screens: Screens) -> None:
    running = Held("running")
    first = screens.session.submit("a", running, screens.done("running"))
    waiting = screens.say("b", "waiting")
    assert running.began.wait(PATIENCE)
    for job in (waiting, first, first, waiting):
        screens.session.cancel(job)
    heard = screens.hear()
    assert [name for name, _ in heard] == ["waiting", "running"]
    assert all(isinstance(error, Cancelled) for _, error in heard)


def test_what_is_done_when_cancel_comes_is_heard_of_as_it_is(screens: Screens) -> None:
    job = screens.say("a", "done")
    screens.wait(lambda: bool(screens.calls))
    screens.session.cancel(job)
    assert screens.hear() == [("done", "done")]
    screens.session.cancel(job)
    assert screens.hear() == [("done", "done")]


@pytest.mark.parametrize("when", ["waiting", "running", "coming"])
def test_a_quiet_cancel_is_heard_of_by_nobody(screens: Screens, when: str) -> None:
    held = Held("held")
    if when == "waiting":
        before = Held("before")
        screens.session.submit("b", before, lambda outcome: None)
        assert before.began.wait(PATIENCE)
    job = screens.session.submit("a", held, screens.done("held"))
    if when == "running":
        assert held.began.wait(PATIENCE)
    if when == "coming":
        held.go.set()
        screens.wait(lambda: bool(screens.calls))
    screens.session.cancel(job, quietly=True)
    if when == "waiting":
        before.go.set()
    assert screens.hear() == []


# --- work that does not stop ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
def test_work_deaf_to_cancel_is_left_behind_and_heard_of_once(screens: Screens) -> None:
    deaf = Held("too late", deaf=True)
    job = screens.session.submit("a", deaf, screens.done("deaf"))
    assert deaf.began.wait(PATIENCE)
    screens.say("b", "next")
    screens.session.cancel(job)
    screens.session.cancel(job)
    (first, second) = screens.hear()
    assert first[0] == "deaf"
    assert isinstance(first[1], Cancelled)
    assert second == ("next", "next")
    running = Held("running")
    screens.session.submit("c", running, screens.done("c"))
    assert running.began.wait(PATIENCE)
    deaf.go.set()
    assert deaf.over.wait(PATIENCE)
    time.sleep(0.02)
    # What was left behind ends beside the new worker and takes nothing from it.
    assert not screens.session.idle
    running.go.set()
    assert screens.hear()[2:] == [("c", "running")]


@pytest.mark.usefixtures("hasty")
def test_a_question_asked_anew_over_a_deaf_one_is_answered(screens: Screens) -> None:
    deaf = Held("too late", deaf=True)
    screens.session.submit("a", deaf, screens.done("deaf"))
    assert deaf.began.wait(PATIENCE)
    screens.say("a", "newest")
    assert screens.hear() == [("newest", "newest")]
    deaf.go.set()
    assert deaf.over.wait(PATIENCE)
    assert screens.hear() == [("newest", "newest")]


@pytest.mark.usefixtures("hasty")
def test_of_thousands_asked_and_cancelled_each_is_heard_of_at_most_once(screens: Screens) -> None:
    rng = random.Random(7)
    last: dict[int, str] = {}
    cancelled: set[str] = set()
    for number in range(1500):
        owner, name = rng.randrange(12), str(number)
        seconds, deaf = rng.choice((0.0, 0.0, 0.001)), rng.random() < 0.01

        def work(task: Task, seconds: float = seconds, deaf: bool = deaf, name: str = name) -> str:
            time.sleep(0.08 if deaf else seconds)
            return name

        job = screens.session.submit(owner, work, screens.done(name))
        last[owner] = name
        if rng.random() < 0.2:
            quietly = rng.random() < 0.5
            screens.session.cancel(job, quietly=quietly)
            cancelled |= {name} if quietly else set()
        if rng.random() < 0.3:
            screens.let_through()
        if rng.random() < 0.05:
            time.sleep(0.002)
    screens.hear()
    time.sleep(0.1)
    screens.let_through()
    heard = Counter(name for name, _ in screens.heard)
    assert set(heard.values()) == {1}
    assert set(last.values()) - cancelled <= set(heard)
    assert not cancelled & set(heard)
    assert all(isinstance(value, Cancelled) or value == name for name, value in screens.heard)


# --- the end ----------------------------------------------------------------------------------------------------


def test_after_close_nothing_is_delivered_and_nothing_begins(screens: Screens) -> None:
    running = Held("running")
    screens.say("a", "on its way")
    screens.wait(lambda: bool(screens.calls))
    screens.session.submit("b", running, screens.done("running"))
    assert running.began.wait(PATIENCE)
    screens.say("c", "waiting")
    screens.session.close()
    screens.say("d", "late")
    assert running.over.wait(PATIENCE)
    assert screens.hear() == []


def test_a_loop_that_is_gone_does_not_take_the_worker_with_it() -> None:
    def gone(_: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    session = Session(gone)
    ran: list[int] = []
    for number in range(3):
        session.submit(number, lambda task, number=number: ran.append(number), lambda outcome: None)  # type: ignore[misc]
    end = time.monotonic() + PATIENCE
    while not session.idle and time.monotonic() < end:
        time.sleep(0.002)
    assert ran == [0, 1, 2]
    session.close()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), MemoryError()])
def test_what_work_raises_is_its_outcome_and_the_worker_goes_on(
    screens: Screens, error: BaseException
) -> None:
    def work(task: Task) -> None:
        raise error

    screens.session.submit("a", work, screens.done("failed"))
    screens.say("b", "next")
    assert screens.hear() == [("failed", error), ("next", "next")]


def test_a_callback_that_fails_fails_on_the_thread_of_the_screens_alone(screens: Screens) -> None:
    def done(outcome: Outcome[str]) -> None:
        raise LookupError(outcome.value)

    screens.session.submit("a", lambda task: "value", done)
    screens.wait(lambda: bool(screens.calls))
    with pytest.raises(LookupError, match="value"):
        screens.let_through()
    screens.say("a", "next")
    assert screens.hear() == [("next", "next")]


class _Answer:
    """Something whose end can be seen."""


def test_what_was_answered_is_kept_by_nobody_but_its_screen(screens: Screens) -> None:
    seen: list[weakref.ref[_Answer]] = []

    def work(task: Task) -> _Answer:
        found = _Answer()
        seen.append(weakref.ref(found))
        return found

    def failing(task: Task) -> None:
        found = _Answer()
        seen.append(weakref.ref(found))
        raise ValueError(found)

    screens.session.submit("a", work, lambda outcome: None)
    screens.session.submit("b", failing, lambda outcome: None)
    screens.wait(lambda: len(screens.calls) == 2)
    screens.session.submit("a", work, lambda outcome: None)
    screens.wait(lambda: screens.session.idle)
    screens.let_through()
    gc.collect()
    assert len(seen) == 3
    assert [one() for one in seen] == [None, None, None]


# --- datasets ---------------------------------------------------------------------------------------------------

HEADINGS = "ts,event,user_id,order_id,product_id,session_id"


def export(folder: Path, people: int = 12, days: int = 20) -> Path:
    """Views and orders of some people; each does everything, so that who is behind a cell is known by counting."""
    rng = random.Random(3)
    rows = [HEADINGS]
    for day in range(1, days + 1):
        for person in range(people):
            if (day + person) % 3:
                times = sorted(rng.sample(range(1440), 4))
                names = ["view", rng.choice(("view", "add")), rng.choice(("add", "paid")), "view"]
                for minute, name in zip(times, names, strict=True):
                    at = f"2026-03-{day:02}T{minute // 60:02}:{minute % 60:02}:00"
                    product = f"p{rng.randrange(4)}"
                    rows.append(f"{at},{name},u{person},o{day}-{person},{product},s{day}-{person}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "e.csv").write_text("\n".join(rows) + "\n", "utf-8")
    mapped = "".join(f'{name} = "{name}"\n' for name in HEADINGS.split(","))
    (folder / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "e.csv"\n[source.map]\n'
        + mapped
        + '[roles]\nview = "view"\norder = "paid"\n',
        "utf-8",
    )
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    home = {name: os.environ.get(name) for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME")}
    os.environ.update({name: str(tmp_path / "home") for name in home})
    try:
        with chdir(export(tmp_path / "w")):
            yield tmp_path / "w"
    finally:
        for name, value in home.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def session() -> Iterator[Session]:
    found = Session(lambda call: call())
    yield found
    found.close()


def people_of(session: Session, request: Request, cell: str) -> list[tuple[str, int]]:
    """Who is behind a cell, with how many events."""
    answer = session.answer(request, Task())
    return listed(session, answer, cell)


def listed(session: Session, answer: module.Answer, cell: str) -> list[tuple[str, int]]:
    found = session.people(answer, PeopleRequest(answer.request, cell), Task())
    return [(str(row["user"]), int(str(row["events"]))) for row in found.table.rows()]


def events_by_person(folder: Path) -> Counter[str]:
    with (folder / "e.csv").open(encoding="utf-8") as file:
        return Counter(row["user_id"] for row in csv.DictReader(file))


def test_a_second_question_costs_no_listing(shop: Path, session: Session) -> None:
    first = session.answer(overview_request({}), Task())
    later = session.answer(overview_request({"last": "3d", "where": "product_id = 'p1'"}), Task())
    assert later.dataset is first.dataset
    assert session.answer(users_request({}), Task()).dataset is first.dataset
    assert session.answer(overview_request({}), Task(), anew=True).dataset is not first.dataset


def test_four_datasets_are_kept_the_last_used(shop: Path, session: Session) -> None:
    scopes = [Scope(session_gap=f"{minutes}m") for minutes in range(10, 10 + MOST_KEPT + 1)]
    made = [session.over(scope, Task(), lambda data: data)[0] for scope in scopes[:MOST_KEPT]]
    assert session.over(scopes[0], Task(), lambda data: data)[0] is made[0]
    session.catalogue(scopes[1], Task())
    session.catalogue(scopes[0], Task())
    for one in (2, 3, 4):
        session.over(scopes[one], Task(), lambda data: data)
    assert session.over(scopes[0], Task(), lambda data: data)[0] is made[0]
    # The names that completion offers go with their data.
    assert session.known_catalogue(scopes[0]) is not None
    assert session.known_catalogue(scopes[1]) is None
    assert session.over(scopes[1], Task(), lambda data: data)[0] is not made[1]


def test_a_dropped_dataset_is_freed(shop: Path, session: Session) -> None:
    first = weakref.ref(session.answer(overview_request({}), Task()).dataset)
    for minutes in range(10, 10 + MOST_KEPT):
        session.over(Scope(session_gap=f"{minutes}m"), Task(), lambda data: data.survey())
    gc.collect()
    assert first() is None


def in_parquet(shop: Path, rows: list[str] | None = None) -> None:
    """The export as a file that is read where it lies, put in place by renaming; ``rows`` take its place first."""
    from pyarrow import csv as reader
    from pyarrow import parquet

    if rows is not None:
        (shop / "e.csv").write_text("\n".join(rows) + "\n", "utf-8")
    parquet.write_table(reader.read_csv(shop / "e.csv"), shop / "new")
    (shop / "new").replace(shop / "e.parquet")
    toml = (shop / "workbench.toml").read_text("utf-8")
    (shop / "workbench.toml").write_text(toml.replace("e.csv", "e.parquet"), "utf-8")


def lines(shop: Path) -> list[str]:
    return (shop / "e.csv").read_text("utf-8").splitlines()


def test_where_files_changed_they_are_listed_anew(shop: Path, session: Session) -> None:
    in_parquet(shop)
    request = users_request({})
    before = session.answer(request, Task())
    in_parquet(shop, [*lines(shop), "2026-03-21T00:00:00,view,new,,,"])
    after = session.answer(request, Task())
    assert after.table.total == before.table.total + 1
    assert after.dataset is not before.dataset


def test_an_error_of_a_question_costs_no_dataset(shop: Path, session: Session) -> None:
    from queries.question import QuestionError

    first = session.answer(overview_request({}), Task())
    with pytest.raises(QuestionError):
        session.answer(overview_request({"where": "nothing = 1"}), Task())
    task = Task()
    task.cancel()
    with pytest.raises(Cancelled):
        session.answer(overview_request({}), task)
    assert session.answer(overview_request({}), Task()).dataset is first.dataset


# --- whose people -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["user", "raw", "session", "order", "product_id"])
def test_the_people_of_a_cell_have_all_their_events_whatever_is_counted(
    shop: Path, session: Session, unit: str
) -> None:
    found = people_of(
        session, funnel_request({"steps": ["view", "paid"], "unit": unit, "window": "1h"}), "reached:2"
    )
    every = events_by_person(shop)
    assert len(found) > 0
    assert found == [(name, every[name]) for name, _ in found]
    names = people_of(
        session, funnel_request({"steps": ["view", "paid"], "unit": unit, "window": "1h"}), "dropped:1"
    )
    assert dict(names).items() <= every.items()


@pytest.mark.parametrize("unit", ["user", "session", "product_id"])
def test_the_people_of_an_answer_are_its_own_after_other_questions(
    shop: Path, session: Session, unit: str
) -> None:
    asked = [
        funnel_request({"steps": ["view", "paid"], "unit": unit}),
        funnel_request({"steps": ["add", "paid"], "unit": unit, "last": "3d", "by": "product_id"}),
    ]
    cells = ("reached:1", "dropped:1", "reached:2")
    alone = {}
    for request in asked:
        fresh = Session(lambda call: call())
        answer = fresh.answer(request, Task())
        alone[id(request)] = [listed(fresh, answer, cell) for cell in cells]
        fresh.close()
    answers = [session.answer(request, Task()) for request in asked]
    for answer, request in [*zip(answers, asked, strict=True), (answers[0], asked[0])]:
        assert [listed(session, answer, cell) for cell in cells] == alone[id(request)]


def test_the_figures_of_two_overviews_keep_their_people(shop: Path, session: Session) -> None:
    first = session.answer(overview_request({"last": "2d", "where": "product_id = 'p1'"}), Task())
    alone = listed(session, first, "events")
    session.answer(overview_request({}), Task())
    session.answer(users_request({"where": "user_id = 'u1'"}), Task())
    assert listed(session, first, "events") == alone
    assert len(alone) < 12


@pytest.mark.parametrize("unit", ["user", "session"])
def test_where_files_changed_the_people_are_those_of_a_new_answer(
    shop: Path, session: Session, unit: str
) -> None:
    in_parquet(shop)
    answer = session.answer(funnel_request({"steps": ["view"], "unit": unit}), Task())
    before = dict(listed(session, answer, "reached:1"))
    head, *rows = lines(shop)
    in_parquet(shop, [head, *rows[40:], "2026-03-21T00:00:00,view,a,o,p,s"])
    after = dict(listed(session, answer, "reached:1"))
    assert after == events_by_person(shop)
    assert after != before


@pytest.mark.usefixtures("hasty")
def test_what_was_left_behind_gets_no_hold_of_what_took_over(shop: Path) -> None:
    screens = Screens()
    session = screens.session
    deaf = Held("", deaf=True)
    ended: list[BaseException] = []

    def work(task: Task) -> module.Answer:
        request = overview_request({})
        try:
            first = session.answer(request, task)
            deaf(task)
            session.over(Scope(), task, lambda data: data)
        except BaseException as error:
            ended.append(error)
            raise
        return first

    before = session.answer(overview_request({}), Task())
    job = session.submit("a", work, screens.done("deaf"))
    assert deaf.began.wait(PATIENCE)
    session.cancel(job)
    assert [name for name, _ in screens.hear()] == ["deaf"]
    session.submit("b", lambda task: session.answer(overview_request({}), task), screens.done("b"))
    (_, (_, answer)) = screens.hear()
    assert answer.dataset is not before.dataset
    deaf.go.set()
    screens.wait(lambda: bool(ended))
    assert isinstance(ended[0], Cancelled)
    assert session.answer(overview_request({}), Task()).dataset is answer.dataset
    # The people of an answer whose dataset may still be in use are asked of another one.
    people = session.people(before, PeopleRequest(before.request, "people"), Task())
    assert people.dataset is not before.dataset
    assert people.table.total == 12
    session.close()


def test_the_people_of_a_check_are_its_own_after_another_range(shop: Path, session: Session) -> None:
    from queries.check import from_dict as check_request

    times = [f"2026-03-{day}T10:00:00,view,{name},,," for day, name in (("01", "a"), ("20", "b"))]
    (shop / "e.csv").write_text("\n".join([HEADINGS, *times, *times]) + "\n", "utf-8")
    first = session.answer(check_request({"to": "2026-03-05"}), Task())
    session.answer(check_request({"from": "2026-03-06"}), Task())
    assert [name for name, _ in listed(session, first, "duplicate-rows")] == ["a"]


def test_a_cancel_leaves_no_half_of_what_a_dataset_keeps(shop: Path, session: Session) -> None:
    request = funnel_request({"steps": ["view"], "unit": "session"})
    dataset = session.answer(request, Task()).dataset
    dataset._of_units = None
    stream = dataset.stream

    def broken(sql: str) -> Iterator[Any]:
        yield next(stream(sql))
        raise Cancelled("cancelled")

    dataset.stream = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(Cancelled):
        session.answer(request, Task())
    dataset.stream = stream  # type: ignore[method-assign]
    assert dataset._of_units is None
