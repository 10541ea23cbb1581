"""One unit's events read one by one: its attempts, and whether an exclusion hits an entry."""

from __future__ import annotations

from dataclasses import dataclass

from queries.kernels.sweep import Link, Plan, Sweep, UnitEvents


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one unit, or one attempt of it, counts as; places are those of the unit's events."""

    level: int
    places: list[int]
    """One a step, −1 where there is none."""
    skipped: int
    open: bool
    strict_level: int


def replay(unit: UnitEvents, plan: Plan) -> list[Attempt]:
    """What a unit counts as: one attempt, or under ``every`` each of them; none without an entry."""
    if plan.rule.entry != "every":
        entering = unit.entering[:1] if plan.rule.entry == "first" else unit.entering
        return [_counted(unit, plan, _swept(unit, plan, entering), entering)] if entering else []
    found = []
    position = 0
    while position < len(unit.entering):
        sweep, position = _one_attempt(unit, plan, position)
        found.append((sweep, position))
    starts = [0, *(position for _, position in found[:-1])]
    return [
        _counted(unit, plan, sweep, [unit.entering[start]])
        for (sweep, _), start in zip(found, starts, strict=True)
    ]


def is_hit(unit: UnitEvents, plan: Plan, entry: int) -> bool:
    """Whether an excluding event comes inside an entry's windows while it stands at a step it excludes.

    It stands at its deepest level so far; an event that takes it deeper does not hit.
    """
    rule, sweep = plan.rule, Sweep(unit, plan)
    sweep.take(entry, True)
    for place in range(entry + 1, len(unit.ts)):
        level, now = sweep.level, unit.ts[place]
        if level == rule.steps or (rule.window is not None and now - unit.ts[entry] > rule.window):
            return False
        stands = unit.excludes[place] & plan.spans[level]
        running = stands and plan.is_running(level, unit.ts[sweep.latest(level)], unit.ts[entry], now)
        sweep.take(place, False)
        if running and sweep.level == level:
            return True
    return False


def _swept(unit: UnitEvents, plan: Plan, entering: list[int]) -> Sweep:
    """The chains of some entries over all the unit's events."""
    sweep = Sweep(unit, plan)
    enters = set(entering)
    for place in range(entering[0], len(unit.ts)):
        sweep.take(place, place in enters)
    return sweep


def _one_attempt(unit: UnitEvents, plan: Plan, position: int) -> tuple[Sweep, int]:
    """The attempt from an entry, given as its position among the entries, and the position of the next."""
    last, sweep = plan.rule.steps, Sweep(unit, plan)
    start = unit.entering[position]
    sweep.take(start, True)
    position += 1
    for place in range(start + 1, len(unit.ts)):
        done = sweep.level == last
        is_entry = position < len(unit.entering) and unit.entering[position] == place
        if done and is_entry:
            return sweep, position
        if not done:
            sweep.take(place, False)
        if is_entry:
            if sweep.level < last and not sweep.is_running(unit.ts[place]):
                return sweep, position
            position += 1
    return sweep, len(unit.entering)


def _counted(unit: UnitEvents, plan: Plan, sweep: Sweep, entering: list[int]) -> Attempt:
    rule, ts, level = plan.rule, unit.ts, sweep.level
    moment, entry = sweep.first[level]
    places = {1: entry} if level == 1 else _places(unit, plan, entry, level, moment)
    may_pass = level < rule.steps and any(
        rule.may_pass(step, ts[place], ts[latest], level)
        for step, place, latest in sweep.standing()
        if rule.order != "strict" or place == len(ts) - 1
    )
    if plan.stricter is None:
        strict_level = -1
    elif not unit.tied or plan.stricter is plan:
        strict_level = level
    elif rule.entry == "every":
        strict_level = _level_of_one(unit, plan.stricter, entering[0])
    else:
        strict_level = _swept(unit, plan.stricter, entering).level
    return Attempt(
        level=level,
        places=[places.get(step, -1) for step in range(1, rule.steps + 1)],
        skipped=sum(1 << (step - 1) for step in range(2, level) if step not in places),
        open=may_pass,
        strict_level=strict_level,
    )


def _level_of_one(unit: UnitEvents, plan: Plan, entry: int) -> int:
    """The level of one entry, read no further than its chains run."""
    rule, sweep = plan.rule, Sweep(unit, plan)
    sweep.take(entry, True)
    for place in range(entry + 1, len(unit.ts)):
        over = rule.order == "strict" and place >= entry + rule.steps
        if over or sweep.level == rule.steps or not sweep.is_running(unit.ts[place]):
            break
        sweep.take(place, False)
    return sweep.level


def _places(unit: UnitEvents, plan: Plan, entry: int, level: int, moment: int) -> dict[int, int]:
    """Step → place of the chain to the moment that does each step, and as early as it can, step 2 first."""
    onward = _onward(unit, plan, entry, level, moment)
    link = (1, entry)
    places = {1: entry}
    while link != (level, moment):
        link = onward[link]
        places[link[0]] = link[1]
    return places


def _onward(unit: UnitEvents, plan: Plan, entry: int, level: int, moment: int) -> dict[Link, Link]:
    """From the back: for each link from which the moment can be reached, the best link after it."""
    rule, ts, spans = plan.rule, unit.ts, plan.spans
    nearest: dict[int, int] = {level: moment}
    onward: dict[Link, Link] = {}
    excluding = [len(ts)] * len(rule.exclusions)
    same_time: list[Link] = []

    def best(step: int, place: int) -> Link | None:
        for following in plan.following[step]:
            there = nearest.get(following) if following <= level else None
            if there is None or (rule.order == "strict" and there != place + 1):
                continue
            if not rule.gap <= ts[there] - ts[place] <= plan.windows[following]:
                continue
            if not any(spans[step] >> bit & 1 and at < there for bit, at in enumerate(excluding)):
                return following, there
        return None

    for place in range(moment, entry - 1, -1):
        if same_time and ts[same_time[0][1]] > ts[place]:
            nearest.update(same_time)
            same_time = []
        fresh = []
        for step in (1,) if place == entry else unit.steps[place]:
            found = best(step, place) if step < level and place < moment else None
            if found is not None:
                onward[step, place] = found
                fresh.append((step, place))
        if rule.gap:
            same_time += fresh
        else:
            nearest.update(fresh)
        for bit in range(len(excluding)):
            if unit.excludes[place] >> bit & 1:
                excluding[bit] = place
    return onward
