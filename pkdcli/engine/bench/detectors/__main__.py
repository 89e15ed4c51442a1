"""`python -m pkdcli.engine.bench.detectors`: which detectors work, as docs/detectors.md says.

- `measure [PATTERN ...]`: try those of the catalog whose config has one of these in its name, or all of them, and store
  what comes of it; `--processes N` at a time.
- `try CONFIG`: try any config of mmdet's as a student and as a teacher.
- `page [FILE]`: write docs/detectors.md from what is stored.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str]) -> int:
    """Carry out one of the three."""
    parser = argparse.ArgumentParser(prog="python -m pkdcli.engine.bench.detectors")
    verbs = parser.add_subparsers(dest="verb", required=True)
    measure = verbs.add_parser("measure", help="try the detectors of the catalog")
    measure.add_argument("patterns", nargs="*", help="parts of configs' names")
    measure.add_argument("--processes", type=int, default=2)
    one = verbs.add_parser("try", help="try a config of mmdet's")
    one.add_argument("config")
    page_of = verbs.add_parser("page", help="write docs/detectors.md")
    page_of.add_argument("file", nargs="?", default="docs/detectors.md")
    asked = parser.parse_args(argv)
    from pkdcli.engine.bench.detectors import page

    if asked.verb == "page":
        print(page.write(Path(asked.file)))
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many processes as cores
    from pkdcli.engine.bench.detectors import measure as measuring

    if asked.verb == "try":
        found = measuring.measured([{"config": asked.config}], 1, print)
        return 0 if all(found[asked.config][role]["state"] == "works" for role in ("student", "teacher")) else 1
    wanted = [
        entry
        for entry in measuring.catalog()
        if not asked.patterns or any(pattern in entry["config"] for pattern in asked.patterns)
    ]
    measuring.write(measuring.measured(wanted, asked.processes, lambda text: print(text, flush=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
