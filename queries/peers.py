"""Other products' funnels by name: what each one's rule is in this funnel's options, and what that leaves out.

No two products give the same funnel figure. Asked under a peer, a funnel keeps its steps, window, scope and
breakdown; what decides who counts is the peer's. Where the options cannot say a peer's rule exactly, the
difference is said beside the number. The sources of each rule, and how far each one is met, stand in
``docs/peers.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from queries import ranges
from queries.funnel_request import DAY, FunnelRequest
from queries.question import QuestionError
from queries.suggest import hint

EVERY = "all"
"""The name that asks for all peers, one beside the other."""

_SECOND = 1_000
_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Peer:
    """One product's funnel rule. Durations are milliseconds."""

    name: str
    title: str
    options: Mapping[str, object]
    """The peer's own rule, as fields of :class:`FunnelRequest`; what is not named is the default."""
    why: str
    """How its rule differs from ours, in one line to print beside the number."""
    not_imitated: str | None
    """What no option here says, in one line; None where nothing is left out."""
    offers: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """The fields that the peer too lets its users choose, with the values it has; none named: any value."""
    differs: Mapping[str, str] = field(default_factory=dict)
    """What is left out, by when it matters: a key of the conditions below."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """What the peer has in place of an option it lacks, as the hint of the refusal."""
    unit: int = 1
    """Its windows are whole multiples of this."""
    longest: int | None = None
    """Its longest window."""
    by_day: bool = False
    """Whether a window of n days ends with the nth calendar day, the first one counted."""


_WHEN: Mapping[str, Callable[[FunnelRequest], bool]] = {
    "in order": lambda asked: asked.order == "ordered" and not asked.shares_events,
    "strict order": lambda asked: asked.order == "strict",
    "any order": lambda asked: asked.order == "any",
    "shared events": lambda asked: asked.shares_events,
    "exclusions": lambda asked: bool(asked.exclude),
    "optional steps": lambda asked: bool(asked.optional),
    "breakdown": lambda asked: asked.scope.by is not None and asked.at == "first",
    "increasing times": lambda asked: asked.ties == "strict",
}
"""When a difference matters, of the request as asked."""

_DECIDING: Mapping[str, str] = {
    "order": "--order",
    "entry": "--entry",
    "step_windows": "--step-window",
    "ties": "--ties",
    "tolerance": "--tolerance",
    "exclude": "--exclude",
    "exclusion": "--exclusion",
    "hold": "--hold",
    "optional": "--optional",
    "range": "--range",
    "mature": "--mature",
}
"""The fields that decide who counts, with their options; the others are kept as asked."""

_DEFAULTS: Mapping[str, object] = {
    "order": "ordered",
    "entry": "any",
    "step_windows": {},
    "ties": "order",
    "tolerance": 0,
    "exclude": (),
    "exclusion": "drop",
    "hold": None,
    "optional": (),
    "range": "entry",
    "mature": False,
}

PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            name="clickhouse",
            title="ClickHouse windowFunnel",
            options={"range": "whole"},
            offers={"ties": ("strict",)},
            why="one event may do two steps; a range cuts off the later steps too",
            not_imitated="one event doing two steps, which matters only where an event matches two",
            differs={
                "shared events": "one event does one step here, so some come further there",
                "increasing times": "strict_increase keeps one chain a step, so ties hide chains found here",
            },
            instead={
                "order": "strict_order there lets steps repeat and ends at the first event out of order",
                "exclude": "windowFunnel has no exclusions",
            },
        ),
        Peer(
            name="posthog",
            title="PostHog funnel",
            options={"range": "whole", "exclusion": "remove"},
            offers={"order": ("strict", "any"), "exclude": (), "optional": ()},
            why="a range cuts off the later steps too; who is excluded leaves the funnel",
            not_imitated="repeats in strict order, exclusions beside other entries, several matches at one time",
            differs={
                "strict order": "a repeat of the step just done does not break the order there",
                "exclusions": "whose deepest chain was broken leaves there, though a shorter one is clean",
                "optional steps": "optional steps have no rows there",
                "shared events": "events of one time that match several steps are read otherwise there",
                "breakdown": "a breakdown takes the first value known in any step there, that of step 1 here",
            },
            unit=_SECOND,
        ),
        Peer(
            name="mixpanel",
            title="Mixpanel funnel, uniques",
            options={"entry": "first", "tolerance": 2 * _SECOND},
            offers={"order": ("any",), "entry": ("every",), "exclude": ()},
            why="the first step 1 in range decides; steps within 2 s count in either order",
            not_imitated="its choice of events beside exclusions, anchored steps, one entry a segment",
            differs={
                "any order": "which event enters in any order is not documented: here the first of any step",
                "exclusions": "each step is its first event there, so no later one passes an exclusion",
                "shared events": "the 2 s are left out: an event matches two steps",
                "breakdown": "a user enters once in each segment there, in one segment here",
            },
            instead={
                "hold": "Mixpanel holds the first entry's value alone; --hold counts a user once a value",
                "exclusion": "who is excluded stays in the steps done before, there",
                "order": "it has specific and any order",
            },
            unit=_SECOND,
            longest=366 * DAY,
        ),
        Peer(
            name="amplitude",
            title="Amplitude funnel, uniques",
            options={"tolerance": _SECOND // 2, "exclusion": "remove"},
            offers={"order": ("strict", "any"), "exclude": (), "hold": ()},
            why="it reads whole seconds: steps of one second count in either order",
            not_imitated="where a second begins; equal events of one second counting once",
            differs={
                "in order": "where a second begins: here steps up to half a second apart count in either order",
                "strict order": "events of one second never break the order there",
                "any order": "a user enters with step 1 there, with any step here",
                "exclusions": "which steps an excluded user leaves is not documented: here all",
                "shared events": "the order within a second is kept here: an event matches two steps",
            },
            instead={"optional": "Amplitude shows two funnels instead, with the step and without"},
            unit=_SECOND,
            longest=366 * DAY,
        ),
        Peer(
            name="growingio",
            title="GrowingIO 漏斗分析",
            options={"tolerance": 18 * _HOUR},
            why="it reads calendar days: steps of one day in any order, n days end with the nth day",
            not_imitated="where a day begins: a step may lie 18 h early, n days are n − ½ times 24 h",
            differs={
                "in order": "where a day begins: a step may lie 18 h early, n days are n − ½ times 24 h",
                "shared events": "the order within a day is kept here: an event matches two steps",
            },
            unit=DAY,
            longest=90 * DAY,
            by_day=True,
        ),
    )
}


def under(request: FunnelRequest, peer: str) -> FunnelRequest:
    """The funnel with a peer's rule: a request of our own, to be folded in place of the one asked.

    Steps, window, scope, and what is only read off the counted attempts (``at``, ``since``, ``trend``) stay as
    asked. Raises :class:`QuestionError` for a peer that there is not, and for a window or an option that
    the peer does not have.
    """
    found = named(peer)
    asked = {name: getattr(request, name) for name in _DECIDING}
    asked = {name: value for name, value in asked.items() if value != _DEFAULTS[name]}
    for name, value in asked.items():
        _check(found, name, value)
    options = {**found.options, **asked}
    if request.shares_events or request.order != "ordered":
        # Refused together, and in any order without effect.
        options.pop("tolerance", None)
    if not request.exclude:
        options.pop("exclusion", None)
    return replace(request, peer=None, window=_window(found, request.window), **options)


def check(request: FunnelRequest) -> None:
    """Raises :class:`QuestionError` where the funnel cannot be asked under the peer it names."""
    if request.peer is None:
        return
    if request.peer != EVERY:
        under(request, request.peer)
    elif request.compare is not None:
        raise QuestionError("--as all is a comparison itself", "leave --compare out, or name one product")


def under_every(request: FunnelRequest) -> dict[str, FunnelRequest | QuestionError]:
    """The funnel under each peer, in their order; the reason in place of a funnel that a peer cannot ask."""
    asked: dict[str, FunnelRequest | QuestionError] = {}
    for name in PEERS:
        try:
            asked[name] = under(request, name)
        except QuestionError as error:
            asked[name] = error
    return asked


def approximated(request: FunnelRequest, peer: str) -> str | None:
    """What is left out of this request's funnel under a peer, in one line; None where the rule is exact.

    ``request`` is the funnel as asked, before :func:`under`.
    """
    return "; ".join(text for when, text in named(peer).differs.items() if _WHEN[when](request)) or None


def described(request: FunnelRequest, peer: str) -> str:
    """The line to print beside a peer's number: whose it is, why it differs, and what is approximated."""
    found, left_out = named(peer), approximated(request, peer)
    line = f"{found.title}: {found.why}"
    return line if left_out is None else f"{line}. Approximated: {left_out}"


