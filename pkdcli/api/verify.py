"""The paper's appendix A.3 on the features of a pair: `pkdcli.verify()` and `pkd verify`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.options import VerifyOptions
from pkdcli.api.options.keywords import options_of
from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.images.file_names import path_of
from pkdcli.data.images.given import given_images
from pkdcli.destinations import check_destination
from pkdcli.experiment.data import with_data
from pkdcli.experiment.plan import with_weights_hash
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.outcome import Watcher
from pkdcli.launch.request import ask
from pkdcli.recipe import library
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Data, Recipe
from pkdcli.recipe.sweep import baseline_of
from pkdcli.reporting import formats
from pkdcli.reporting.plots.verify import plot
from pkdcli.reporting.tables.verified import LIMIT_COLUMNS, rows_of
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import named_by, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

IMAGES = 2  # the paper's statistics were over the 2 images of one device


@dataclass(frozen=True)
class Verification:
    """What was found, and where it was written.

    Attributes:
        found: As the JSON file holds it: `limit`, `ratio`, `invariance`, `checks`, whose weights and which images.
        files: The plot, the CSV and the JSON file.
    """

    found: dict[str, Any]
    files: tuple[Path, ...]

    @property
    def passed(self) -> bool:
        """Whether every claim holds."""
        return all(check["ok"] for check in self.found["checks"])

    @property
    def notes(self) -> list[str]:
        """Whose weights were taken."""
        return self.found["notes"]

    def frame(self) -> pd.DataFrame:
        """Norm+KL against PKD: the rows of the CSV, a level and a temperature each; gaps are shares of pkd's."""
        import pandas as pd

        return pd.DataFrame(rows_of(self.found), columns=list(LIMIT_COLUMNS))

    def checks(self) -> pd.DataFrame:
        """The verdicts: a claim each, with what was measured, its bound, and whether it holds (`ok`)."""
        import pandas as pd

        return pd.DataFrame(self.found["checks"])

    def _repr_html_(self) -> str:
        """The verdicts as a table, for notebooks."""
        from html import escape

        return self.checks().to_html(index=False) + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


def verify(
    options: VerifyOptions | None = None,
    *,
    watcher: Watcher | None = None,
    **keywords: Any,
) -> Verification:
    """Check the mathematics on a pair's features, and write plot, CSV and JSON.

    Args:
        options: On whose features; or give its fields as keywords.
        watcher: Told of what is being done.
        **keywords: The fields of `VerifyOptions`.

    Raises:
        PkdError: A wrong word, data or images that are not there, weights that don't fit.
    """
    from pkdcli.data.prepare import facts

    options, watcher = options_of(VerifyOptions, options, keywords), watcher or Watcher()
    root, cache = runs_root(options.runs), cache_root()
    folder = (options.output or root / "verify").expanduser().absolute()
    check_destination(folder, "--output", folder=True)
    request = Request(pair=options.pair, scale=options.scale, data=options.data, loss="pkd", init="scratch")
    recipe = with_weights_hash(resolve(request))
    if options.images:
        recipe = recipe.model_copy(update={"data": facts(recipe.data, cache, watcher.on_warning)})
        files = given_images(options.images)
    else:
        (recipe,) = with_data([recipe], cache, None, watcher)
        files = _first_images(recipe.data)
    teacher, student, notes = _weights(request, recipe, root, cache)
    with watcher.doing(f"measuring {recipe.pair} on {len(files)} images ..."):
        # Whatever weights there are come from the runs: nothing is downloaded for this.
        found = _measure(recipe.model_copy(update={"pretrained": False}), teacher, student, files)
    found = {
        **{"schema": 1, "pair": recipe.pair, "data": recipe.data.name, "scale": recipe.scale.name},
        **{"teacher_weights": str(teacher) if teacher else None, "student_weights": str(student) if student else None},
        **{"images": [str(file) for file in files], "notes": notes, **found},
    }
    return Verification(found, _write(found, folder / f"{recipe.pair}__{recipe.data.name}-{recipe.scale.name}"))


def _write(found: dict[str, Any], stem: Path) -> tuple[Path, ...]:
    """Write the plot, the CSV and the JSON; returns the files."""
    kept = tuple(stem.with_name(f"{stem.name}.{end}") for end in ("png", "csv", "json"))
    with named_by("--output DIR"):
        plot(found, kept[0])
        write_text(kept[1], formats.to_csv(rows_of(found), LIMIT_COLUMNS))
        write_json(kept[2], found)
    return kept


def _first_images(data: Data) -> list[Path]:
    """The first images of the data set's val split, in the order of its annotation file."""
    content = json.loads(Path(data.val.annotations).read_text(encoding="utf-8"))
    return [path_of(data.val.images, image["file_name"]) for image in content["images"][:IMAGES]]


def _weights(request: Request, recipe: Recipe, root: Path, cache: Path) -> tuple[Path | None, Path | None, list[str]]:
    """The checkpoints of teacher and baseline, where those have been trained, and notes on where they come from."""
    teacher = RunPaths(teachers_root(cache) / run_id(teacher_recipe(recipe)))
    schedules = [None, *(name for name in library.names("schedules") if name != recipe.schedule.name)]
    alone = [baseline_of(replace(request, schedule=name)) for name in schedules]
    names = [run_id(one.model_copy(update={"data": recipe.data})) for one in alone]
    baseline = next((paths for paths in map(RunPaths, (root / name for name in names)) if finished(paths)), None)
    notes = []
    if finished(teacher):
        notes.append(f"teacher: {teacher.run}.")
    elif recipe.teacher_checkpoint is not None:
        notes.append(f"teacher: {recipe.teacher_checkpoint}.")
    else:
        notes.append(
            f"teacher: random weights, since {recipe.teacher.title} is not trained at this scale and data."
        )
    if baseline:
        notes.append(f"student: {baseline.run}.")
    else:
        notes.append(f"student: random weights, since there is no finished baseline of {recipe.student.title} here.")
    weights = teacher.teacher if finished(teacher) else None
    if weights is None and recipe.teacher_checkpoint is not None:
        weights = Path(recipe.teacher_checkpoint)
    return weights, baseline.student if baseline else None, notes


def _measure(recipe: Recipe, teacher: Path | None, student: Path | None, images: Sequence[Path]) -> dict[str, Any]:
    """Have a process measure, so that torch stays behind a process boundary; returns what it wrote.

    Raises:
        PkdError: What the process says went wrong.
    """
    request = {
        "recipe": recipe.model_dump(mode="json"),
        "teacher": str(teacher) if teacher else None,
        "student": str(student) if student else None,
        "images": [str(image) for image in images],
    }
    return ask("pkdcli.engine.analysis.verify", request, "the measurement")
