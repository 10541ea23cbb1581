"""The funnel by definition: every chain of a user is written out and the best one picked.

It shares no idea with a fold: no "latest feasible entry", no pass over sorted arrays. Times are integer
milliseconds. Events of a user are sorted into reading order once; a chain is then a tuple of ``(step,
position)`` links, a position being a place in that order. Where the rules leave a choice, this oracle reads:

- *tolerance*: a level is reached at the event of its last step, even when the step before it is read later.
- *exclusion I:J*: an excluding event breaks a chain when it is read after the first step done from I on, and
  before the first one done from J on (or the last one done). Optional steps left out, and steps that lie
  early under a tolerance, so need no rule of their own.
- *optional*: first moment, then latest entry, then each step in turn: done before left out, early before
  late. A level reached by leaving a step out stays at that moment though doing it would have fitted later.
- *every*: an attempt is over once no chain of it has all its windows running, or once an exclusion broke all
  of them; a break of a ``strict`` order does not end it. The event that completes an attempt never starts
  another; a step 1 that ends one as its exclusion does.
- *remove*: an entry is hit by an excluding event read after it while its deepest chains stand at a step from
  I to J−1 and one of them has all its windows running, unless that event takes the entry deeper.
- *any order*: ``[t, t+W]`` is an interval of times, so an event tied with the entry may be read before it.
  The entry is one of the events that fill; "step k" of its chain is the k-th event, the entry the first.
- *open*: events yet to come are imagined at *as of* or later, a millisecond apart when times must increase.
- *strictly increasing, for the note*: the same entries judged again; who is removed is not asked again.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Link = tuple[int, int]
"""A step, from 1, and the position in reading order of the event that does it."""
Chain = tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: ``ts`` in ms, its place in the export, and the steps and exclusions it matches."""

    user: int
    ts: int
    sequence: int
    steps: frozenset[int] = frozenset()
    excludes: frozenset[int] = frozenset()
    """Indices into :attr:`Options.exclusions`."""
    value: object = None
    held: object = None


@dataclass(frozen=True, slots=True)
class Options:
    """A funnel's rules; every duration and time in ms, ``None`` for none."""

    steps: int
    window: int | None
    order: Literal["ordered", "strict", "any"] = "ordered"
    entry: Literal["any", "first", "every"] = "any"
    step_windows: Mapping[int, int] = field(default_factory=dict)
    ties: Literal["order", "strict"] = "order"
    tolerance: int = 0
    exclusions: tuple[tuple[int, int], ...] = ()
    exclusion: Literal["drop", "remove"] = "drop"
    hold: bool = False
    optional: frozenset[int] = frozenset()
    range_start: int | None = None
    range_end: int | None = None
    """Exclusive."""
    range: Literal["entry", "whole"] = "entry"
    at: str = "first"
    """``first``, ``last``, ``step:N``, ``user-first`` or ``user-last``."""
    as_of: int | None = None
    """The newest event at hand when not given."""

    def check(self) -> None:
        """Raises ValueError for rules that cannot stand together."""
        inner = range(2, self.steps)
        refused = {
            "tolerance with strictly increasing": self.tolerance and self.ties == "strict",
            "tolerance with strict order": self.tolerance and self.order == "strict",
            "optional first or last step": not self.optional <= set(inner),
            "step window of no later step": not set(self.step_windows) <= set(range(2, self.steps + 1)),
            "exclusion range": not all(1 <= i < j <= self.steps for i, j in self.exclusions),
            "any order with a rule of order": self.order == "any"
            and (self.tolerance or self.ties == "strict" or self.step_windows or self.optional),
            "any order with a range on an exclusion": self.order == "any"
            and any(span != (1, self.steps) for span in self.exclusions),
        }
        for why, is_so in refused.items():
            if is_so:
                raise ValueError(f"refused: {why}")

    def in_range(self, ts: int) -> bool:
        """Whether a time lies in ``[range_start, range_end)``."""
        after = self.range_start is None or ts >= self.range_start
        return after and (self.range_end is None or ts < self.range_end)

    def next_steps(self, step: int) -> Iterator[int]:
        """The steps a chain may do after ``step``: the next one, and those behind optional ones."""
        for following in range(step + 1, self.steps + 1):
            yield following
            if following not in self.optional:
                return


