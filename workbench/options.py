"""The options commands share, one decorator each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from workbench.completing import complete_property
from workbench.errors import UsageError
from workbench.output import FORMATS, Format

if TYPE_CHECKING:
    from queries.question import Scope

F = TypeVar("F", bound=Callable[..., object])

NOT_YET = ("--segment",)
"""Shared options whose rules later versions bring; refused by name until then."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How and where an answer is written, and when it is a failure."""

    format: Format | None
    output: Path | None
    force: bool
    limit: int | None
    csv_safe: bool
    fail_if: str | None
    require_data: bool
    strict: bool
    stats: bool
    sql: bool
    memory: str | None
    threads: int | None
    timeout: str | None
    save: str | None


def _stacked(function: F, options: list[Callable[[F], F]]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def _refuse(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    if value:
        raise click.UsageError(f"{parameter.opts[0]} is not in this version yet", ctx)


def data_options(function: F) -> F:
    """Which events: files or the workspace."""
    return _stacked(
        function,
        [
            click.option(
                "--data",
                multiple=True,
                metavar="PATH",
                help="Files, folder or glob to read instead of the workspace; repeatable.",
            ),
            click.option(
                "--mapping",
                metavar="FILE",
                help="A workbench.toml whose mapping the --data files take; FILE#NAME: of that source.",
            ),
        ],
    )


def once(*names: str, **settings: Any) -> Callable[[F], F]:
    """An option that may be given once: a second value would silently replace the first."""
    return click.option(*names, multiple=True, callback=_only, **settings)


def _only(ctx: click.Context, parameter: click.Parameter, given: tuple[Any, ...]) -> Any:
    if len(given) > 1:
        raise click.UsageError(f"{parameter.opts[0]} is given {len(given)} times", ctx)
    return given[0] if given else None


def scope_options(function: F) -> F:
    """Which events, which time, which people."""
    return data_options(
        _stacked(
            function,
            [
                once("--from", "since", metavar="TIME", help="From this date or time on."),
                once(
                    "--to", "until", metavar="TIME", help="Before this time; a bare date takes in the day."
                ),
                once(
                    "--last", metavar="SPAN",
                    help="7d, 2w: calendar days up to as-of's day; 6h, 30m (minutes): rolling.",
                ),
                once(
                    "--as-of", metavar="TIME", help="Take this as now; default the newest valid event."
                ),
                once(
                    "--tz", metavar="ZONE",
                    help="Time zone of days and printed times; default the workspace's, else UTC.",
                ),
                click.option(
                    "--where", multiple=True, metavar="EXPR",
                    help="Only events for which this SQL expression is true; of several all must be.",
                ),
                once(
                    "--who", metavar="RULE",
                    help="Only people for whom this is true, whatever the range: "
                    "\"channel = 'x' AND did('order_paid', last => '30d') = 0\", x being their latest channel.",
                ),
                click.option(
                    "--unit", default="user", show_default=True, metavar="UNIT",
                    help="What is counted: user (people), raw (ids as they are), session, order or a PROPERTY.",
                ),
                once(
                    "--session-gap", metavar="SPAN",
                    help="Sessions end after this long a silence; default the export's, else 30m.",
                ),
                *(
                    click.option(name, metavar="…", hidden=True, expose_value=False, callback=_refuse)
                    for name in NOT_YET
                ),
                click.option(
                    "--mask", is_flag=True, hidden=True, expose_value=False, callback=_refuse
                ),
            ],
        )
    )  # fmt: skip


def top_option(function: F) -> F:
    """How many rows a listing by value has."""
    return click.option(
        "--top", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
        help="Rows by value; the rest is Other.",
    )(function)  # fmt: skip


def breakdown_options(function: F) -> F:
    """Which property breaks the answer down."""
    return _stacked(
        function,
        [
            once(
                "--by",
                metavar="PROPERTY",
                shell_complete=complete_property,
                help="Break down by this property.",
            ),
            top_option,
        ],
    )


def compare_option(function: F) -> F:
    """What the answer is set against."""
    return once(
        "--compare",
        metavar="previous|NAME",
        help="With the period before, or a segment's people with all others.",
    )(function)


def scope_of(values: dict[str, Any]) -> Scope:
    """Takes the scope's options out of a command's keyword arguments."""
    from queries.question import Scope

    taken = {name: values.pop(name) for name in Scope.__dataclass_fields__ if name in values}
    taken["data"] = tuple(taken.get("data", ()))
    if "" in taken["data"]:
        raise click.UsageError("--data is empty: an unset variable?")
    conditions = taken.get("where", ())
    joined = " AND ".join(f"({one})" if len(conditions) > 1 else one for one in conditions)
    taken["where"] = joined if conditions else None
    return Scope(**taken)


def _short_format(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta["workbench.format"] = parameter.name


def engine_options(function: F) -> F:
    """What the engine may use."""
    return _stacked(
        function,
        [
            click.option(
                "--memory",
                metavar="SIZE",
                envvar="WORKBENCH_MEMORY",
                help="Memory the engine may use, like 2GB.",
            ),
            click.option(
                "--threads",
                type=click.IntRange(min=1),
                metavar="N",
                envvar="WORKBENCH_THREADS",
                help="Threads it may use.",
            ),
            click.option("--timeout", metavar="SPAN", help="Give up after this long, like 30s; exit 4."),
        ],
    )


def output_options(function: F) -> F:
    """How and where the answer is written."""
    return engine_options(
        _stacked(
            function,
            [
                click.option(
                    "--format",
                    type=click.Choice(FORMATS),
                    default=None,
                    help="Default: table; for --users jsonl. Also --json, --csv …",
                ),
                *(
                    click.option(
                        f"--{name}",
                        name,
                        is_flag=True,
                        hidden=True,
                        expose_value=False,
                        callback=_short_format,
                    )
                    for name in FORMATS
                ),
                once(
                    "--output",
                    type=click.Path(path_type=Path, dir_okay=False),
                    metavar="FILE",
                    help="Write here, whole or not at all.",
                ),
                once(
                    "--save",
                    metavar="NAME",
                    help="Keep the question as reports/NAME.toml, or as a path that ends so; run asks it again.",
                ),
                click.option(
                    "--force", is_flag=True, help="Replace FILE, or the report NAME, where it exists."
                ),
                click.option(
                    "--limit",
                    type=click.IntRange(min=0),
                    metavar="N",
                    help="At most N rows; how many there are is said.",
                ),
                click.option(
                    "--csv-safe",
                    is_flag=True,
                    help="Prefix cells a spreadsheet would run as a formula with '.",
                ),
                once(
                    "--fail-if",
                    metavar="EXPR",
                    help="Exit 5 when true for a row, like 'rate_from_first < 0.2'.",
                ),
                click.option("--require-data", is_flag=True, help="No rows: exit 3."),
                click.option("--strict", is_flag=True, help="Anything set aside: exit 3."),
                click.option("--stats", is_flag=True, help="One JSON line on stderr: time, rows, versions."),
                click.option("--sql", is_flag=True, help="Print the SQL instead of asking it."),
            ],
        )
    )


def output_of(values: dict[str, Any]) -> OutputOptions:
    """Takes the output's options out of a command's keyword arguments."""
    taken = {name: values.pop(name) for name in OutputOptions.__dataclass_fields__}
    short = click.get_current_context().meta.get("workbench.format")
    if short is not None:
        if taken["format"] not in (None, short):
            raise click.UsageError(f"--{short} and --format {taken['format']} name two formats")
        taken["format"] = cast(Format, short)
    return OutputOptions(**taken)


def seconds(span: str | None) -> float | None:
    """``--timeout`` in seconds. Raises :class:`UsageError` for a span that cannot be read."""
    if span is None:
        return None
    from queries.question import QuestionError
    from queries.ranges import parse_duration

    try:
        milliseconds = parse_duration(span)
    except QuestionError as error:
        raise UsageError(f"--timeout: {error.message}", error.hint) from error
    return None if milliseconds is None else milliseconds / 1000
