"""docs/architecture.md stays true: its paths exist, its rooms are all there are, its law is the one that is tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_imports import LAYERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
TREE = PAGE.partition("```\n")[2].partition("```")[0]


def drawn(tree: str) -> set[str]:
    """The paths of a tree that is drawn by indentation, two spaces a level."""
    found, above = set(), []
    for line in tree.splitlines():
        if line.strip():
            depth = (len(line) - len(line.lstrip())) // 2
            above = [*above[:depth], line.split()[0].rstrip("/")]
            found.add("/".join(above))
    return found


def rooms() -> set[str]:
    folders = {file.parent for file in (ROOT / "pkdcli").rglob("*.py")}
    modules = {file for file in (ROOT / "pkdcli").glob("*.py") if file.name != "__init__.py"}
    return {path.relative_to(ROOT).as_posix() for path in folders | modules}


def test_every_room_is_drawn_with_a_line():
    # A room inside a room of the third level is the business of that one.
    assert {path for path in rooms() if path.count("/") <= 2} == drawn(TREE)
    assert all(len(line.split()) > 2 for line in TREE.splitlines()[1:] if line.strip())


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:pkdcli|tests|recipes|docs)/[\w./-]*)`", PAGE))))
def test_every_path_it_names_is_there(path):
    assert (ROOT / path).exists()


def test_its_law_is_the_one_that_is_tested():
    rows = re.findall(r"^\| \d \| (.+?) \|", PAGE, re.M)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == [{*row} for row in LAYERS[1:]]


def test_every_room_says_what_it_is_for():
    for path in rooms():
        file = ROOT / path if path.endswith(".py") else ROOT / path / "__init__.py"
        assert file.read_text("utf-8").startswith('"""'), path


def test_it_answers_where_to_add_things():
    answered = re.findall(r"^\| an? ([\w ]+?) \|", PAGE.partition("## Where do I add")[2], re.M)
    wanted = {"command", "option", "loss", "detector family", "launcher", "tracker", "plot", "table"}
    assert wanted <= set(answered)
