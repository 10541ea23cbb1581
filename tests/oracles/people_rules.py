"""The rule language over people, written apart from the SQL: random exports, random rules, who is meant.

A rule is its text beside a function of one person's events. Truth has three values; None is NULL.
"""

from __future__ import annotations

import itertools
import math
import operator
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HOUR = 3_600_000
START = int(datetime(2026, 3, 5, 20, tzinfo=UTC).timestamp() * 1000)
"""Two days before clocks change in New York."""
HOSTILE = "x') OR 1=1 --"
NAMES = ("A", "B", "C", "订单", HOSTILE)
PRICES = (5, 2.5, "7", "abc", "NaN", None, 40)
AMOUNTS = (0.1, 0.2, 33.37, 33.36, 5.0, 100.1, None)

Event = dict[str, object]
Value = object
Meaning = Callable[["Person"], Value]


@dataclass(frozen=True)
class Person:
    """The events of one person in their total order, and what relative ranges are read against."""

    events: tuple[Event, ...]
    as_of: int
    zone: ZoneInfo

    def values(self, name: str) -> list[Value]:
        return [value for one in self.events if (value := read(one, name)) is not None]


@dataclass(frozen=True)
class Rule:
    """A rule as it is typed and as it is meant."""

    text: str
    meaning: Meaning


def random_events(rng: random.Random, people: int, count: int) -> list[Event]:
    """Events as an export has them; many share a time, few have every value."""
    login = {f"d{place}": rng.choice([None, f"u{place}"]) for place in range(people)}
    found = []
    for _ in range(count):
        device = rng.choice(list(login))
        found.append(
            {
                "ts": START + rng.randrange(40) * 3 * HOUR,
                "event": rng.choices(NAMES, (6, 6, 3, 2, 1))[0],
                "user_id": login[device] if rng.random() < 0.5 else None,
                "anonymous_id": device,
                "sequence": rng.choice([None, 1, 2, 3]),
                "channel": rng.choice([None, "x", "y", "it's"]),
                "amount": rng.choice(AMOUNTS),
                "quantity": rng.choice([None, 1, 2, 3]),
                "score": rng.choice([None, 0.25, 1.5]),
                "vip": rng.choice([None, True, False]),
                "properties": {"price": rng.choice(PRICES), "tag": rng.choice([None, "p", "q"])},
                # Named as the SQL's own helpers are.
                "entry_0": rng.choice([None, 1]),
                "measure_0": rng.choice([None, 7]),
            }
        )
    return found


def people_of(
    events: Sequence[Event], *, as_of: int | None, zone: str, raw: bool, alike: bool
) -> dict[str, Person]:
    """Who there is by id; ``raw`` links nothing, ``alike`` keeps one of equal rows."""
    rows = list(enumerate(events))
    if alike:
        rows = [(place, one) for place, one in rows if one not in events[:place]]
    last = max(int(str(one["ts"])) for _, one in rows) if as_of is None else as_of
    rows = [(place, one) for place, one in rows if int(str(one["ts"])) <= last]
    login = {one["anonymous_id"]: one["user_id"] for _, one in rows if one["user_id"] is not None}
    found: dict[str, list[tuple[tuple[int, int, int], Event]]] = {}
    for place, one in rows:
        linked = None if raw else login.get(one["anonymous_id"])
        name = str(one["user_id"] or linked or one["anonymous_id"])
        sequence = -1 if one["sequence"] is None else int(str(one["sequence"]))
        found.setdefault(name, []).append(((int(str(one["ts"])), sequence, place), one))
    return {
        name: Person(tuple(one for _, one in sorted(own, key=lambda pair: pair[0])), last, ZoneInfo(zone))
        for name, own in found.items()
    }


def read(event: Event, name: str) -> Value:
    """A property of an event; a key of JSON as text."""
    if not name.startswith("properties."):
        return event[name]
    inside = event["properties"]
    assert isinstance(inside, dict)
    value = inside[name.removeprefix("properties.")]
    return None if value is None else str(value)


