"""``workbench funnel``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench.commands.asking import ask
from workbench.completing import complete_event
from workbench.options import (
    breakdown_options,
    compare_option,
    once,
    output_of,
    output_options,
    scope_of,
    scope_options,
)

if TYPE_CHECKING:
    from queries.funnel_request import FunnelRequest

F = TypeVar("F", bound=Callable[..., object])


def funnel_options(users: Callable[[F], F]) -> Callable[[F], F]:
    """Everything that says a funnel: its rule, its scope, its rows; ``users`` is the command's own ``--users``."""
    options: list[Callable[[F], F]] = [
        click.option(
            "--step",
            "steps",
            multiple=True,
            metavar="STEP",
            shell_complete=complete_event,
            help='"EVENT[|EVENT…][: EXPR]"; once for each step, in order.',
        ),
        click.option(
            "--window",
            default="7d",
            show_default=True,
            metavar="SPAN",
            help="From step 1, inclusive; or none.",
        ),
        users,
        click.option(
            "--step-window",
            multiple=True,
            metavar="I=SPAN",
            help="Step I at most so long after the step before it; beside --window.",
        ),
        click.option(
            "--order",
            default="ordered",
            show_default=True,
            type=click.Choice(["ordered", "strict", "any"]),
            help="Others between allowed; each the very next event; in any order.",
        ),
        click.option(
            "--entry",
            default="any",
            show_default=True,
            type=click.Choice(["any", "first", "every"]),
            help="Any step 1 may start; only the first; each attempt counts.",
        ),
        click.option(
            "--ties",
            default="order",
            show_default=True,
            type=click.Choice(["order", "strict"]),
            help="Equal times count as in order, or times must increase.",
        ),
        once("--tolerance", metavar="SPAN", help="A step may lie so long before the step before it."),
        click.option(
            "--exclude",
            multiple=True,
            metavar="EVENT[: EXPR][@I:J]",
            help="May not come between step I and step J; default step 1 and the last.",
        ),
        click.option(
            "--exclusion",
            default="drop",
            show_default=True,
            type=click.Choice(["drop", "remove"]),
            help="Excluded people stay in step 1, or are left out.",
        ),
        once("--hold", metavar="PROPERTY", help="Must be equal, and not null, over the whole chain."),
        click.option("--optional", multiple=True, type=int, metavar="I", help="Step I may be left out."),
        click.option(
            "--range",
            default="entry",
            show_default=True,
            type=click.Choice(["entry", "whole"]),
            help="Only step 1 inside the range, or the whole chain.",
        ),
        click.option(
            "--at",
            default="first",
            show_default=True,
            metavar="WHERE",
            help="Where --by reads: first, last, step:N, user-first, user-last.",
        ),
        once(
            "--since",
            "since_first",
            type=click.Choice(["first"]),
            help="Times from the first step 1 in range.",
        ),
        click.option("--mature", is_flag=True, help="Only entries whose window is over."),
        once("--trend", type=click.Choice(["day", "week", "month"]), help="Rows by the period of step 1."),
        compare_option,
        once(
            "--as",
            "peer",
            metavar="PRODUCT|all",
            help="Under the rule of clickhouse, posthog, mixpanel, amplitude or growingio, or of all.",
        ),
        scope_options,
        breakdown_options,
    ]

    def decorated(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorated


def funnel_of(steps: tuple[str, ...], window: str, values: dict[str, Any]) -> Callable[[], FunnelRequest]:
    """Takes a funnel's options out of a command's keyword arguments; what it gives back makes the request."""
    from queries.funnel_request import request

    scope = scope_of(values)
    values["since"] = values.pop("since_first")
    return lambda: request(steps, window, scope, **values)


@click.command("funnel")
@funnel_options(
    once(
        "--users",
        "cell",
        metavar="CELL",
        help="The people of a cell: reached:K, dropped:K, open:K, converted, with @VALUE.",
    )
)
@output_options
def command(cell: str | None, steps: tuple[str, ...], window: str, **values: Any) -> None:
    """Where people drop out on the way through given steps, and who they are.

    Steps in order, other events allowed between; any step 1 may start; within the window, inclusive: each of
    these has its option. Rates carry their 95 % intervals; who could still convert is open, not dropped.

    \b
    Examples:
      workbench funnel --step product_view --step add_to_cart --step order_paid
      workbench funnel --step search --step "order_paid: amount > 100" --by channel --json
      workbench funnel --step add_to_cart --step order_paid --users dropped:1
      workbench funnel --step add_to_cart --step order_paid --exclude remove_from_cart --entry first
    """
    output = output_of(values)
    ask(funnel_of(steps, window, values), output, cell=cell)
