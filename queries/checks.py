"""What is checked, as data: one entry a check, with its rule, what it bends and what to do about it.

An entry asks in one of four ways: rows of which a condition is true (:class:`Where`, all of them counted in one
pass), rows that a SELECT finds (:class:`Select`), notes of the survey (:class:`Notes`), or a function
(:class:`Own`). Texts of SQL may name ``{events}`` (the events in scope), ``{raw}`` (the same with rows that are
no valid event), a role's condition (``{order}``, ``{view}``, ``{search}``, ``{click}``, ``{refund}``) and what
:mod:`queries.check` adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from queries.checks_ground import Asking, Finding

Severity = Literal["error", "warning", "info"]
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Where:
    """Rows of ``over`` for which ``condition`` is true; ``detail`` is SQL for what an example shows."""

    condition: str
    of: str = "TRUE"
    """Which rows the check looks at: what the share is a share of."""
    detail: str = "NULL"
    over: Literal["events", "raw"] = "events"


@dataclass(frozen=True, slots=True)
class Select:
    """Rows that a SELECT yields as ``place, ts, event, person, detail``; a NULL person is looked up by place."""

    sql: str
    of: str = "TRUE"
    """Which events in scope the check looks at, as a condition; of ``items`` all are looked at."""
    over: Literal["events", "raw", "items"] = "events"
    probe: str | None = None
    """A cheaper SELECT that yields nothing where the rows found would be none for certain."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What the survey noted already under these codes; ``counted`` is the word for what a note counts."""

    codes: tuple[str, ...]
    counted: str
    minor: tuple[str, ...] = ()
    """Of the codes: those that alone make the finding an info."""