def number(value: Value) -> float | None:
    """A value as a finite number."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


# --- pieces of rules ---------------------------------------------------------------------------------------

COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def compared(rng: random.Random, left: Rule, bounds: Sequence[tuple[str, object]], *, ordered: bool) -> Rule:
    """A comparison of a value with one of some constants, each as text and as it is read."""

    def met(holds: Callable[[object], bool]) -> Meaning:
        return lambda person: None if (value := left.meaning(person)) is None else holds(value)

    kind = rng.choice(["compare"] * 4 + ["in", "between", "null"])
    (text, bound), (more, other) = rng.choice(bounds), rng.choice(bounds)
    negated = rng.random() < 0.3
    word = "NOT " if negated else ""
    if kind == "in":
        return Rule(
            f"{left.text} {word}IN ({text}, {more})", met(lambda value: (value in (bound, other)) != negated)
        )
    if kind == "null":
        return Rule(f"{left.text} IS {word}NULL", lambda person: (left.meaning(person) is None) != negated)
    if kind == "between" and ordered:
        return Rule(
            f"{left.text} {word}BETWEEN {text} AND {more}",
            met(lambda value: (bound <= value <= other) != negated),  # type: ignore[operator]
        )
    sign = rng.choice(list(COMPARISONS) if ordered else ["=", "<>"])
    return Rule(f"{left.text} {sign} {text}", met(lambda value: COMPARISONS[sign](value, bound)))


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


CONDITIONS: tuple[tuple[str, Callable[[Event], bool]], ...] = (
    ("channel = 'x'", lambda one: one["channel"] == "x"),
    ("channel = 'it''s' OR vip", lambda one: one["channel"] == "it's" or one["vip"] is True),
    ("amount > 5", lambda one: one["amount"] is not None and float(str(one["amount"])) > 5),
    ("properties.price IS NULL", lambda one: read(one, "properties.price") is None),
    ("properties.price > 3", lambda one: (number(read(one, "properties.price")) or 0) > 3),
    ("NOT quantity = 2", lambda one: one["quantity"] is not None and one["quantity"] != 2),
)


def random_step(rng: random.Random) -> tuple[str, Callable[[Event], bool]]:
    """``EVENT[|EVENT][: CONDITION]`` in single quotes, and the events it means."""
    names = rng.sample(NAMES, rng.choice([1, 1, 1, 2]))
    text = "|".join(names)
    if rng.random() < 0.7:
        return quoted(text), lambda one: one["event"] in names
    condition, holds = rng.choice(CONDITIONS)
    return quoted(f"{text}: {condition}"), lambda one: one["event"] in names and holds(one)


def random_range(rng: random.Random) -> tuple[str, Callable[[Person], tuple[float, float]]]:
    """Named arguments that bound a function, and the half-open range of UTC ms that they mean."""
    kind = rng.choice(["none", "none", "days", "hours", "since", "until", "both", "moment"])
    if kind == "none":
        return "", lambda person: (-math.inf, math.inf)
    if kind == "days":
        days = rng.randint(1, 4)

        def calendar(person: Person) -> tuple[float, float]:
            newest = datetime.fromtimestamp(person.as_of / 1000, person.zone).date()
            return (
                midnight(newest - timedelta(days - 1), person.zone),
                midnight(newest + timedelta(1), person.zone),
            )

        return f", last => '{days}d'", calendar
    if kind == "hours":
        hours = rng.randint(1, 80)
        return f", last => '{hours}h'", lambda person: (person.as_of + 1 - hours * HOUR, person.as_of + 1)
    first = date(2026, 3, 6) + timedelta(rng.randrange(4))
    if kind == "moment":
        at = datetime(first.year, first.month, first.day, 15)
        return (
            f", SINCE => '{at:%Y-%m-%d %H:%M}'",
            lambda person: (at.replace(tzinfo=person.zone).timestamp() * 1000, math.inf),
        )
    until = first + timedelta(rng.randrange(2))
    texts = [f", since => '{first}'"] * (kind != "until") + [f", until => '{until}'"] * (kind != "since")
    return (
        "".join(texts),
        lambda person: (
            -math.inf if kind == "until" else midnight(first, person.zone),
            math.inf if kind == "since" else midnight(until + timedelta(1), person.zone),
        ),
    )


def random_behaviour(rng: random.Random) -> Rule:
    """A comparison of what one of the functions over behaviour gives."""
    step, is_meant = random_step(rng)
    bounds_text, bounds = random_range(rng)

    def meant(person: Person) -> list[Event]:
        low, high = bounds(person)
        return [one for one in person.events if is_meant(one) and low <= int(str(one["ts"])) < high]

    kind = rng.choice(["did", "did", "first_did", "total_of", "avg_of", "distinct_of", "sequence"])
    if kind == "sequence":
        return random_sequence(rng)
    if kind == "did":
        value = Rule(f"did({step}{bounds_text})", lambda person: len(meant(person)))
        return compared(rng, value, [("0", 0), ("1", 1), ("2", 2), ("4", 4)], ordered=True)
    if kind == "first_did":
        first = Rule(
            f"first_did({step}{bounds_text})",
            lambda person: min((int(str(one["ts"])) for one in meant(person)), default=None),
        )
        return compared(rng, first, moments(rng), ordered=True)
    if kind == "distinct_of":
        name = rng.choice(["channel", "amount", "ts", "properties.tag", "quantity"])
        return compared(
            rng,
            Rule(
                f"distinct_of({step}, '{name}'{bounds_text})",
                lambda person: len({read(one, name) for one in meant(person)} - {None}),
            ),
            [("0", 0), ("1", 1), ("3", 3)],
            ordered=True,
        )
    name = rng.choice(["amount", "quantity", "score", "properties.price"])
    # Money adds up in minor units, so that its decimals compare exactly.
    scale = 100 if name == "amount" else 1

    def added(person: Person) -> float | None:
        found = [number(read(one, name)) for one in meant(person)]
        known = [round(value * scale) if scale > 1 else value for value in found if value is not None]
        if not known:
            return None
        return sum(known) / scale if kind == "total_of" else sum(known) / (len(known) * scale)

    numbers = (0, 1, 1.5, 5, 33.37, 66.73, 0.3, 100.1)
    return compared(
        rng,
        Rule(f"{kind}({step}, '{name}'{bounds_text})", added),
        [(str(one), one) for one in numbers],
        ordered=True,
    )


def moments(rng: random.Random) -> list[tuple[str, object]]:
    """Moments as text with their own offset, so that no zone is needed to read them."""
    found = [datetime.fromtimestamp(START / 1000 + rng.randrange(120) * 3600, UTC) for _ in range(3)]
    return [(f"'{at:%Y-%m-%dT%H:%M:%SZ}'", int(at.timestamp() * 1000)) for at in found]


def random_sequence(rng: random.Random) -> Rule:
    """``sequence``, as every chain of distinct events in reading order."""
    steps = [random_step(rng) for _ in range(rng.choice([2, 2, 3]))]
    hours = rng.choice([None, 0, 3, 24, 48])
    within = "" if hours is None else f", within => '{hours}h'"

    def holds(person: Person) -> bool:
        placed = [
            (int(str(one["ts"])), next((k for k, (_, meant) in enumerate(steps) if meant(one)), 9), row)
            for row, one in enumerate(person.events)
        ]
        order = [person.events[row] for _, _, row in sorted(placed)]
        return any(
            all(meant(one) for (_, meant), one in zip(steps, chain, strict=True))
            and (hours is None or int(str(chain[-1]["ts"])) - int(str(chain[0]["ts"])) <= hours * HOUR)
            for chain in itertools.combinations(order, len(steps))
        )

    return Rule(f"sequence({', '.join(text for text, _ in steps)}{within})", holds)


def random_property(rng: random.Random) -> Rule:
    """A condition on the latest known value of a property."""

    def latest(name: str) -> Rule:
        return Rule(name, lambda person: (person.values(name) or [None])[-1])

    kind = rng.choice(["channel", "event", "amount", "quantity", "vip", "price", "tag", "ts", "hour"])
    if kind in ("channel", "event"):
        texts = ["x", "y", "it's", "A", "订单"]
        return compared(rng, latest(kind), [(quoted(one), one) for one in texts], ordered=False)
    if kind in ("amount", "quantity"):
        return compared(rng, latest(kind), [("1", 1), ("2", 2), ("33.37", 33.37)], ordered=True)
    if kind == "vip":
        return rng.choice([latest("vip"), compared(rng, latest("vip"), [("TRUE", True)], ordered=False)])
    if kind == "tag":
        return compared(rng, latest("properties.tag"), [("'p'", "p"), ("'q'", "q")], ordered=False)
    if kind == "price":
        # Known, but no number: neither above nor below anything.
        inner = latest("properties.price").meaning
        sign = rng.choice(["<", ">", ">="])
        return Rule(
            f"properties.price {sign} 5",
            lambda person: None if (value := number(inner(person))) is None else COMPARISONS[sign](value, 5),
        )
    if kind == "ts":
        return compared(rng, latest("ts"), moments(rng), ordered=True)
    hour = Rule(
        "hour(ts)",
        lambda person: datetime.fromtimestamp(int(str(person.values("ts")[-1])) / 1000, person.zone).hour,
    )
    return compared(rng, hour, [("3", 3), ("9", 9), ("16", 16)], ordered=True)


def random_rule(rng: random.Random, depth: int = 2) -> Rule:
    """Conditions under AND, OR and NOT."""
    kind = rng.choice(["and", "or", "not", "leaf"]) if depth else "leaf"
    if kind == "leaf":
        return random_behaviour(rng) if rng.random() < 0.6 else random_property(rng)
    left, right = random_rule(rng, depth - 1), random_rule(rng, depth - 1)
    if kind == "not":
        return Rule(f"NOT ({left.text})", lambda person: negation(left.meaning(person)))
    connect = both if kind == "and" else either
    return Rule(
        f"({left.text}) {kind.upper()} ({right.text})",
        lambda person: connect(left.meaning(person), right.meaning(person)),
    )


def negation(value: Value) -> bool | None:
    return None if value is None else not value


def both(left: Value, right: Value) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def either(left: Value, right: Value) -> bool | None:
    return negation(both(negation(left), negation(right)))
