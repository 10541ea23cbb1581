"""Reading workbench.toml: what it means, and how each fault is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.errors import NoData, UsageError
from workbench.workspace import (
    Ids,
    Money,
    Sessions,
    Take,
    TimeFormat,
    Valid,
    find,
    from_paths,
    load,
    prepare_cache,
)

WHOLE = """\
schema = 1
timezone = "Asia/Shanghai"

[[source]]
name = "app"
path = "exports/app/**/*.parquet"
shape = "opensearch_ubi"
zone = "Asia/Tokyo"

[[source]]
name = "tills"
path = ["exports/pos.csv", "/old/pos.csv"]
kind = "lines"
event = { constant = "order_paid" }
[source.map]
ts = "paid_at"
"ids.phone" = ["mobile", "phone"]
amount = "total.cny"
channel = { constant = "till" }
[source.time]
format = "%d/%m/%Y"
[source.money]
unit = "minor"

[[source]]
name = "clicks"
path = "clicks"
event = { from = "file" }
[source.time]
unit = "ms"

[roles]
search = "search"
order = "order_paid|paid: amount > 0"
[ids]
trust = ["user_id", "ids.phone"]
junk = ["guest"]
[money]
currency = "jpy"
decimals = { CNY = 3 }
[sessions]
gap = "20m"
cut_on_campaign = true
[dedup]
rule = "event_id"
[valid]
from = 2020-01-01
to = "2030-01-01"
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "workbench.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_everything_a_workspace_can_say(tmp_path: Path) -> None:
    workspace = load(write(tmp_path, WHOLE))
    app, tills, clicks = workspace.sources
    assert (workspace.root, workspace.timezone, workspace.dedup) == (tmp_path, "Asia/Shanghai", "event_id")
    assert (app.patterns, app.shape, app.zone, app.kind, app.mapped) == (
        ("exports/app/**/*.parquet",),
        "opensearch_ubi",
        "Asia/Tokyo",
        "events",
        False,
    )
    assert (tills.patterns, tills.kind) == (("exports/pos.csv", "/old/pos.csv"), "lines")
    assert tills.event == Take(constant="order_paid")
    assert tills.map == {
        "ts": Take(names=("paid_at",)),
        "ids.phone": Take(names=("mobile", "phone")),
        "amount": Take(names=("total.cny",)),
        "channel": Take(constant="till"),
    }
    assert (tills.time, tills.money_unit) == (TimeFormat(pattern="%d/%m/%Y"), "minor")
    assert (clicks.event, clicks.time) == (Take(file=True), TimeFormat(unit="ms"))
    assert workspace.roles == {"search": "search", "order": "order_paid|paid: amount > 0"}
    assert workspace.ids == Ids(("user_id", "ids.phone"), ("guest",))
    assert workspace.money == Money("JPY", {"CNY": 3}) and workspace.money.decimals == 0
    assert workspace.sessions == Sessions("20m", True)
    assert workspace.valid == Valid("2020-01-01", "2030-01-01")
    assert load(tmp_path) == workspace


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    workspace = load(write(tmp_path, '[[source]]\nname = "a"\npath = "a"\n'))
    assert (workspace.timezone, workspace.dedup, workspace.sessions.gap) == ("UTC", "none", "30m")
    assert (workspace.money.currency, workspace.money.decimals) == ("CNY", 2)
    assert workspace.cache == tmp_path / ".workbench"