@dataclass(frozen=True, slots=True)
class Answer:
    """What one unit (user, attempt, or user and held value) counts as."""

    user: int
    level: int
    status: Literal["none", "removed", "dropped", "open", "converted"]
    """``none``: no entry. ``removed`` and ``none`` have level 0 and are in no row."""
    entry_index: int | None = None
    """Position of the counted entry in the unit's reading order."""
    chain: tuple[Event | None, ...] = ()
    """The counted attempt's event per step up to the level; None where an optional step was left out."""
    value: object = None
    held: object = None
    first_entry_ts: int | None = None
    """The first entry ever in range, whichever entry counts."""
    level_if_strict_ties: int | None = None
    """The level under strictly increasing times; None where that rule is refused beside the others."""

    @property
    def open(self) -> bool:
        return self.status == "open"

    @property
    def entry_ts(self) -> int | None:
        return self.chain[0].ts if self.chain and self.chain[0] else None

    @property
    def step_times(self) -> tuple[int | None, ...]:
        return tuple(event.ts if event else None for event in self.chain)

    def since_entry(self, step: int) -> int | None:
        """Milliseconds from step 1 to ``step``, a negative one as 0; None where the step was not done."""
        ts = self.step_times[step - 1] if step <= self.level else None
        return None if ts is None or self.entry_ts is None else max(0, ts - self.entry_ts)

    def since_previous(self, step: int) -> int | None:
        """Milliseconds from the step done before ``step``, a negative one as 0."""
        ts = self.step_times[step - 1] if step <= self.level else None
        before = [earlier for earlier in self.step_times[: step - 1] if earlier is not None]
        return max(0, ts - before[-1]) if ts is not None and before else None


@dataclass(frozen=True, slots=True)
class Row:
    """One step of a funnel's table."""

    step: int
    n: int
    dropped: int
    open: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """The whole table, and every answer behind it."""

    rows: tuple[Row, ...]
    answers: tuple[Answer, ...]

    def rows_by_value(self) -> dict[object, tuple[Row, ...]]:
        """The table per breakdown value; its rows add up to :attr:`rows`."""
        groups: dict[object, list[Answer]] = {}
        for answer in self.answers:
            if answer.level:
                groups.setdefault(answer.value, []).append(answer)
        return {value: rows_of(group, len(self.rows)) for value, group in groups.items()}

    @property
    def differ_under_strict_ties(self) -> int:
        """How many users have a level that strictly increasing times would change."""
        return len(
            {
                answer.user
                for answer in self.answers
                if answer.level_if_strict_ties not in (None, answer.level) and answer.status != "removed"
            }
        )


def funnel(events: Iterable[Event], options: Options) -> Funnel:
    """The funnel over the events of any number of users, in any order. Raises ValueError if refused."""
    everything = list(events)
    if options.as_of is None and everything:
        options = replace(options, as_of=max(event.ts for event in everything))
    by_user: dict[int, list[Event]] = {}
    for event in everything:
        by_user.setdefault(event.user, []).append(event)
    answers = tuple(answer for user in sorted(by_user) for answer in user_answers(by_user[user], options))
    return Funnel(rows_of(answers, options.steps), answers)


def rows_of(answers: Sequence[Answer], steps: int) -> tuple[Row, ...]:
    """Row k counts the units of level k or deeper; who stopped at k is dropped or open there."""
    rows = []
    for step in range(1, steps + 1):
        reached = [answer for answer in answers if answer.level >= step]
        stopped = [answer.status for answer in reached if answer.level == step]
        skipped = sum(answer.chain[step - 1] is None for answer in reached)
        rows.append(Row(step, len(reached), stopped.count("dropped"), stopped.count("open"), skipped))
    return tuple(rows)


def user_answer(events: Sequence[Event], options: Options) -> Answer:
    """The answer of one user where a user counts once (neither ``every`` nor ``hold``)."""
    (answer,) = user_answers(events, options)
    return answer


