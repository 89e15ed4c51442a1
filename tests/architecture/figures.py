"""The figures of the house, of one checkout or of several side by side.

python tests/architecture/figures.py                  # this checkout
python tests/architecture/figures.py ../before .      # an older one and this one
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from source import PACKAGE, Source


def figures(source: Source) -> dict[str, int | float]:
    """The figures of one checkout, by what they count."""
    code, tests = source.files(PACKAGE), source.files("tests")
    folders = {name: count for name, count in source.folders.items() if count > 15}
    several = [one for one in source.functions if len(one.parameters) > 1 and not one.command]
    return {
        "modules": len(code),
        "lines of code": sum(code.values()),
        "median lines of a module": median(code.values()),
        "modules over 300 lines": sum(lines > 300 for lines in code.values()),
        "circles of imports": len(source.circles),
        "folders of code over 15 files": sum(name.startswith(PACKAGE) for name in folders),
        "folders of tests over 15 files": sum(name.startswith("tests") for name in folders),
        "lines of tests": sum(tests.values()),
        "lines of tests per line of code": round(sum(tests.values()) / sum(code.values()), 3),
        "public functions with two arguments or more": len(several),
        "... of which without their Args": sum(bool(one.undocumented) for one in several),
    }


def table(roots: list[Path]) -> str:
    """The figures of several checkouts, a column each."""
    columns = [figures(Source(root)) for root in roots]
    rows = [["", *(str(root) for root in roots)]]
    rows += [[name, *(f"{column[name]:,}" for column in columns)] for name in columns[0]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ([cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join([row[0].ljust(widths[0]), *line[1:]]) for row, line in zip(rows, lines, strict=True))


if __name__ == "__main__":
    print(table([Path(word) for word in sys.argv[1:]] or [Path(__file__).parents[2]]))