def named(peer: str) -> Peer:
    """The peer of a name; raises :class:`QuestionError` where there is none."""
    if peer not in PEERS:
        names = (*PEERS, EVERY)
        raise QuestionError(f"--as {peer}", hint(peer, names) or f"one of {', '.join(names)}")
    return PEERS[peer]


def _check(peer: Peer, name: str, value: object) -> None:
    if value == peer.options.get(name):
        return
    if name in peer.offers and (not peer.offers[name] or value in peer.offers[name]):
        return
    option = _DECIDING[name]
    said = f"{option} {value}" if isinstance(value, str) and name != "hold" else option
    if name == "tolerance" and isinstance(value, int):
        said = f"{option} {ranges.format_duration(value)}"
    raise QuestionError(
        f"{peer.title} has no {said}", peer.instead.get(name) or f"leave {option} out, or leave --as out"
    )


def _window(peer: Peer, window: int | None) -> int:
    """The window in elapsed time; raises :class:`QuestionError` for one that the peer cannot have."""
    if window is None:
        raise QuestionError(f"{peer.title} always has a window", "give a --window")
    if window % peer.unit or window < peer.unit * peer.by_day:
        unit = "days" if peer.unit == DAY else "seconds"
        raise QuestionError(f"{peer.title} counts its window in whole {unit}", "give such a --window")
    if peer.longest is not None and window > peer.longest:
        longest = ranges.format_duration(peer.longest)
        raise QuestionError(f"{peer.title} has no window longer than {longest}", "give a shorter --window")
    return window - DAY // 2 if peer.by_day else window
