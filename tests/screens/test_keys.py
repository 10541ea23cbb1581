"""The table of keys: nothing shares a key, nothing is out of reach, full-width keys mean the same."""

from __future__ import annotations

import importlib
import pkgutil
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.keys import Keys

import screens as package
from queries import QUESTIONS
from workbench.errors import UsageError
from workbench.keys import (
    FREE,
    GLOBAL,
    GROUPS,
    TWICE,
    Action,
    Keymap,
    fold,
    load_remapped,
    one_letter,
    screen_letters,
    spelled,
)

NAMES = (
    "left down up right top bottom page_down page_up half_down half_up line_start line_end next_pane "
    "previous_pane previous_tab next_tab enter escape cancel back quit overview pin_1 pin_2 pin_3 pin_4 "
    "pin_5 pin_6 pin_7 pin_8 pin_9 go palette help find find_next find_previous filter sort mark add edit "
    "delete duplicate move_down move_up undo redo range breakdown compare less more view zoom run reload "
    "sql explain copy_cell copy_command export save_report save_people open_report history suspend "
    "details theme"
)
PRINTABLE = [chr(code) for code in range(33, 127)]
IDS = {"ids": lambda action: action.name}
PEERS = Action("peers", ("P",), "peers", "The same under other products' rules")


def test_every_action_of_the_design_is_there_once() -> None:
    assert sorted(action.name for action in GLOBAL) == sorted(NAMES.split())


@pytest.mark.parametrize("action", GLOBAL, **IDS)
def test_main_key_needs_no_modifier(action: Action) -> None:
    main = action.keys[0]
    assert main in {"enter", "tab", "escape", "space", TWICE} or (len(main) == 1 and main in PRINTABLE)


@pytest.mark.parametrize("action", GLOBAL, **IDS)
def test_every_action_says_what_it_does(action: Action) -> None:
    assert action.group in GROUPS
    assert 0 < len(action.label) <= 14
    assert action.help[0].isupper()
    assert "\n" not in action.help


def test_no_two_actions_share_a_key() -> None:
    keys = [key for action in GLOBAL for key in action.keys]
    assert len(keys) == len(set(keys))


def test_free_keys_are_free() -> None:
    taken = {key for action in GLOBAL for key in action.keys}
    assert set(PRINTABLE) >= FREE
    assert FREE.isdisjoint(taken)


@pytest.mark.parametrize("action", GLOBAL, **IDS)
def test_aliases_are_keys_that_the_terminal_driver_names(action: Action) -> None:
    known = {key.value for key in Keys} | set(PRINTABLE) | {"space", TWICE}
    assert set(action.keys) <= known


def test_each_key_gives_its_action() -> None:
    keymap = Keymap()
    for action in GLOBAL:
        for key in action.keys:
            if key == TWICE:
                continue
            character = key if len(key) == 1 else " " if key == "space" else None
            assert keymap.action("whatever" if len(key) == 1 else key, character) is action


def test_what_drivers_send_beside_a_name_is_no_character() -> None:
    keymap = Keymap()
    for key, character, name in (("enter", "\r", "enter"), ("tab", "\t", "next_pane"), ("escape", "\x1b", "escape"),
                                 ("ctrl+d", "\x04", "half_down"), ("ctrl+c", "\x03", "cancel")):  # fmt: skip
        found = keymap.action(key, character)
        assert found is not None
        assert found.name == name
    assert keymap.action("f7", None) is None
    assert keymap.action("m", "m") is None


@pytest.mark.parametrize("character", [*PRINTABLE, " "])
def test_full_width_keys_mean_the_same(character: str) -> None:
    wide = "\u3000" if character == " " else chr(ord(character) + 0xFEE0)
    assert fold(wide) == character
    keymap = Keymap((PEERS,))
    assert keymap.action("whatever", wide) is keymap.action("whatever", character)


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        *zip(
            "、。【】《》〈〉「」『』；：？！，（）‘’“”·￥¥…—～｜",
            "/.[]<><>{}{};:?!,()''\"\"`$$^_~|",
            strict=True,
        )
    ],
)
def test_what_a_chinese_input_method_sends(sent: str, key: str) -> None:
    assert fold(sent) == key


@given(st.characters())
def test_folding_gives_one_character_and_is_done_once(character: str) -> None:
    folded = fold(character)
    assert len(folded) == 1
    assert fold(folded) == folded
    if character in string.printable:
        assert folded == character


def test_han_characters_mean_nothing() -> None:
    assert all(Keymap().action("whatever", character) is None for character in "搜索点击数据")


# --- all screens --------------------------------------------------------------------------------------------------