SOURCE = '[[source]]\nname = "a"\npath = "a"\n'


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "1:1", "no [[source]] in it"),
        ("schema = ", "1:10", "Invalid value"),
        ('timezone = "UTC', "1:16", "Unterminated string"),
        ('timezone = "UTC"\ntimezone = "UTC"\n', "2:", "Cannot overwrite a value"),
        (SOURCE + "kind = 7\n", "4:1", "kind must be text"),
        (SOURCE + 'kind = "event"\n', "4:1", "kind can't be event"),
        (SOURCE + 'shap = "x"\n', "4:1", "unknown key shap"),
        (SOURCE + 'zone = "Asia/Shangai"\n', "4:1", 'unknown time zone "Asia/Shangai"'),
        ("\n" + SOURCE + SOURCE, "6:1", "two sources are named a"),
        (
            SOURCE + SOURCE.replace('"a"', '"b"') + '[source.map]\ntime = "x"\n',
            "8:1",
            "time is no canonical column",
        ),
        (SOURCE + "[source.map]\nts = 5\n", "5:1", "ts must be text or a list of texts"),
        (
            SOURCE + '[source.map]\nts = { expression = "a + b" }\n',
            "5:1",
            "expressions in a map are not read yet",
        ),
        (SOURCE + "event = {}\n", "4:1", "event says nothing"),
        (SOURCE + '[source.time]\nunit = "min"\n', "5:1", "unit can't be min"),
        ('[[source]]\npath = "a"\n', "1:1", "name is missing"),
        ('[[source]]\nname = "a"\n', "1:1", "path is missing"),
        ('source = "a"\n', "1:1", "source must be an array of tables"),
        (SOURCE + '[roles]\nserch = "x"\n', "5:1", "unknown key serch"),
        (SOURCE + '[roles]\nsearch = ": x"\n', "5:1", ""),
        (SOURCE + "[roles]\nsearch = 1\n", "5:1", "search must be text"),
        (SOURCE + "[money]\ndecimals = { CNY = 9 }\n", "5:1", "CNY must be a whole number from 0 to 6"),
        (SOURCE + '[sessions]\ngap = "soon"\n', "5:1", ""),
        (SOURCE + '[sessions]\ncut_on_campaign = "yes"\n', "5:1", "cut_on_campaign must be true or false"),
        (SOURCE + '[dedup]\nrule = "rows"\n', "5:1", "rule can't be rows"),
        (SOURCE + "[valid]\nto = 3\n", "5:1", "to must be text"),
        (SOURCE + "[ids]\ntrust = [1]\n", "5:1", "trust must be text or a list of texts"),
        (b"\xef\xbb\xbfschema = 1\n", "1:1", "starts with a byte order mark"),
        (b"schema = 1\n# \xff\n", "2:3", "is not UTF-8"),
    ],
)
def test_fault_115_a_faulty_workspace_is_named_by_line_and_column(
    tmp_path: Path, text: str | bytes, where: str, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert caught.value.message.startswith(f"{path}:{where}")
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_fault_115_a_word_nearly_right_is_offered(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, SOURCE + '[source.map]\nuserid = "x"\n'))
    assert "user_id" in str(caught.value.hint)


def test_fault_115_folder_or_nothing_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load(tmp_path)
    (tmp_path / "workbench.toml").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        load(tmp_path / "workbench.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_fault_115_a_file_nobody_may_read(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCE)
    path.chmod(0)
    with pytest.raises(UsageError, match="can't be read: Permission denied"):
        load(path)


def test_fault_115_nested_past_all_measure(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(write(tmp_path, "a = " + "[" * 100_000))


def test_fault_113_a_newer_workspace_is_refused_with_versions(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, "schema = 2\nwhatever = 1\n" + SOURCE))
    assert "1:1: written for schema 2; this program reads up to 1" in caught.value.message


def test_fault_058_a_zone_nobody_knows_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, 'timezone = "Asia/Shangai"\n' + SOURCE))
    assert caught.value.exit_code == 2
    assert "Asia/Shanghai" in str(caught.value.hint)


def test_the_nearest_workspace_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    path = write(tmp_path, SOURCE)
    assert find(below) == path
    nearer = write(tmp_path / "a", SOURCE)
    assert find(below) == nearer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_parent_of_another_user_is_not_opened(tmp_path: Path) -> None:
    below = tmp_path / "a"
    below.mkdir()
    path = write(tmp_path, SOURCE)
    os.chown(path, 4242, 4242)
    with pytest.raises(UsageError, match="belongs to another user"):
        find(below)
    assert find(tmp_path) == path


def test_bare_paths_become_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "app").mkdir()
    for name in ("app/a.parquet", "app/b.parquet", "c.parquet"):
        (tmp_path / name).touch()
    workspace = from_paths(["app/a.parquet", "app/b.parquet", "c.parquet", "logs/*/x*.csv", "other/app"])
    assert [(source.name, source.patterns) for source in workspace.sources] == [
        ("app", (str(tmp_path / "app/a.parquet"), str(tmp_path / "app/b.parquet"))),
        (tmp_path.name, (str(tmp_path / "c.parquet"),)),
        ("logs", (str(tmp_path / "logs/*/x*.csv"),)),
        ("app 2", (str(tmp_path / "other/app"),)),
    ]
    assert workspace.root == tmp_path
    assert workspace.cache.is_relative_to(tmp_path / "cache" / "workbench")
    assert from_paths(["app"]).sources[0].patterns == (str(tmp_path / "app"),)


def test_a_mapping_over_bare_paths(tmp_path: Path) -> None:
    mapping = tmp_path / "shop.toml"
    mapping.write_text(
        'timezone = "Asia/Tokyo"\nevent = "what"\n[map]\nts = "at"\nuser_id = "who"\n'
        '[money]\ncurrency = "JPY"\nunit = "minor"\n[roles]\norder = "paid"\n'
    )
    workspace = from_paths([tmp_path], mapping=str(mapping))
    (source,) = workspace.sources
    assert source.map == {"ts": Take(names=("at",)), "user_id": Take(names=("who",))}
    assert (source.event, source.money_unit, workspace.timezone) == (
        Take(names=("what",)),
        "minor",
        "Asia/Tokyo",
    )
    assert (workspace.money.currency, dict(workspace.roles)) == ("JPY", {"order": "paid"})
    assert from_paths([tmp_path], mapping="opensearch_ubi").sources[0].shape == "opensearch_ubi"


