"""A shop whose every name and value is an attack on the terminal, on markup, or on the columns of a table."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ATTACKS = (
    "[/red]",
    "[bold red]b[/]",
    "[@click=app.quit]q[/]",
    "\x1b[31mRED",
    "\x1b]0;PWNED\x07",
    "\x1b]52;c;UFdORUQ=\x07",
    "\x1b[2J\x1b[H",
    "\x9b31mC1",
    "a\u202ePWNED\u202cb",
    "\u2066iso\u2069",
    "z\u200bw\u200dj\ufeff",
    "下单了蔻驰",
    "🇨🇳👨\u200d👩\u200d👧👍🏽",
    "nul\x00nul",
    "two\nlines\rcr\ttab\bbs",
    "zalgo\u0321\u0335\u0352\u0358",
    "x" * 100_000,
    "大" * 3_000,
    "\U0010ffff\ue000",
    "\\u0041 100% $(date) `id`",
    "'; drop table x; --",
    "한\u1112\u1161\u11ab ❤\ufe0f",
)
"""Texts as they stand in the data."""
SHORT = tuple(text for text in ATTACKS if len(text) < 100)
IDS = tuple(text for text in SHORT if text.strip())
FOLDER = "shop [@click=app.quit()][bold\x1b]0;PWNED\x07\u202e\n下"
SEGMENT, REPORT = "seg [red]\x1b[31m\u202e\nx", "rep\x1b[31m"
FORBIDDEN = (
    b"\x1b]0;", b"\x1b]52;", b"\x1b]8;", b"\x1b[31mRED", b"\x1b[2J\x1b[HP", b"\xc2\x9b", b"\x00", b"\x08",
    *(char.encode() for char in "\u202e\u202c\u2066\u2069\u200b\u200d\ufeff\ufe0f"),
)  # fmt: skip
"""What must never be sent, while the data holds all of it."""


def write(parent: Path) -> Path:
    """The workspace, in a folder that is hostile by name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = parent / FOLDER
    for name in ("data", "segments", "reports"):
        (folder / name).mkdir(parents=True)
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    rows: list[dict[str, Any]] = []
    for person, user in enumerate(IDS):
        # Everybody views; the half of them goes on to the second hostile event, with a hostile value each.
        names = ["view", *([IDS[(person + 4) % len(IDS)], "\x1b[31mpay"] if person % 2 else []), "下单了蔻驰"]
        for number, event in enumerate(names):
            at = begin + timedelta(hours=person, minutes=5 * number)
            value = ATTACKS[(person + number) % len(ATTACKS)]
            rows.append(
                {
                    "ts": at,
                    "event": event,
                    "user_id": user,
                    "anonymous_id": f"d{user}",
                    "channel": value,
                    "page": IDS[number],
                    "[/red] 属性": value,
                    "amount": 1.5 * number,
                    "properties": json.dumps({f"k{user}": value[:200], "[/b]": number}),
                }
            )
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "e [red]\x1b[31m\n下.parquet")
    known = ("ts", "event", "user_id", "anonymous_id", "channel", "page", "amount")
    (folder / "workbench.toml").write_text(
        'schema = 1\ntimezone = "Asia/Shanghai"\n[[source]]\nname = "s"\npath = "data/*.parquet"\n[source.map]\n'
        + "".join(f'{name} = "{name}"\n' for name in known)
        + '[roles]\nview = "view"\norder = "\\u001b[31mpay"\n',
        "utf-8",
    )
    (folder / "segments" / f"{SEGMENT}.toml").write_text(
        'schema = 1\nrule = "channel is not null"\n', "utf-8"
    )
    (folder / "reports" / f"{REPORT}.toml").write_text("nothing [/red]", "utf-8")
    (folder / "reports" / "good.toml").write_text(
        'schema = 1\nreport = "funnel"\n'
        'title = "t [/red] \\u001b]0;PWNED\\u0007 \\u202e 下"\n[request]\nsteps = ["view"]\n',
        "utf-8",
    )
    return folder