def user_answers(events: Sequence[Event], options: Options) -> tuple[Answer, ...]:
    """All answers of one user: one, or one per attempt (``every``) and held value (``hold``)."""
    options.check()
    if options.tolerance and any(len(event.steps) > 1 for event in events):
        raise ValueError("refused: tolerance where an event matches two steps")
    if not events:
        return ()
    if options.as_of is None:
        options = replace(options, as_of=max(event.ts for event in events))
    known = reading_order(event for event in events if event.ts <= _as_of(options))
    if not known:
        return (Answer(events[0].user, 0, "none", level_if_strict_ties=0),)
    if not options.hold:
        return _unit_answers(known, known, options)
    held = dict.fromkeys(event.held for event in known if event.held is not None)
    units = [[event for event in known if event.held == value] for value in held]
    return tuple(answer for unit in units for answer in _unit_answers(unit, known, options))


def reading_order(events: Iterable[Event]) -> list[Event]:
    """Sorted by time, then by the first step matched (none last), then by sequence."""
    no_step = 1 << 30
    return sorted(events, key=lambda event: (event.ts, min(event.steps, default=no_step), event.sequence))


def _as_of(options: Options) -> int:
    assert options.as_of is not None
    return options.as_of


def _unit_answers(read: list[Event], of_user: list[Event], options: Options) -> tuple[Answer, ...]:
    """The unit's answers; ``of_user`` is what ``user-first`` and ``user-last`` look at."""
    entries = [i for i, event in enumerate(read) if _is_entry(event, options)]
    groups = _entry_groups(read, entries, options)
    removed = bool(options.exclusions) and options.exclusion == "remove" and bool(groups)
    removed = removed and all(_is_hit(read, entry, options) for group in groups for entry in group)
    if not groups or removed:
        nothing = Answer(
            user=of_user[0].user,
            level=0,
            status="removed" if removed else "none",
            held=read[0].held if options.hold else None,
            first_entry_ts=read[entries[0]].ts if entries else None,
        )
        return (replace(nothing, level_if_strict_ties=_strict_level(read, None, options)),)
    return tuple(
        replace(
            _judge(read, of_user, group, options),
            first_entry_ts=read[entries[0]].ts,
            level_if_strict_ties=_strict_level(read, group, options),
        )
        for group in groups
    )


def _is_entry(event: Event, options: Options) -> bool:
    starts = bool(event.steps) if options.order == "any" else 1 in event.steps
    return starts and options.in_range(event.ts)


def _entry_groups(read: list[Event], entries: list[int], options: Options) -> list[list[int]]:
    """The entries that count, one group a row is counted by: all together, the first, or each attempt's."""
    if not entries:
        return []
    if options.entry == "any":
        return [entries]
    starts = [entries[0]]
    if options.entry == "every":
        for entry in entries[1:]:
            if not _is_live(read, starts[-1], entry, options):
                starts.append(entry)
    return [[start] for start in starts]


def _judge(read: list[Event], of_user: list[Event], entries: list[int], options: Options) -> Answer:
    """The deepest level of these entries, the attempt that counts for it, and whether it may go deeper."""
    chains = [chain for entry in entries for chain in clean_chains(read, entry, options)]
    level = max(chain[-1][0] for chain in chains)
    deepest = [chain for chain in chains if chain[-1][0] == level]
    counted = min(deepest, key=lambda chain: _preference(chain, options))
    events = dict(counted)
    by_step = tuple(read[events[step]] if step in events else None for step in range(1, level + 1))
    if level == options.steps:
        status: Literal["converted", "open", "dropped"] = "converted"
    elif any(_may_pass(read, chain, level, options) for chain in chains):
        status = "open"
    else:
        status = "dropped"
    return Answer(
        user=read[0].user,
        level=level,
        status=status,
        entry_index=counted[0][1],
        chain=by_step,
        value=_value(by_step, of_user, options),
        held=read[0].held if options.hold else None,
    )


def _preference(chain: Chain, options: Options) -> tuple[int, int, list[float]]:
    """First moment, then latest entry, then each step from the second on as early as can be."""
    events = dict(chain)
    positions = [position for _, position in chain]
    moment = max(positions) if options.order == "any" else positions[-1]
    later_steps = [events.get(step, float("inf")) for step in range(2, chain[-1][0] + 1)]
    return moment, -positions[0], later_steps


