"""Conditions of ``--fail-if``: what is true, what is unknown, what is refused and how it is said."""

from __future__ import annotations

import pytest

from workbench.errors import UsageError
from workbench.failif import check_expression, met

ROWS = [
    {
        "step": 1,
        "event": "view",
        "users": 200,
        "rate_from_previous": None,
        "is_total": True,
        "nested": {"a": 7},
    },
    {"step": 2, "event": "add", "users": 50, "rate_from_previous": 0.25, "is_total": True, "nested": None},
    {
        "step": 3,
        "event": "order 'x'",
        "users": 9,
        "rate_from_previous": 0.18,
        "is_total": False,
        "nested": None,
    },
]
TOTALS = {"users": 200, "converted": 9, "rate": None, "histogram": [{"users": 9}]}


@pytest.mark.parametrize(
    ("expression", "step"),
    [
        ("rate_from_previous < 0.2 and step = 3", 3),
        ("rate_from_previous < 0.3", 2),
        ("rate_from_previous < 0.2 or users > 100", 1),
        ("RATE_FROM_PREVIOUS <= 0.25", 2),
        ("rate_from_previous is null", 1),
        ("rate_from_previous is not null", 2),
        ("not is_total", 3),
        ("is_total is false", 3),
        ("event in ('add', 'nothing')", 2),
        ("event not in ('view', 'add')", 3),
        ("event = 'order ''x'''", 3),
        ("users between 10 and 60", 2),
        ("users not between 10 and 400", 3),
        ("users / 2 + 1 = 26", 2),
        ("-users * 2 < -300", 1),
        ("abs(rate_from_previous - 0.2) > 0.04", 2),
        ("coalesce(rate_from_previous, 0) < 0.1", 1),
        ("users < totals.users and users / totals.users < 0.05", 3),
        ("nested.a = 7", 1),
        ('"users" = 9', 3),
        ("totals.converted < 10", 1),
    ],
)
def test_the_first_row_that_meets_the_condition_is_given(expression: str, step: int) -> None:
    row = met(expression, ROWS, TOTALS)
    assert row is not None
    assert row["step"] == step


@pytest.mark.parametrize(
    "expression",
    [
        "users > 200",
        "rate_from_previous = null",
        "step = 1 and rate_from_previous < 1",
        "step = 1 and not rate_from_previous < 1",
        "step = 1 and rate_from_previous in (0.1, 0.2)",
        "step = 1 and rate_from_previous between 0 and 1",
        "users / 0 > 1",
        "totals.rate < 1",
        "step in (7, null)",
        "step = 1 and 5 not in (7, null)",
    ],
)
def test_false_and_unknown_are_not_met(expression: str) -> None:
    assert met(expression, ROWS, TOTALS) is None


def test_totals_are_asked_without_rows_too() -> None:
    assert met("totals.users < 1", [], {"users": 0}) == {}
    assert met("totals.users > 1", [], {"users": 0}) is None
    assert met("users < 1", [], {"users": 0}) is None


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("rate_from_previos < 1", "unknown name rate_from_previos", "did you mean rate_from_previous?"),
        ("totals.user < 1", "unknown name totals.user", "did you mean totals.users?"),
        ("totals < 1", "unknown name totals.", "there are totals.users"),
        ('event = "add"', "unknown name add", "single quotes"),
        ("event > 3", "cannot compare text with a number", None),
        ("event + 1 > 3", "cannot calculate with text", None),
        ("users", "a number where a condition is needed", "compare a column"),
        ("totals.histogram = 1", "holds more than one value", None),
        ("event.x = 1", "nothing named x inside event.x", None),
    ],
)
def test_what_does_not_fit_the_rows_is_refused(expression: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as raised:
        met(expression, ROWS, TOTALS)
    assert message in raised.value.message
    assert raised.value.hint is None if hint is None else hint in str(raised.value.hint)


def test_names_are_known_without_rows_where_they_are_given() -> None:
    assert met("users < 1", [], {}, columns=["users"]) is None
    with pytest.raises(UsageError, match="unknown name usres"):
        met("usres < 1", [], {}, columns=["users"])


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "users <",
        "users < 1; users > 2",
        "users in (select 1)",
        "users in step",
        "users between symmetric 3 and 1",
        "exists (select 1)",
        "sleep(3) > 1",
        "event like '%x'",
        "case when users then true end",
        "users::text = '1'",
        "select 1",
        "drop table events",
        "event = 'open",
        "* > 1",
        "(" * 900 + "true" + ")" * 900,
        "not " * 450 + "true",
        "users = 1 or " * 200 + "true",
    ],
)
def test_everything_else_is_no_condition(expression: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_expression(expression)
    assert raised.value.message.startswith("--fail-if: ")
    assert "\x1b" not in raised.value.message
