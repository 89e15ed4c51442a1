"""What `pkd bench` does: have a process measure, show each section when it has ended, or all of them as JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from pkdcli.cli.console import err, out
from pkdcli.cli.look.bench import SECTIONS
from pkdcli.errors import ExitCode, PkdError, unknown
from pkdcli.folders import cache_root
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import write_json

LARGEST = 8192  # pixels a side
SMALLEST = 32


@dataclass(frozen=True)
class Wishes:
    """What a user wants measured; see `pkd bench --help`."""

    pair: str
    scale: str
    loss: str
    image: tuple[int, int] | None
    batch: int | None
    threads: int | None
    clock: str
    only: tuple[str, ...]
    repeat: int
    students: int
    eval_images: int
    report_runs: int
    coco_images: int
    epochs: int
    sets: tuple[str, ...]


def size(text: str | None) -> tuple[int, int] | None:
    """(height, width) in pixels from `256x320`.

    Raises:
        PkdError: It is written otherwise, or too small or large.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    sides = tuple(int(side) for side in found.groups()) if found else ()
    if not sides or min(sides) < SMALLEST or max(sides) > LARGEST:
        message = f"--image: {text!r} is no size of {SMALLEST} to {LARGEST} pixels a side."
        raise PkdError(message, "Example: --image 256x320")
    return sides


def bench(wishes: Wishes, as_json: bool, quiet: bool) -> ExitCode:
    """Measure and print; what has been measured is printed even if a later section fails or is stopped.

    Raises:
        PkdError: A wrong word, or what the process says went wrong.
    """
    for name in wishes.only:
        if name not in SECTIONS:
            raise unknown("section (--only)", name, SECTIONS)
    if wishes.clock not in ("wall", "cpu"):
        raise unknown("--clock", wishes.clock, ("cpu", "wall"))
    if wishes.clock == "cpu" and wishes.threads != 1:
        raise PkdError("--clock cpu: the processor time of several threads is no time that passes.", "Add --threads 1.")
    recipe = _recipe(wishes)
    request = _request(wishes, recipe)
    answer: dict[str, Any] = {"schema": 1, "command": sys.argv[1:], "wishes": asdict(wishes), "machine": None,
                              "sections": [], "complete": False}  # fmt: skip
    try:
        for line in _lines(request, quiet or as_json):
            if "machine" in line:
                answer["machine"] = line["machine"]
            elif "section" in line:
                answer["sections"].append(line["section"])
                if not as_json:
                    show(line["section"])
        answer["complete"] = True
    except KeyboardInterrupt:
        print("stopped; the sections above are whole.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    finally:
        if as_json:
            print(json.dumps(answer, indent=1))
    if not as_json:
        print(in_words(answer["machine"]) + ("; processor time" if wishes.clock == "cpu" else ""))
    return ExitCode.OK


def _recipe(wishes: Wishes) -> Recipe:
    """The distilled run that is measured; real data for the experiment alone."""
    from pkdcli.data.prepare import facts, prepare
    from pkdcli.experiment.plan import with_weights_hash

    if wishes.loss == "none":
        raise PkdError("--loss: the baseline distils nothing.", "Name a loss, such as pkd.")
    recipe = resolve(
        Request(pair=wishes.pair, scale=wishes.scale, loss=wishes.loss, batch_size=wishes.batch, sets=wishes.sets)
    )
    recipe = with_weights_hash(recipe)
    known = prepare if "experiment" in wishes.only else facts
    return recipe.model_copy(update={"data": known(recipe.data, cache_root())})


def _request(wishes: Wishes, recipe: Recipe) -> dict[str, Any]:
    from pkdcli.config.teacher import teacher_recipe
    from pkdcli.recipe.identity import run_id

    teacher = None
    if {"experiment", "suggest"} & set(wishes.only):
        paths = RunPaths(teachers_root(cache_root()) / run_id(teacher_recipe(recipe)))
        teacher = str(paths.root) if finished(paths) else None
    return {
        "recipe": recipe.model_dump(mode="json"),
        "teacher": teacher,
        "runs": wishes.report_runs,
        **{key: value for key, value in asdict(wishes).items() if key not in ("pair", "scale", "loss", "sets")},
    }


def _lines(request: Mapping[str, Any], quiet: bool) -> Iterator[dict[str, Any]]:
    """What a process that measures has to say, so that torch stays behind a process boundary.

    Raises:
        PkdError: What it says went wrong.
    """
    with tempfile.TemporaryDirectory(prefix="pkd-bench-") as folder:
        path, log = Path(folder) / "request.json", Path(folder) / "log.txt"
        write_json(path, request)
        threads = {"OMP_NUM_THREADS": str(request["threads"])} if request["threads"] else {}
        with open(log, "wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "pkdcli.engine.bench.worker", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PKD_CACHE": str(cache_root()), "XDG_CACHE_HOME": str(cache_root()), **threads},
                start_new_session=True,  # Ctrl-C reaches it through us, with whatever it has started
            )
        try:
            with nullcontext() if quiet else err().status("starting ...") as status:
                for text in process.stdout:
                    line = json.loads(text)
                    if "error" in line:
                        raise PkdError(line["error"]["message"], line["error"]["hint"], line["error"]["code"])
                    if "doing" in line and status:
                        status.update(f"measuring {line['doing']} ...")
                    yield line
            if process.wait():
                last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                raise PkdError(
                    f"the measurement ended with exit code {process.returncode}.", last or None, ExitCode.RUN_FAILED
                )
        finally:
            _end(process)


def _end(process: subprocess.Popen) -> None:
    """End a process and those it has started."""
    import signal

    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def show(section: Mapping[str, Any]) -> None:
    """Print a section as a table: times, ratios and numbers, and what was to be reached."""
    table = Table(title=section["title"], title_justify="left", title_style="bold")
    table.add_column("", overflow="fold")
    for name in ("median", "from", "to", "to reach", "reached"):
        table.add_column(name, justify="right")
    for timing in section["timings"]:
        seconds = timing["seconds"]
        table.add_row(timing["name"], *(duration(s) for s in (timing["median"], min(seconds), max(seconds))), "", "")
    if section["timings"] and (section["ratios"] or section["numbers"]):
        table.add_section()
    for ratio in section["ratios"]:
        values = (f"{ratio[key]:.3f}" for key in ("value", "low", "high"))
        table.add_row(ratio["name"], *values, *_bound(ratio))
    for number in section["numbers"]:
        value = f"{number['value']:.3g}" if abs(number["value"]) < 100 else f"{number['value']:.0f}"
        table.add_row(number["name"], f"{value} {number['unit']}".strip(), "", "", *_bound(number))
    console = out()
    console.print(table)
    for note in section["notes"]:
        console.print(f"  {note}")


def _bound(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["ok"] is None:
        return "", ""
    at_least = row["at_least"] is not None
    bound = row["at_least"] if at_least else row["at_most"]
    return f"{'at least' if at_least else 'at most'} {bound:g}", "yes" if row["ok"] else "NO"


def duration(seconds: float) -> str:
    """Seconds in a readable unit."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def in_words(machine: Mapping[str, Any] | None) -> str:
    """The machine in one line."""
    if machine is None:
        return "nothing was measured"
    on = machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads"
    return f"{on}; load {machine['load']} at the start; torch {machine['torch']}, Python {machine['python']}"
