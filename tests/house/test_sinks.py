"""What reaches a widget is text and never markup: whatever could be parsed is a literal, or made by Text or Content."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    [
        *(ROOT / "screens").rglob("*.py"),
        *(ROOT / "workbench" / "widgets").rglob("*.py"),
        ROOT / "workbench" / "app.py",
    ]
)
MADE = {
    "Static",
    "Label",
    "Option",
    "Button",
    "Checkbox",
    "RadioButton",
    "Collapsible",
    "Markdown",
    "Tree",
    "Select",
    "Link",
    "Digits",
}
"""Widgets whose first argument is parsed as markup, unless ``markup=False``."""
CALLED = {
    "notify", "add_row", "add_column", "add_columns", "add_rows", "add_option", "add_options",
    "action_notify", "from_markup",
    "print", "log",
}  # fmt: skip
"""Methods that parse a plain text, or write past the screen."""
SET = {"border_title", "border_subtitle", "tooltip", "title", "sub_title"}
TEXTS = {"Text", "Content"}
CLEANING = {"clean", "cell", "clip", "pad", "bar", "sparkline", "histogram", "lines", "visible", "_fit"}
"""What gives harmless text back, or takes cleaned text alone."""


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_literal(node: ast.AST) -> bool:
    """A text that holds no data: constants, also of this module or of a class, put together."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return all(is_literal(value) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return is_literal(node.value)
    if isinstance(node, ast.Subscript):
        return is_literal(node.value)
    return isinstance(node, ast.Name) and node.id.isupper()


def is_text(node: ast.AST, known: set[str]) -> bool:
    """A rich Text or a Content: made here, or a name that only ever holds one."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            # Text("\n").join(…), Text.assemble(…)
            return node.func.attr in ("join", "assemble", "copy") and is_text(node.func.value, known)
        return name_of(node) in TEXTS
    if isinstance(node, ast.IfExp):
        return all(is_text(each, known) or is_literal(each) for each in (node.body, node.orelse))
    return isinstance(node, ast.Name) and (node.id in known or node.id in TEXTS)


def texts_in(function: ast.AST) -> set[str]:
    """Names that hold a Text in a function: annotated so, or everything assigned to them is one."""
    known, other = set(), set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg | ast.AnnAssign):
            annotated = node.annotation
            target = node.arg if isinstance(node, ast.arg) else getattr(node.target, "id", "")
            if annotated is not None and "Text" in ast.unparse(annotated):
                known.add(target)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = (
                    zip(target.elts, node.value.elts, strict=True)
                    if isinstance(target, ast.Tuple)
                    and isinstance(node.value, ast.Tuple)
                    and len(target.elts) == len(node.value.elts)
                    else [(target, node.value)]
                )
                for one, value in pairs:
                    if isinstance(one, ast.Name):
                        (known if is_text(value, known) else other).add(one.id)
        elif (
            isinstance(node, ast.For)
            and isinstance(node.iter, ast.Tuple)
            and isinstance(node.target, ast.Tuple)
        ):
            for place, one in enumerate(node.target.elts):
                values = [each.elts[place] for each in node.iter.elts if isinstance(each, ast.Tuple)]
                if isinstance(one, ast.Name) and values and all(is_text(value, known) for value in values):
                    known.add(one.id)
    return known - other


def parsed_texts(path: Path, tree: ast.Module) -> list[str]:
    """The places of a module where a text that is no literal may be parsed as markup."""
    wrong = []
    known = {id(tree): texts_in(tree)}
    for function in [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]:
        known[id(function)] = texts_in(function)
    inside = {
        id(node): function
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = known[id(inside.get(id(node), tree))]
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            name, given = name_of(node), list(node.args)
            plain = any(
                word.arg == "markup" and isinstance(word.value, ast.Constant) and word.value.value is False
                for word in node.keywords
            )
            named = [
                word.value
                for word in node.keywords
                if word.arg in ("content", "label", "tooltip", "title", "message")
            ]
            if name in MADE and isinstance(node.func, ast.Name) and not plain:
                wrong += [
                    f"{where}: {ast.unparse(node)[:90]}"
                    for each in (*given[:1], *named)
                    if not is_text(each, names) and not is_literal(each)
                ]
            elif name in CALLED and isinstance(node.func, ast.Attribute) and not plain:
                wrong += [
                    f"{where}: {ast.unparse(node)[:90]}"
                    for each in given
                    if not is_text(each, names) and not is_literal(each)
                ]
            elif name == "update" and isinstance(node.func, ast.Attribute) and of_widget(node.func.value):
                wrong += [f"{where}: {ast.unparse(node)[:90]}" for each in given if not is_text(each, names)]
            elif name in ("from_markup", "render_markup"):
                wrong.append(f"{where}: {ast.unparse(node)[:90]}")
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                is_widgets = (
                    isinstance(target, ast.Attribute)
                    and target.attr in SET
                    and "self.name" not in ast.unparse(target)
                )
                if is_widgets and not is_text(node.value, names) and not is_literal(node.value):
                    wrong.append(f"{where}: {ast.unparse(node)[:90]}")
    return wrong


def of_widget(node: ast.AST) -> bool:
    """Whether ``update`` is a widget's: of a dictionary or a set it takes no text."""
    text = ast.unparse(node)
    return "query_one" in text or text.startswith("self._") or text == "self" or "Static" in text