MAPPED = (
    'schema = 1\ntimezone = "Asia/Tokyo"\n\n[[source]]\nname = "app"\npath = "exports/*.csv"\n'
    'encoding = "gb18030"\nzone = "Europe/Berlin"\nevent = "what"\n[source.map]\nts = "at"\nuser_id = "who"\n'
    '[source.time]\nformat = "%d.%m.%Y"\n[source.money]\ndecimal = ","\n\n[roles]\norder = "paid"\n'
    '[ids]\ntrust = ["user_id"]\n[sessions]\ngap = "45m"\n'
)
ITEMS = '[[source]]\nname = "lines"\npath = "l.csv"\nkind = "items"\n'
TILLS = '[[source]]\nname = "tills"\npath = "t.csv"\nkind = "lines"\n[source.map]\nts = "paid at"\n'


@pytest.mark.parametrize("more", ["", ITEMS])
def test_the_one_source_of_events_of_a_workspace_is_a_mapping(tmp_path: Path, more: str) -> None:
    mapping = tmp_path / "workbench.toml"
    mapping.write_text(MAPPED + more)
    workspace = from_paths([tmp_path], mapping=str(mapping))
    (source,) = workspace.sources
    assert (source.name, source.patterns, source.tables) == (tmp_path.name, (str(tmp_path),), ())
    assert source.map == {"ts": Take(names=("at",)), "user_id": Take(names=("who",))}
    assert (source.event, source.encoding, source.zone) == (Take(names=("what",)), "gb18030", "Europe/Berlin")
    assert (source.time.pattern, source.money_decimal, source.kind) == ("%d.%m.%Y", ",", "events")
    assert (workspace.timezone, dict(workspace.roles)) == ("Asia/Tokyo", {"order": "paid"})
    assert (workspace.ids.trust, workspace.sessions.gap, workspace.file) == (("user_id",), "45m", None)


def test_of_several_sources_the_named_one_is_the_mapping(tmp_path: Path) -> None:
    mapping = tmp_path / "workbench.toml"
    mapping.write_text(MAPPED + TILLS)
    (source,) = from_paths([tmp_path], mapping=f"{mapping}#tills").sources
    assert (source.kind, source.map) == ("lines", {"ts": Take(names=("paid at",))})
    with pytest.raises(UsageError, match=r"several sources: app, tills$") as caught:
        from_paths([tmp_path], mapping=str(mapping))
    assert caught.value.hint == f"say whose mapping is meant: --mapping {mapping}#app"
    with pytest.raises(UsageError, match=r"no source is named till$") as caught:
        from_paths([tmp_path], mapping=f"{mapping}#till")
    assert caught.value.hint == "its sources are: app, tills"


def test_a_fault_in_a_mapping_is_told_at_its_line(tmp_path: Path) -> None:
    mapping = tmp_path / "workbench.toml"
    mapping.write_text(MAPPED + TILLS.replace("ts =", "tss ="))
    with pytest.raises(UsageError, match=r"workbench\.toml:29:1: tss is no canonical column"):
        from_paths([tmp_path], mapping=f"{mapping}#app")
    mapping.write_text('event = "x"\n')
    with pytest.raises(UsageError, match=r"workbench\.toml:1:1: no \[\[source\]\] in it"):
        from_paths([tmp_path], mapping=f"{mapping}#app")


def test_a_mapping_file_may_have_a_number_sign_in_its_name(tmp_path: Path) -> None:
    mapping = tmp_path / "shop#1.toml"
    mapping.write_text('event = "what"\n')
    assert from_paths([tmp_path], mapping=str(mapping)).sources[0].event == Take(names=("what",))


def test_no_path_is_no_data() -> None:
    with pytest.raises(NoData):
        from_paths([])


def test_the_cache_hides_itself_from_git(tmp_path: Path) -> None:
    workspace = load(write(tmp_path, SOURCE))
    cache = prepare_cache(workspace)
    assert cache == tmp_path / ".workbench"
    assert (cache / ".gitignore").read_text() == "*\n"
    assert prepare_cache(workspace) == cache


def test_a_read_only_workspace_is_cached_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, SOURCE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    one = load(path).cache
    assert one.is_relative_to(tmp_path / "cache" / "workbench" / "workspaces")
    assert load(path).cache == one