@dataclass(frozen=True, slots=True)
class Own:
    """A check that a function makes; ``finds`` says the word for what it counts."""

    find: Callable[[Asking], Finding]
    counted: str = "rows"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that may be wrong with the data."""

    id: str
    """Kebab-case; scripts match on it."""
    severity: Severity
    """``error``: numbers are wrong; ``warning``: numbers may be bent; ``info``: good to know."""
    rule: str
    """What counts as found, in words."""
    bends: tuple[str, ...]
    """The reports whose numbers it bends."""
    advice: str
    ask: Where | Select | Notes | Own
    needs: tuple[str, ...] = ()
    """Columns, ``role:NAME`` and ``items``, without which it is not applicable; ``a|b``: one of them."""
    least: float = 0.0
    """The share from which it is a finding; below it is in the nature of things."""
    at_least: int = 1
    """The rows from which it is one."""


EVERY = ("events", "funnel", "users", "attribution", "search", "segment")
"""All that counts events or people."""

_SKEWED = ("funnel", "attribution", "search", "user")
_ROW = "place, ts, event, person"
_ALIKE = "PARTITION BY person, ts, fingerprint ORDER BY place"

ROWS = (
    Check(
        "missing-ids",
        "warning",
        "no id at all: every id column is null or blank",
        EVERY,
        "such rows count for no person; find the page or SDK that sends no id, or map the column that holds it",
        Where("{no_id}", over="raw"),
    ),
    Check(
        "junk-ids",
        "warning",
        "an id that is a word for no id (null, undefined, 0000 …) or one of [ids] junk",
        ("users", "funnel", "segment"),
        "they join nobody here; add words of your own to [ids] junk, and fix the sender",
        Select(
            "WITH {junk_ctes}\nSELECT place, ts, event, NULL AS person, {junk_detail} AS detail\n"
            "FROM {raw} AS r WHERE {junk_condition}",
            over="raw",
        ),
    ),
    Check(
        "shared-ids",
        "warning",
        "a user_id with more than 100 anonymous_ids, or an anonymous_id with more than 20 user_ids; junk ids apart",
        ("users", "funnel", "segment"),
        "a test account, a till or a word for nobody: if it is no person, add it to [ids] junk",
        Select(
            "WITH pairs AS (\n  SELECT DISTINCT user_id, anonymous_id FROM {events}\n"
            "  WHERE user_id IS NOT NULL AND anonymous_id IS NOT NULL\n"
            "), users AS (\n  SELECT user_id FROM pairs GROUP BY user_id\n"
            "  HAVING count(*) > 100 AND {no_junk_user}\n"
            "), devices AS (\n  SELECT anonymous_id FROM pairs GROUP BY anonymous_id\n"
            "  HAVING count(*) > 20 AND {no_junk_device}\n)\n"
            f"SELECT {_ROW}, CASE WHEN user_id IN (FROM users) THEN 'user_id ' || user_id\n"
            "  ELSE 'anonymous_id ' || anonymous_id END AS detail\nFROM {events}\n"
            "WHERE user_id IN (FROM users) OR anonymous_id IN (FROM devices)"
        ),
        ("user_id", "anonymous_id"),
    ),
    Check(
        "missing-events",
        "warning",
        "no event name",
        EVERY,
        "such rows are left out everywhere; find the sender",
        Where("coalesce(event, '') = ''", over="raw"),
    ),
    Check(
        "missing-times",
        "warning",
        "no time",
        EVERY,
        "such rows are left out everywhere; find the sender, or map a column that is always filled",
        Where("ts IS NULL AND NOT ts_given", over="raw"),
    ),
    Check(
        "unreadable-times",
        "warning",
        "a time that is there and cannot be read",
        EVERY,
        "such rows are left out everywhere; declare the source's time format in workbench.toml",
        Where("ts IS NULL AND ts_given", over="raw"),
    ),
    Check(
        "impossible-times",
        "warning",
        "a time before 2000 or after tomorrow, or outside [valid]",
        EVERY,
        "such rows are left out everywhere; a device's clock or a wrong unit (s for ms) is the usual cause",
        Where("ts < {low} OR ts >= {high}", over="raw", of="ts IS NOT NULL"),
    ),
    Check(
        "clock-skew",
        "warning",
        "an event made more than 5 minutes after it was received; or all events of a device (5 or more, over at least "
        "an hour) received more than an hour late and alike to 10 minutes",
        _SKEWED,
        "order and times of these events are not to be trusted: take received_ts as ts for such devices",
        Select(
            "WITH behind AS (\n  SELECT person, {device} AS device FROM {events} WHERE received_ts IS NOT NULL\n"
            f"  GROUP BY ALL\n  HAVING count(*) >= 5 AND max(ts) - min(ts) >= {HOUR}\n"
            f"    AND min(received_ts - ts) > {HOUR}\n"
            f"    AND max(received_ts - ts) - min(received_ts - ts) <= {10 * MINUTE}\n)\n"
            f"SELECT {_ROW}, CASE WHEN ts > received_ts THEN 'ahead ' ELSE 'behind ' END\n"
            "  || (abs(ts - received_ts) // 60000) || ' min' AS detail\n"
            "FROM (SELECT *, {device} AS device FROM {events}) AS e\n"
            f"WHERE ts > received_ts + {5 * MINUTE} OR (received_ts IS NOT NULL AND EXISTS (\n"
            "  FROM behind AS b WHERE b.person = e.person AND b.device IS NOT DISTINCT FROM e.device))",
            of="received_ts IS NOT NULL",
        ),
        ("received_ts",),
    ),
    Check(
        "clock-skew",
        "warning",
        "without received_ts: a session whose first or last row in a file lies an hour or more off its first or "
        "last time, where 99 % of sessions stand in order; rows are its events",
        _SKEWED,
        "the clock jumped in these sessions: export received_ts, the time of the server, and map it",
        Select(
            "WITH sessions AS (\n  SELECT person, session_id, place >> 40 AS file, greatest(\n"
            "    max(ts) - arg_max(ts, {export_order}), arg_min(ts, {export_order}) - min(ts)) AS off\n"
            "  FROM {events} WHERE session_id <> '' GROUP BY ALL\n"
            f"), jumping AS (\n  SELECT person, session_id, file FROM sessions WHERE off >= {HOUR}\n"
            "), few AS (\n  FROM jumping\n"
            "  WHERE 100 * (SELECT count(*) FROM jumping) <= (SELECT count(*) FROM sessions)\n)\n"
            f"SELECT {_ROW}, session_id AS detail\nFROM (SELECT *, place >> 40 AS file FROM {{events}})\n"
            "SEMI JOIN few USING (person, session_id, file)",
            of="session_id <> ''",
        ),
        ("session_id",),
    ),
    Check(
        "duplicate-rows",
        "error",
        "a row equal to an earlier one in every column; rows are the copies beyond the first",
        EVERY,
        'a batch was loaded twice: remove it, or set [dedup] rule = "row"',
        Select(
            f"SELECT {_ROW}, NULL AS detail\nFROM check_equal_times\nQUALIFY row_number() OVER ({_ALIKE}) > 1"
        ),
    ),
    Check(
        "duplicate-event-ids",
        "error",
        "an event_id that an earlier row has; rows are those beyond the first",
        EVERY,
        'events were sent or loaded twice: set [dedup] rule = "event_id"; where the rows differ, fix the ids',
        Select(
            "WITH twice AS (\n  SELECT event_id FROM {events} WHERE event_id <> ''\n"
            "  GROUP BY event_id HAVING count(*) > 1\n)\n"
            f"SELECT {_ROW}, event_id AS detail\nFROM {{events}} SEMI JOIN twice USING (event_id)\n"
            "QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY place) > 1",
            of="event_id <> ''",
            # Over rows without their people: strings need not pass the join.
            probe="SELECT 1 FROM {raw} WHERE event_id <> '' GROUP BY event_id HAVING count(*) > 1 LIMIT 1",
        ),
        ("event_id",),
    ),
    Check(
        "ties",
        "info",
        "another event of the same person at the same time, duplicates apart; from 10 of them and 1 % of all events on",
        ("funnel",),
        "their order is that of the export: map a sequence column, or see --ties and --tolerance",
        Select(
            f"WITH once AS (\n  SELECT {_ROW} FROM check_equal_times\n"
            f"  QUALIFY row_number() OVER ({_ALIKE}) = 1\n)\n"
            f"SELECT {_ROW}, NULL AS detail\nFROM once\nQUALIFY count(*) OVER (PARTITION BY person, ts) > 1"
        ),
        least=0.01,
        at_least=10,
    ),
    Check(
        "long-sessions",
        "warning",
        "a session id of one person whose events lie more than 24 hours apart; rows are its events",
        ("search", "attribution", "user"),
        "the id outlives the visit: check how it is made, or let sessions be cut by gaps",
        Select(
            "WITH long AS (\n  SELECT person, session_id FROM {events} WHERE session_id <> ''\n"
            f"  GROUP BY person, session_id HAVING max(ts) - min(ts) > {DAY}\n)\n"
            f"SELECT {_ROW}, session_id AS detail\nFROM {{events}} SEMI JOIN long USING (person, session_id)",
            of="session_id <> ''",
        ),
        ("session_id",),
    ),
    Check(
        "bots",
        "warning",
        "a person's day with at least 500 events and 20 times the 99th percentile of all such days, or with at "
        "least 50 events at even gaps (the 90th percentile at most 1.1 times the 10th); rows are its events",
        EVERY,
        "leave them out with --where, or make a segment of everybody else",
        Select(
            "WITH days AS (\n  SELECT person, day, count(*) AS n FROM {dated} GROUP BY ALL\n"
            "), bound AS (\n  SELECT greatest(500, 20 * quantile_disc(n, 0.99)) AS most FROM days\n"
            "), busy AS (\n  SELECT person, day FROM days WHERE n >= 50\n"
            "), gaps AS (\n  SELECT person, day, ts - lag(ts) OVER (PARTITION BY person, day ORDER BY ts) AS gap\n"
            "  FROM {dated} SEMI JOIN busy USING (person, day)\n"
            "), even AS (\n  SELECT person, day FROM gaps GROUP BY ALL\n"
            "  HAVING quantile_disc(gap, 0.1) >= 100\n"
            "    AND quantile_disc(gap, 0.9) <= 1.1 * quantile_disc(gap, 0.1)\n"
            "), robots AS (\n  FROM even UNION SELECT person, day FROM days WHERE n >= (FROM bound)\n)\n"
            f"SELECT {_ROW}, NULL AS detail\nFROM {{dated}} SEMI JOIN robots USING (person, day)"
        ),
    ),
    Check(
        "stray-times",
        "warning",
        "fewer than 1 in 1,000 events, before or after all others with two days without any event between",
        ("events", "funnel"),
        "a few wrong clocks move the first day or as-of: set [valid] from and to, or --as-of",
        Where("ts < {dense_from} OR ts >= {dense_to}"),
    ),
)
"""What single rows say of ids and times, and rows beside one another."""

SHOP = (
    Check(
        "amounts-as-text",
        "info",
        "an amount in a column of text; of CSV, where all is text, one that is no plain number",
        ("funnel", "attribution"),
        "they are read as written (1,299.00, ¥99): declare money_decimal where a comma stands before decimals",
        Select(
            "SELECT place, NULL AS ts, NULL AS event, NULL AS person, name || ' ' || value AS detail\n"
            "FROM ({written_amounts})\nWHERE place IN (SELECT place FROM {raw})\n"
            "QUALIFY row_number() OVER (PARTITION BY place ORDER BY name) = 1",
            of="{money} OR place IN (SELECT place FROM ({written_amounts}))",
            over="raw",
        ),
        ("amount|discount|margin|refund_amount",),
    ),
    Check(
        "unreadable-values",
        "error",
        "an amount or a number that is there and cannot be read",
        ("funnel", "attribution", "search"),
        "they count as missing, so sums are too low: fix the export, or map another column",
        Notes(("unreadable-values",), "values"),
    ),
    Check(
        "mixed-currencies",
        "error",
        "amounts in a currency other than the most frequent one",
        ("funnel", "attribution", "search"),
        "sums mix currencies: filter with --where \"currency = 'X'\", or break down by currency",
        Select(
            "WITH most AS (\n  SELECT upper(trim(currency)) AS usual FROM {events}\n"
            "  WHERE currency <> '' AND {money} GROUP BY usual ORDER BY count(*) DESC, usual LIMIT 1\n)\n"
            f"SELECT {_ROW}, currency AS detail\nFROM {{events}}, most\n"
            "WHERE currency <> '' AND {money} AND upper(trim(currency)) <> usual",
            of="currency <> '' AND {money}",
        ),
        ("currency", "amount|refund_amount"),
    ),
    Check(
        "negative-amounts",
        "warning",
        "an amount below zero",
        ("funnel", "attribution", "search"),
        "if they are refunds, map them to the role refund; else fix the export",
        Where("amount < 0", of="amount IS NOT NULL", detail="{major}"),
        ("amount",),
    ),
    Check(
        "repeated-order-ids",
        "warning",
        "an order id that an earlier order has, copies of one event apart; rows are those beyond the first",
        ("funnel", "attribution", "search"),
        "orders and revenue count twice: find what sends them, or map the payment's own id",
        Select(
            "WITH orders AS (\n  SELECT *, {event_key} AS event_key FROM {events}\n"
            "  WHERE ({order}) AND order_id <> ''\n"
            "), once AS (\n  FROM orders\n"
            "  QUALIFY row_number() OVER (PARTITION BY event_key, order_id ORDER BY place) = 1\n)\n"
            f"SELECT {_ROW}, order_id AS detail\nFROM once\n"
            "QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY place) > 1",
            of="({order}) AND order_id <> ''",
        ),
        ("role:order", "order_id"),
    ),
    Check(
        "orders-without-views",
        "warning",
        "an order of somebody without a product view before it, on a platform (else source) that has views; "
        "from 10 of them and 5 % of such orders on",
        ("funnel", "attribution"),
        "views are lost, or buyers and viewers are not joined: compare events by platform, see identity",
        Select(
            "WITH seen AS (\n  SELECT person, min(ts) AS first_view FROM events WHERE {view} GROUP BY person\n"
            "), viewed AS (\n  SELECT DISTINCT {slice} AS slice FROM events WHERE {view}\n)\n"
            f"SELECT {_ROW}, NULL AS detail\nFROM {{events}} LEFT JOIN seen USING (person)\n"
            "WHERE ({order}) AND {slice} IN (FROM viewed) AND coalesce(first_view > ts, TRUE)",
            of="({order}) AND {slice} IN (SELECT {slice} FROM events WHERE {view})",
        ),
        ("role:order", "role:view"),
        least=0.05,
        at_least=10,
    ),
    Check(
        "orphan-items",
        "warning",
        "an item whose order (or event) no order event has",
        ("funnel", "attribution"),
        "orders are missing from the export, or were set aside: compare the two exports' ranges",
        Select(
            "SELECT 0 AS place, NULL AS ts, NULL AS event, NULL AS person, {item_key} AS detail\n"
            "FROM items ANTI JOIN (SELECT {item_key} FROM events WHERE {order}) USING ({item_key})",
            over="items",
        ),
        ("items", "role:order"),
    ),
    Check(
        "orphan-refunds",
        "warning",
        "a refund without an order id, or with one that no order has",
        ("funnel", "attribution"),
        "net revenue is too low: orders from before the export's first day are the usual cause",
        Select(
            f"SELECT {_ROW}, order_id AS detail\nFROM {{events}}\n"
            "ANTI JOIN (SELECT order_id FROM events WHERE {order}) USING (order_id)\nWHERE {refund}",
            of="{refund}",
        ),
        ("role:refund", "role:order", "order_id"),
    ),
    Check(
        "orphan-clicks",
        "warning",
        "a search click whose query_id no search has",
        ("search",),
        "such clicks are credited to no search: searches are lost, or one side writes the id otherwise",
        Select(
            f"SELECT {_ROW}, query_id AS detail\nFROM {{events}}\n"
            "ANTI JOIN (SELECT query_id FROM events WHERE {search}) USING (query_id)\n"
            "WHERE ({click}) AND query_id <> ''",
            of="({click}) AND query_id <> ''",
        ),
        ("role:click", "role:search", "query_id"),
    ),
    Check(
        "orphan-referrers",
        "info",
        "a referrer_user_id that no event has as its user_id",
        ("users", "segment"),
        "sharers from before the export's first day, or ids of another kind: check what the link carries",
        Select(
            f"SELECT {_ROW}, referrer_user_id AS detail\nFROM {{events}}\n"
            "ANTI JOIN (SELECT user_id AS referrer_user_id FROM events) USING (referrer_user_id)\n"
            "WHERE referrer_user_id <> ''",
            of="referrer_user_id <> ''",
        ),
        ("referrer_user_id", "user_id"),
    ),
)
"""What belongs together in a shop: money, orders, searches, people who bring people."""

FILES = (
    Check(
        "damaged-files",
        "error",
        "a file that cannot be read, or is still being written",
        EVERY,
        "everything in it is missing from every number: get it again",
        Notes(("files-set-aside",), "files"),
    ),
    Check(
        "rejected-lines",
        "error",
        "a line of text or JSON that cannot be read",
        EVERY,
        "such lines are missing from every number: see the examples, fix the export",
        Notes(("lines-rejected",), "lines"),
    ),
    Check(
        "drifted-columns",
        "warning",
        "files of one source whose columns differ: missing, renamed, of another type; only more of them is an info",
        EVERY,
        "map both spellings, or ask for the files again in one layout",
        Notes(
            (
                "file-refused",
                "column-missing",
                "column-extra",
                "column-widened",
                "column-left-out",
                "partition-overridden",
            ),
            "columns",
            minor=("column-extra",),
        ),
    ),
    Check(
        "late-sources",
        "warning",
        "a source that ends more than an hour before the newest event of all",
        ("events", "funnel", "attribution"),
        "its last hours are missing: wait for it, or set --as-of to where it ends",
        Notes(("late-source",), "sources"),
    ),
)
"""What the files themselves say; found when they were opened."""