def _value(chain: tuple[Event | None, ...], of_user: list[Event], options: Options) -> object:
    """The breakdown's value, read where ``at`` says."""
    if options.at in ("user-first", "user-last"):
        known = [event.value for event in of_user if event.value is not None]
        return known[0 if options.at == "user-first" else -1] if known else None
    wanted = {"first": 1, "last": len(chain)}.get(options.at) or int(options.at.removeprefix("step:"))
    event = chain[wanted - 1] if wanted <= len(chain) else None
    return event.value if event else None


def _strict_level(read: list[Event], entries: list[int] | None, options: Options) -> int | None:
    """The level of the same entries when times must increase; ``every`` keeps its attempts' entries."""
    if options.tolerance or options.order == "any":
        return None
    if entries is None:
        return 0
    strictly = replace(options, ties="strict")
    return max(chain[-1][0] for entry in entries for chain in clean_chains(read, entry, strictly))


def clean_chains(read: list[Event], entry: int, options: Options) -> list[Chain]:
    """Every chain from an entry that keeps all rules, the entry alone first: prefixes are chains too."""
    if options.order == "any":
        return [chain for chain in _fillings(read, entry, options) if not _is_broken(read, chain, options)]
    found: list[Chain] = []

    def grow(chain: Chain) -> None:
        found.append(chain)
        for step in options.next_steps(chain[-1][0]):
            for position, event in enumerate(read):
                longer = (*chain, (step, position))
                follows = step in event.steps and _may_follow(read, chain, step, position, options)
                if follows and not _is_broken(read, longer, options):
                    grow(longer)

    grow(((1, entry),))
    return found


def _may_follow(read: list[Event], chain: Chain, step: int, position: int, options: Options) -> bool:
    """Whether an event may be the next link of an ordered or strict chain, exclusions aside."""
    last = chain[-1][1]
    ts, ts_before = read[position].ts, read[last].ts
    if position in {used for _, used in chain}:
        return False
    if options.tolerance:
        in_order = ts >= ts_before - options.tolerance
    elif options.order == "strict":
        in_order = position == last + 1
    else:
        in_order = position > last
    if options.ties == "strict":
        in_order = in_order and ts > ts_before
    return in_order and _in_windows(read, chain, step, ts, options)


def _in_windows(read: list[Event], chain: Chain, step: int, ts: int, options: Options) -> bool:
    """Whether ``step`` at ``ts`` is inside the total window, its own, and the range under ``whole``."""
    since_entry, since_before = ts - read[chain[0][1]].ts, ts - read[chain[-1][1]].ts
    in_total = options.window is None or since_entry <= options.window
    in_own = step not in options.step_windows or since_before <= options.step_windows[step]
    return in_total and in_own and (options.range == "entry" or options.in_range(ts))


def _fillings(read: list[Event], entry: int, options: Options) -> Iterator[Chain]:
    """Any order: every set of distinct events of the entry's window, the entry in it, that fills steps."""
    start = read[entry].ts
    others = [
        i
        for i, event in enumerate(read)
        if i != entry
        and event.ts >= start
        and event.steps
        and _in_windows(read, ((1, entry),), 0, event.ts, options)
    ]
    for size in range(options.steps):
        for chosen in itertools.combinations(others, size):
            positions = (entry, *chosen)
            if any(
                all(step in read[position].steps for step, position in zip(steps, positions, strict=True))
                for steps in itertools.permutations(range(1, options.steps + 1), len(positions))
            ):
                yield tuple(enumerate(positions, start=1))


def _is_broken(read: list[Event], chain: Chain, options: Options, until: int | None = None) -> bool:
    """Whether an excluding event outside the chain is read inside an exclusion's span of it.

    The span goes from the first step done from I on to the first one done from J on. For a chain short of J
    it goes to the chain's last event, or, asked whether it still stands, to before the position ``until``.
    """
    used = {position for _, position in chain}
    for index, (first, last) in enumerate(options.exclusions):
        inside = [link for link in chain if link[0] >= first]
        if not inside:
            continue
        span = [position for step, position in inside if step < last]
        span += [position for step, position in inside if step >= last][:1]
        stop = max(span) if until is None or inside[-1][0] >= last else until
        if any(index in read[i].excludes and i not in used for i in range(inside[0][1] + 1, stop)):
            return True
    return False


