"""Section `report`: the table, the page and the status of many finished runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pkdcli.engine.bench.inputs.many_runs import write_runs
from pkdcli.engine.bench.measure import Section, elsewhere, interleaved
from pkdcli.recipe.schema import Recipe

RUNS = 2000  # of the bounds
TABLE, PAGE, PAGE_SIZE, STATUS = 2.0, 8.0, 20.0, 1.5  # seconds, seconds, MB, seconds


def reports(recipe: Recipe, repeat: int, runs: int, folder: Path) -> Section:
    """Time `pkd report` as a table and as a page, and `pkd status`, from launch to end.

    Args:
        recipe: A distilled run's, its data known.
        repeat: Rounds.
        runs: Finished runs, each with curves, levels and detections of its own.
        folder: For run directories (about 190 KB a run) and the page.
    """
    section = Section("report", f"Reports of {runs} runs")
    root, page = folder / "runs", folder / "report.html"
    write_runs(recipe, root, runs, folder / "pictures")
    env = {**os.environ, "PKD_CACHE": str(folder / "cache")}

    def command(*words: str) -> Callable[[], object]:
        whole = [sys.executable, "-m", "pkdcli", *words, "--runs", str(root)]
        return lambda: subprocess.run(whole, check=True, stdin=subprocess.DEVNULL, capture_output=True, env=env)

    pieces = {
        "pkd report": command("report"),
        "pkd report --format html": command("report", "--format", "html", "--output", str(page)),
        "pkd status": command("status"),
    }
    section.time(interleaved(pieces, repeat, warmup=1, read=elsewhere()))
    for timing, bound in zip(list(section.timings), (TABLE, PAGE, STATUS), strict=True):
        section.number(timing["name"], timing["median"], "s", at_most=bound if runs >= RUNS else None)
    section.number("size of the page", page.stat().st_size / 1e6, "MB", at_most=PAGE_SIZE if runs >= RUNS else None)
    return section
