"""``workbench sql``: free SQL over the events, read-only and locked in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.asking import ask_and_write, check_output
from workbench.options import OutputOptions, data_options, once, output_of, output_options, scope_of

if TYPE_CHECKING:
    from queries.question import Result
    from workbench.dataset import Dataset
    from workbench.runner import Task
    from workbench.sql_console import SqlRequest

_WHOLE = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
"""Endings of files that take every row."""


@click.command("sql")
@click.argument("text", required=False, metavar="[SQL|-]")
@once(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Read the SQL from this file.",
)
@click.option("--explain", is_flag=True, help="Show the plan instead of running it.")
@data_options
@once("--as-of", metavar="TIME", help="Take this as now: later events are not there.")
@once("--tz", metavar="ZONE", help="Time zone of times and days; default the workspace's, else UTC.")
@click.option(
    "--unit",
    default="user",
    show_default=True,
    metavar="UNIT",
    help="Who a person is: user (people) or raw (ids as they are).",
)
@once(
    "--session-gap",
    metavar="SPAN",
    help="Sessions end after this long a silence; default the export's, else 30m.",
)
@output_options
def command(text: str | None, file: Path | None, explain: bool, **values: Any) -> None:
    """Free SQL (DuckDB's) over the tables events, items, people and sessions: one SELECT, nothing is changed.

    Times are TIMESTAMP WITH TIME ZONE in the workspace's zone, money is DECIMAL, JSON properties are JSON:
    properties->>'key'. SHOW TABLES and DESCRIBE events say what there is. A table shows the first 1,000 rows
    unless --limit says otherwise; other formats carry all.

    \b
    Examples:
      workbench sql "SELECT event, count(*) FROM events GROUP BY ALL ORDER BY 2 DESC"
      workbench sql "SELECT ts::DATE AS day, sum(amount) FROM events WHERE event = 'order_paid' GROUP BY 1"
      workbench sql --file question.sql --csv --output answer.csv
      echo "FROM people ORDER BY events DESC" | workbench sql - --limit 20
    """
    from queries.question import QuestionError
    from workbench.dataset import asked
    from workbench.errors import UsageError
    from workbench.sql_console import SqlRequest

    output = output_of(values)
    if output.save is not None:
        raise click.UsageError("--save keeps questions, not SQL: keep the text in a file, and give --file")
    try:
        request = SqlRequest(_text(text, file), scope_of(values), explain)
        ask_and_write(
            lambda task: asked(
                request.scope,
                task,
                lambda dataset: _answer(request, output, dataset, task),
                memory=output.memory,
                threads=output.threads,
            ),
            output,
        )
    except QuestionError as error:
        raise UsageError(error.message, error.hint) from error


def _answer(request: SqlRequest, output: OutputOptions, dataset: Dataset, task: Task) -> Result | str:
    from workbench.sql_console import SHOWN_ROWS, answer, statements

    check_output(output, dataset.protected)
    if output.sql:
        return dataset.script(statements(request, dataset))
    ending = "" if output.output is None else output.output.suffix.lower()
    table = output.format in ("table", "md") or (output.format is None and ending not in _WHOLE)
    limit = SHOWN_ROWS if output.limit is None and table else output.limit
    return answer(request, dataset, task, limit=limit)


def _text(sql: str | None, file: Path | None) -> str:
    if (sql is None) == (file is None):
        hint = "one of SQL, - (standard input) and --file FILE is needed"
        raise click.UsageError(hint if sql is None else "SQL and --file: one of them")
    if sql not in (None, "-"):
        return str(sql)
    name = "standard input" if file is None else str(file)
    try:
        # A little more than may be: the gate says how much that is.
        raw = sys.stdin.buffer.read(2_000_000) if file is None else file.read_bytes()[:2_000_000]
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{name}: not UTF-8 at byte {error.start:,}") from error
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from error