def _may_pass(read: list[Event], chain: Chain, level: int, options: Options) -> bool:
    """Whether a chain still stands at *as of* and events from then on could take it past ``level``."""
    if options.order == "strict" and chain[-1][1] != len(read) - 1:
        return False
    if _is_broken(read, chain, options, until=len(read)):
        return False

    def reach(step: int, ts_before: int, imagined: Chain, events: list[Event]) -> bool:
        if step > level:
            return True
        ts = max(_as_of(options), ts_before + (1 if options.ties == "strict" else 0))
        to_come = [*events, Event(read[0].user, ts, 0)]
        return any(
            reach(following, ts, (*imagined, (following, len(events))), to_come)
            for following in options.next_steps(step)
            if _in_windows(events, imagined, following, ts, options)
        )

    return reach(chain[-1][0], read[chain[-1][1]].ts, chain, read)


def _is_running(read: list[Event], chain: Chain, ts: int, options: Options) -> bool:
    """Whether a chain has some next step whose windows take in ``ts``."""
    windows_only = replace(options, range="entry")
    return any(_in_windows(read, chain, step, ts, windows_only) for step in options.next_steps(chain[-1][0]))


def _is_live(read: list[Event], start: int, now: int, options: Options) -> bool:
    """Whether the attempt begun at ``start`` still takes the event at ``now``, so that it starts none."""
    chains = [c for c in clean_chains(read, start, options) if max(i for _, i in c) <= now]
    complete = [c for c in chains if c[-1][0] == options.steps]
    if complete:
        return min(max(i for _, i in c) for c in complete) == now
    if options.order == "strict":
        chains = [c for c in chains if not any(d != c and d[: len(c)] == c for d in chains)]
    return any(
        _is_running(read, chain, read[now].ts, options)
        and not _is_broken(read, chain, options, until=now + 1)
        for chain in chains
    )


def _is_hit(read: list[Event], entry: int, options: Options) -> bool:
    """Whether an excluding event comes inside the entry's window while it stands at a step from I to J−1."""
    chains = clean_chains(read, entry, options)
    for position in range(entry + 1, len(read)):
        before = [c for c in chains if all(i < position for _, i in c)]
        if not before:
            continue
        level = max(c[-1][0] for c in before)
        deeper = any(c[-1][0] > level for c in chains if all(i <= position for _, i in c))
        running = any(_is_running(read, c, read[position].ts, options) for c in before if c[-1][0] == level)
        stands = any(
            options.exclusions[i][0] <= level < options.exclusions[i][1] for i in read[position].excludes
        )
        if stands and running and not deeper:
            return True
    return False


def random_users(
    rng: random.Random, options: Options, users: int = 20, most_events: int = 9
) -> Iterator[list[Event]]:
    """Small users, shuffled, with many ties, repeated steps and times on and beside a window's bound.

    Times are whole minutes, or the window's tenths where there is a window, from 0 on. No event matches two
    steps where a tolerance forbids it.
    """
    tick = max(1, (options.window or 600_000) // 10)
    for user in range(users):
        span = rng.choice((3, 8, 14, 25))
        events = [
            _random_event(rng, options, user, tick * rng.randrange(span), sequence)
            for sequence in range(rng.randint(1, most_events))
        ]
        rng.shuffle(events)
        yield events


def _random_event(rng: random.Random, options: Options, user: int, ts: int, sequence: int) -> Event:
    how_many = rng.choices((0, 1, 2), (2, 12, 0 if options.tolerance or options.steps < 2 else 2))[0]
    return Event(
        user=user,
        ts=ts + rng.choice((0, 0, 0, 0, 1, -1) if ts else (0,)),
        sequence=sequence,
        steps=frozenset(rng.sample(range(1, options.steps + 1), how_many)),
        excludes=frozenset(i for i in range(len(options.exclusions)) if rng.random() < 0.2),
        value=rng.choice((None, "red", "green", "blue")),
        held=rng.choice((None, 1, 1, 2)),
    )
