"""Every page of help says what it said before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

COMMANDS = (
    *("bench", "cancel", "clean", "compare", "diagnose", "doctor", "eval", "export", "list", "logs"),
    *("predict", "profile", "reproduce", "report", "resume", "show", "status", "sweep", "train", "tune", "verify"),
    "visualize",
    *("data", "data check", "data import", "archive", "unpack", "rm"),
)


def panels_sorted(page: str) -> list[str]:
    """The lines of a page, with the rows of each panel in an order of their own.

    The order of options in a panel is no promise. A row goes on over lines until one begins at the left edge again, or
    in a panel of options (which rich indents where they have no long name) with a dash.
    """
    found: list[str] = []
    rows: list[list[str]] | None = None
    for line in (line.rstrip() for line in page.splitlines()):
        if line.startswith("╭"):
            rows = []
        elif line.startswith("╰") and rows is not None:
            found += [one for row in sorted(rows) for one in row]
            rows = None
        elif rows is not None:
            if re.match(r"│ (\* )?\S", line) or re.match(r"│ +-", line) or not rows:
                rows.append([line])
            else:
                rows[-1].append(line)
            continue
        found.append(line)
    return found


@pytest.mark.parametrize("name", ["pkd", *COMMANDS])
def test_help(type_, golden, name):
    code, out, err = type_(*([] if name == "pkd" else name.split()), "--help")
    assert (code, err) == (0, "")
    page = "".join(f"{line.rstrip()}\n" for line in out.splitlines())
    golden(f"help/{name.replace(' ', '-')}.txt", page, panels_sorted)


def test_there_is_a_file_for_every_command():
    page = (Path(__file__).parent / "help" / "pkd.txt").read_text()
    # Behind the panel of options, whose names begin with a dash.
    commands = sorted(name for name in COMMANDS if " " not in name)
    assert sorted(re.findall(r"^│ ([a-z]+) ", page, re.MULTILINE)) == commands


PAGE = """\
╭─ One ───╮
│ --b  B  │
│      on │
│ --a  A  │
╰─────────╯
"""


def test_only_the_order_of_whole_rows_is_free():
    swapped = "╭─ One ───╮\n│ --a  A  │\n│ --b  B  │\n│      on │\n╰─────────╯\n"
    torn = "╭─ One ───╮\n│ --a  A  │\n│      on │\n│ --b  B  │\n╰─────────╯\n"
    assert panels_sorted(PAGE) == panels_sorted(swapped)
    assert panels_sorted(PAGE) != panels_sorted(torn)
