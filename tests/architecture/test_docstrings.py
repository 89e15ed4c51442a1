"""Every public function with two arguments or more says in `Args:` what each is; whoever adds one says it too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from source import Source

ROOT = Path(__file__).parents[2]
# Rooms that still have functions without. A room that has none any more fails, so that the list only shrinks.
TO_DO: set[str] = set()
# What users are given to read and to change beside their model: held to 60 lines, which lists of arguments would break.
HANDED_OUT = "pkdcli.engine.export.standalone."


def test_arguments_are_documented():
    missing = [
        f"{one.name}: {', '.join(one.undocumented)}"
        for one in Source(ROOT).functions
        # A command's page of help says its options; an overriding method's base says its arguments.
        if len(one.parameters) > 1 and one.undocumented and not one.command and not one.inherits
        if not one.name.startswith(HANDED_OUT)
    ]
    assert [text for text in missing if text.split(".")[1] not in TO_DO] == []
    assert {text.split(".")[1] for text in missing} == TO_DO, "documented: take these rooms out of TO_DO"


@pytest.mark.parametrize(
    ("code", "undocumented"),
    [
        ('def f(a, b):\n    """Adds.\n\n    Args:\n        a: One.\n        b (int): Another.\n    """', ()),
        ('def f(a, b):\n    """Adds.\n\n    Args:\n        a, b: Both.\n    """', ()),
        ('def f(a, *b, **c):\n    """Adds.\n\n    Args:\n        a: One.\n        *b: More.\n    """', ("c",)),
        ('def f(a, *, b):\n    """Adds a and b."""', ("a", "b")),
        ("def f(a, b): ...", ("a", "b")),
        (
            'class C:\n    def f(self, a, b):\n        """Adds.\n\n        Args:\n            b: One.\n        """',
            ("a",),
        ),
    ],
)
def test_what_counts_as_documented(tmp_path, code, undocumented):
    (tmp_path / "pkdcli").mkdir()
    (tmp_path / "pkdcli" / "a.py").write_text(code)
    assert [one.undocumented for one in Source(tmp_path).functions] == [undocumented]


def test_fixtures_that_several_files_share_say_what_they_are():
    tests = ROOT / "tests"
    missing = [
        f"{file.relative_to(ROOT)}: {getattr(node, 'name', 'the file')}"
        for file in sorted([*tests.rglob("conftest.py"), *(tests / "support").glob("*.py")])
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Module) or any("fixture" in ast.unparse(one) for one in _decorators(node))
        if ast.get_docstring(node) is None
    ]
    assert missing == []


def _decorators(node: ast.AST) -> list[ast.expr]:
    return node.decorator_list if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else []
