"""What this machine makes of a pair: `pkdcli.benchmark()` and `pkd bench`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pkdcli.api.options import DEFAULT, SECTIONS, BenchmarkOptions
from pkdcli.api.options.keywords import options_of
from pkdcli.errors import PkdError, unknown
from pkdcli.folders import cache_root
from pkdcli.launch.outcome import Watcher
from pkdcli.launch.request import ask_lines
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths, teachers_root

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 8192  # pixels a side
SMALLEST = 32
COLUMNS = ("section", "kind", "name", "value", "low", "high", "unit", "at_least", "at_most", "ok")


@dataclass
class Benchmark:
    """What is measured, and what has been so far.

    Attributes:
        settings: What was asked for, by the names of the options.
        request: What the process that measures is asked for.
        machine: What the numbers are of: cpu, cores, threads, gpu, load, torch, python; None before it is known.
        sections: In the order in which they were asked for: `name`, `title`, `timings` (seconds), `ratios`, `numbers`,
            `notes`.
        complete: Whether every section has been measured.
    """

    settings: dict[str, Any]
    request: dict[str, Any]
    machine: dict[str, Any] | None = None
    sections: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False

    def measure(
        self,
        on_section: Callable[[dict[str, Any]], None] | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        """Have everything measured; what has been measured stays in `sections` even if a later one fails.

        Args:
            on_section: Called with each section when it has been measured.
            watcher: Told of what is being done.

        Raises:
            PkdError: What the process says went wrong.
        """
        watcher = watcher or Watcher()
        with ExitStack() as shown, closing(_lines(self.request)) as lines:
            shown.enter_context(watcher.doing("starting ..."))
            for line in lines:
                if "machine" in line:
                    self.machine = line["machine"]
                elif "section" in line:
                    self.sections.append(line["section"])
                    if on_section:
                        on_section(line["section"])
                elif "doing" in line:
                    shown.close()
                    shown.enter_context(watcher.doing(f"measuring {line['doing']} ..."))
        self.complete = True

    def record(self) -> dict[str, Any]:
        """All of it as plain data, as `pkd bench --json` prints it."""
        return {"wishes": self.settings, "machine": self.machine, "sections": self.sections, "complete": self.complete}

    def frame(self) -> pd.DataFrame:
        """A row for each timing (seconds, from its least to its greatest), ratio (with its quartiles) and number."""
        import pandas as pd

        return pd.DataFrame([row for section in self.sections for row in _rows(section)], columns=list(COLUMNS))

    def _repr_html_(self) -> str:
        """The rows as a table, for notebooks."""
        return self.frame().to_html(index=False, na_rep="", float_format="{:.4g}".format)


def _rows(section: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in section["timings"]:
        low, high = min(one["seconds"]), max(one["seconds"])
        row = {"kind": "timing", "name": one["name"], "value": one["median"], "low": low, "high": high, "unit": "s"}
        yield {"section": section["name"], **row}
    for kind in ("ratio", "number"):
        for one in section[f"{kind}s"]:
            yield {"section": section["name"], "kind": kind, **{key: one[key] for key in COLUMNS[2:] if key in one}}


def benchmark(
    options: BenchmarkOptions | None = None,
    *,
    on_section: Callable[[dict[str, Any]], None] | None = None,
    watcher: Watcher | None = None,
    **keywords: Any,
) -> Benchmark:
    """Measure losses, steps, shared teachers, evaluation, loading and start-up on this machine.

    Args:
        options: What to measure; or give its fields as keywords.
        on_section: Called with each section when it has been measured.
        watcher: Told of what is being done.
        **keywords: The fields of `BenchmarkOptions`.

    Raises:
        PkdError: A wrong word, or what the process that measures says went wrong.
    """
    watcher = watcher or Watcher()
    found = planned(options_of(BenchmarkOptions, options, keywords), watcher)
    found.measure(on_section, watcher)
    return found


def planned(options: BenchmarkOptions, watcher: Watcher) -> Benchmark:
    """What would be measured; nothing has been yet.

    Args:
        options: What to measure.
        watcher: Told of data that is drawn or checked, which whole trainings alone need.

    Raises:
        PkdError: A wrong word.
    """
    only = options.only or (() if options.suggest else DEFAULT)
    only = (*only, *(("suggest",) if options.suggest and "suggest" not in only else ()))
    settings = {**vars(options), "image": size(options.image), "only": only}
    del settings["suggest"]
    for name in only:
        if name not in SECTIONS:
            raise unknown("section (--only)", name, SECTIONS)
    if options.clock == "cpu":
        if options.threads not in (None, 1):
            message = "--clock cpu: the processor time of several threads is no time that passes."
            raise PkdError(message, "Add --threads 1.")
        settings["threads"] = 1
    recipe = _recipe(options, only, watcher)
    return Benchmark(settings, _request(settings, recipe))


def size(text: str | None, label: str = "--image") -> tuple[int, int] | None:
    """(height, width) in pixels from `256x320`.

    Args:
        text: As it was typed; None where it was not.
        label: The option, for messages.

    Raises:
        PkdError: It is written otherwise, or too small or large.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    sides = tuple(int(side) for side in found.groups()) if found else ()
    if not sides or min(sides) < SMALLEST or max(sides) > LARGEST:
        message = f"{label}: {text!r} is no size of {SMALLEST} to {LARGEST} pixels a side."
        raise PkdError(message, f"Example: {label} 256x320")
    return sides


def _recipe(options: BenchmarkOptions, only: tuple[str, ...], watcher: Watcher) -> Recipe:
    """The distilled run that is measured; real data for whole trainings alone."""
    from pkdcli.experiment.data import with_data
    from pkdcli.experiment.plan import with_weights_hash

    if options.loss == "none":
        raise PkdError("--loss: the baseline distils nothing.", "Name a loss, such as pkd.")
    request = Request(
        pair=options.pair, scale=options.scale, loss=options.loss, batch_size=options.batch, sets=options.sets
    )
    recipe = with_weights_hash(resolve(request))
    return with_data([recipe], cache_root(), None, watcher, dry_run=not {"experiment", "predictions"} & set(only))[0]


def _request(settings: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """What the process that measures is asked for."""
    from pkdcli.config.teacher import teacher_recipe
    from pkdcli.recipe.identity import run_id

    teacher = None
    if {"experiment", "predictions", "suggest"} & set(settings["only"]):
        paths = RunPaths(teachers_root(cache_root()) / run_id(teacher_recipe(recipe)))
        teacher = str(paths.root) if finished(paths) else None
    return {
        "recipe": recipe.model_dump(mode="json"),
        "teacher": teacher,
        "runs": settings["report_runs"],
        **{key: value for key, value in settings.items() if key not in ("pair", "scale", "loss", "sets")},
    }


def _lines(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the process that measures has to say, a line each.

    Raises:
        PkdError: What it says went wrong.
    """
    # PyTorch chooses the threads of a step where nobody else does.
    threads = {"OMP_NUM_THREADS": str(request["threads"])} if request["threads"] else {}
    return ask_lines("pkdcli.engine.bench.worker", request, "the measurement", threads)