def unclean(path: Path, tree: ast.Module) -> list[str]:
    """The places where a Text or Content is made of something that was cleaned nowhere in the function.

    A function that gives a Text gives it to a grid, which cleans it again.
    """
    wrong = []
    for function in [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]:
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        if {name_of(call) for call in calls} & CLEANING or (
            function.returns is not None and ast.unparse(function.returns) == "Text"
        ):
            continue
        for call in calls:
            held = [name for arg in call.args[:1] for name in names_in(arg)] if name_of(call) in TEXTS else []
            if not all(map(is_clean, held)):
                wrong.append(f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)[:90]}")
    return wrong


def names_in(node: ast.AST) -> list[str]:
    """What a text is made of that is no literal."""
    if is_literal(node):
        return []
    return [ast.unparse(each) for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)]


def is_clean(name: str) -> bool:
    """Signs of ours, and what its own module cleans on its way in, which the tests of hostile pictures hold."""
    return name in ("self", "self.workbench", "self._title", "glyphs") or name.startswith(
        ("self.workbench.glyphs", "glyphs.")
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_fault_070_no_plain_text_is_parsed_as_markup(path: Path) -> None:
    assert not parsed_texts(path, ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_fault_069_texts_are_made_of_what_was_cleaned(path: Path) -> None:
    assert not unclean(path, ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "code",
    [
        "def f(self, v): self.notify(v)",
        "def f(self, v): self.app.notify(f'{v} is here')",
        "def f(self, v): return Static(v)",
        "def f(self, v): return Static(f'x {v}', markup=True)",
        "def f(self, v): self.query_one('#a', Static).update(str(v))",
        "def f(self, v): self._label.update(v)",
        "def f(self, v): self.box.border_title = v",
        "def f(self, v): self.tooltip = 'x' + v",
        "def f(self, v): return [Option(v), Label(v)]",
        "def f(self, v): self.table.add_row('a', v)",
        "def f(self, v): return Text.from_markup(v)",
    ],
)
def test_the_lint_finds_what_it_is_for(code: str) -> None:
    assert parsed_texts(ROOT / "screens" / "x.py", ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "def f(self): self.notify('done')",
        "def f(self, v): self.notify(v, markup=False)",
        "def f(self, v): return Static(v, markup=False)",
        "def f(self, v): self._label.update(Text(clean(v)))",
        "def f(self, v): self.box.border_title = Content(clean(v)) if v else None",
        "def f(self, v): self._known.add(v)",
    ],
)
def test_the_lint_lets_the_rest_be(code: str) -> None:
    assert not parsed_texts(ROOT / "screens" / "x.py", ast.parse(code))


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("def f(v): return Text(v)", 1),
        ("def f(v): return Text(f'a {v}')", 1),
        ("def f(v): return Text(clean(v))", 0),
        ("def f(): return Text('a')", 0),
    ],
)
def test_a_text_of_data_that_was_not_cleaned_is_found(code: str, count: int) -> None:
    assert len(unclean(ROOT / "screens" / "x.py", ast.parse(code))) == count