def screens() -> list[type]:
    """Every class of the package that has actions of its own."""
    modules = [
        importlib.import_module(f"screens.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    classes = {thing for module in modules for thing in vars(module).values() if isinstance(thing, type)}
    return sorted((one for one in classes if vars(one).get("local_actions")), key=lambda one: one.__name__)


def test_screens_use_free_keys_alone_and_do_what_they_say() -> None:
    assert len(screens()) >= 2
    for screen in screens():
        actions: tuple[Action, ...] = vars(screen)["local_actions"]
        keymap = Keymap(actions)
        for action in actions:
            assert set(action.keys) <= FREE, (screen, action)
            assert callable(getattr(screen, f"do_{action.name}", None)), (screen, action)
            assert keymap.named(action.name) is action
            assert action.group == "screen" or action.group not in GROUPS, (screen, action)


def test_an_action_of_a_screen_is_no_global_one() -> None:
    names = [action.name for screen in screens() for action in vars(screen)["local_actions"]]
    assert set(names).isdisjoint(action.name for action in GLOBAL)


# --- a screen's own, and the user's -------------------------------------------------------------------------------


def test_a_screens_own_actions_come_first() -> None:
    keymap = Keymap((PEERS,))
    assert keymap.actions[0] is PEERS
    assert keymap.action("P", "P") is PEERS
    assert keymap.key_of("peers") == "P"


@pytest.mark.parametrize("key", ["f", "ctrl+p", "space"])
def test_a_screen_cannot_rebind_a_global_key(key: str) -> None:
    other = Keymap().action(key, " " if key == "space" else key if len(key) == 1 else None)
    assert other is not None
    with pytest.raises(UsageError, match=f"both peers and {other.name}"):
        Keymap((Action("peers", (key,), "peers", "Peers"),))


def test_a_key_is_shown_as_people_read_it() -> None:
    keymap = Keymap()
    names = ("enter", "escape", "next_pane", "mark", "down", "top", "nothing")
    assert [keymap.key_of(name) for name in names] == ["enter", "esc", "tab", "space", "j", "g g", ""]
    assert keymap.keys_of("page_down") == ("_", "pgdn")


def test_a_wish_replaces_all_keys_of_an_action() -> None:
    keymap = Keymap((PEERS,), {"filter": ("F", "Ctrl+F"), "peers": ("f",), "escape": ("esc", "~")})
    assert keymap.keys_of("filter") == ("F", "ctrl+f")
    assert keymap.action("whatever", "f") is keymap.named("peers")
    assert keymap.keys_of("escape") == ("esc", "~")
    assert Keymap((), {"go": (",",)}).key_of("top") == ", ,"


def test_a_wish_in_full_width_is_the_key_it_means() -> None:
    assert Keymap((), {"filter": ("？",), "help": ("Ｆ",)}).keys_of("filter") == ("?",)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"filter": ("s",)}, "keys: s would be both filter and sort"),
        ({"peers": ("space",)}, "keys: space would be both peers and mark"),
        ({"sort": ("P",)}, "keys: P would be both peers and sort"),
        ({"cancel": ("escape",)}, "keys: esc would be both escape and cancel"),
        ({"filter": ()}, "keys: filter has no key"),
        ({"filter": ("ff",)}, "keys: filter: 'ff' is no key"),
        ({"filter": ("",)}, "keys: filter: '' is no key"),
        ({"filter": ("hyper+f",)}, "keys: filter: 'hyper+f' is no key"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(wishes: dict[str, tuple[str, ...]], told: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(told)}$") as error:
        Keymap((PEERS,), wishes)
    assert error.value.hint


@given(st.text(max_size=8))
def test_whatever_is_no_key_is_told_apart(text: str) -> None:
    key = spelled(text)
    if key is not None:
        assert spelled(key) == key
        assert Keymap((), {"filter": (key,)}) if key in FREE else True


# --- the user's file ----------------------------------------------------------------------------------------------


def settings(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


def test_no_file_is_no_wishes(tmp_path: Path) -> None:
    assert load_remapped(path=tmp_path / "config.toml") == {}
    assert load_remapped(path=settings(tmp_path, 'theme = "nord"\n')) == {}


def test_the_users_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path)
    settings(tmp_path, '[keys]\nfilter = "F"\n')
    assert load_remapped() == {"filter": ("F",)}


def test_a_file_gives_one_key_or_several(tmp_path: Path) -> None:
    path = settings(tmp_path, '[keys]\nfilter = "F"\nrun = ["r", "ctrl+r"]\npeers = "."\n')
    assert load_remapped(path=path) == {"filter": ("F",), "run": ("r", "ctrl+r"), "peers": (".",)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[keys]\nfiter = "F"\n', ":2:1: no action is named fiter"),
        ('[keys]\nsort = "s"\nfilter = []\n', ":3:1: filter must be text or a list of texts"),
        ("[keys]\nfilter = 7\n", ":2:1: filter must be text or a list of texts"),
        ('[keys]\nfilter = "ctl+f"\n', ":2:1: filter: 'ctl+f' is no key"),
        ("keys = 3\n", ":1:1: keys must be a table"),
        ("[keys\n", ":1:6: "),
    ],
)
def test_fault_115_a_broken_file_is_named_with_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    path = settings(tmp_path, text)
    with pytest.raises(UsageError) as error:
        load_remapped(("peers",), path)
    assert error.value.message.startswith(f"{path}{told}")
    assert error.value.exit_code == 2


def test_fault_115_a_folder_or_a_byte_order_mark_instead(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        load_remapped(path=tmp_path)
    with pytest.raises(UsageError, match="byte order mark"):
        load_remapped(path=settings(tmp_path, "\ufeff[keys]\n"))


# --- the letters after g -------------------------------------------------------------------------------------------


def test_letters_of_screens_are_unique_and_never_g() -> None:
    letters = [question.key for question in QUESTIONS.values() if question.key is not None]
    assert len(letters) == len(set(letters)) == len(screen_letters())
    assert all(len(letter) == 1 and letter in string.ascii_lowercase for letter in letters)
    assert "g" not in letters
    assert {"f", "u"} <= set(letters)


def test_a_letter_after_go_is_folded_too() -> None:
    assert one_letter(screen_letters(), "ｆ") == "f"
    assert one_letter(screen_letters(), "J") is None
    assert one_letter(screen_letters(), None) is None
