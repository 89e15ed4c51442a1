"""The six COCO metrics of a run or a file of weights on a data set: `pkdcli.evaluate()` and `pkd eval`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.options import EvalOptions
from pkdcli.api.options.keywords import options_of
from pkdcli.config.data import check_sides, evaluation_size, own_test_size, sides
from pkdcli.data.prepare import absent, prepare, thinnest
from pkdcli.errors import PkdError, unknown
from pkdcli.experiment.data import elsewhere
from pkdcli.experiment.derived_recipes import of_checkpoint, of_run, recipe_of
from pkdcli.folders import cache_root, can_be_written, runs_root
from pkdcli.launch.outcome import Watcher, unheard
from pkdcli.launch.request import ask
from pkdcli.recipe.alone import on_other_data
from pkdcli.recipe.resolve import load_data
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.find import find_run
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.plugins import changed_plugins
from pkdcli.runs.record import METRICS
from pkdcli.runs.run import html_table
from pkdcli.runs.store import write_json

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("val", "test", "train")
MODELS = ("student", "teacher")


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        title: The detector's name in tables.
        record: As it was written: `run`, `model`, `student`, `data`, `split`, `scale`, `weights`, `metrics`, `seconds`.
        path: The file in the run's folder; None for a bare file of weights.
    """

    title: str
    record: dict[str, Any]
    path: Path | None = None

    @property
    def metrics(self) -> dict[str, float | None]:
        """The six COCO metrics in AP points (0 to 100); NaN where the data has no object of that size."""
        return self.record["metrics"]

    @property
    def split(self) -> str:
        """The split that was evaluated."""
        return self.record["split"]

    @property
    def data(self) -> str:
        """The name of the data set."""
        return self.record["data"]

    @property
    def notes(self) -> list[str]:
        """What is to be said of the numbers, such as labels that stand in another order."""
        return self.record["notes"]

    def frame(self) -> pd.DataFrame:
        """The six metrics as a frame of one row, whose index is detector, data set and split."""
        import pandas as pd

        index = pd.MultiIndex.from_tuples([(self.title, self.data, self.split)], names=["detector", "data", "split"])
        return pd.DataFrame([self.metrics], index=index, columns=list(METRICS), dtype=float)

    def _repr_html_(self) -> str:
        """The metrics as a small table, for notebooks."""
        cells = ["" if value is None or math.isnan(value) else f"{value:.1f}" for value in self.metrics.values()]
        columns = ("detector", "data", "split", *self.metrics)
        return html_table(columns, [[self.title, self.data, self.split, *cells]], "; ".join(self.notes) or None)


def evaluate(
    options: EvalOptions | None = None,
    *,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
    **keywords: Any,
) -> Evaluation:
    """Evaluate a run's student or teacher, or a bare file of weights.

    Args:
        options: What to evaluate; or give its fields as keywords.
        say: Called with each line that a user should read: notes, files that are written besides.
        watcher: Told of what is being done.
        **keywords: The fields of `EvalOptions`; `target` may be a `Run`.

    Raises:
        PkdError: Nothing of that name, no such split, weights that don't fit, or the evaluation failed.
    """
    options = options_of(EvalOptions, options, keywords)
    tell = say or unheard
    split, model = options.split, options.model
    for kind, word, allowed in (("split", split, SPLITS), ("model", model, MODELS)):
        if word not in allowed:
            raise unknown(kind, word, allowed)
    paths = find_run(options.target, runs_root(options.runs))
    recipe, weights = _wanted(options, paths)
    if paths is None:
        for text in said_of_size(recipe, options.scale):
            tell(f"note: {text}")
    for text in changed_plugins([paths] if paths is not None else []):
        tell(f"note: {text}.")
    recipe = _on_data(recipe, options, paths, tell)
    name = f"{'teacher-' if model == 'teacher' else ''}{recipe.data.name}"
    keeps = paths is not None and can_be_written(paths.evaluation(name, split).parent)
    if paths is not None and not keeps:
        tell(f"note: {paths.root} can't be written to: this evaluation is kept nowhere, and pkd compare won't have it.")
    output = paths.evaluation(name, split) if keeps else None
    columns = {"schema": 1, "run": paths.run if paths else None, "model": model, "student": recipe.student.name}
    samples = paths.evaluation_samples(name, split) if keeps else None
    content = {
        "recipe": recipe.model_dump(mode="json"),
        "weights": str(weights),
        "split": split,
        "columns": {**columns, "data": recipe.data.name, "scale": recipe.scale.name},
        "own_pipeline": paths is None and options.scale is None,
        "samples": str(samples) if samples is not None else None,
        "predictions": str(paths.evaluation_predictions(name, split)) if keeps else None,
    }
    with (watcher or Watcher()).doing(f"evaluating {recipe.student.title} on {recipe.data.name}, {split} ..."):
        record = ask("pkdcli.engine.worker", content, "the evaluation", (".", "--eval"))
    found = Evaluation(recipe.student.title, record, output)
    if output is not None:
        write_json(output, found.record)
    for text in found.notes:
        tell(f"note: {text}")
    if keeps and (written := _for_stock_mmdet(paths)):
        tell(f"wrote {written}")
    return found


def _wanted(options: EvalOptions, paths: RunPaths | None) -> tuple[Recipe, Path]:
    """The recipe of the detector alone, and the file of its weights."""
    if paths is None:
        return of_checkpoint(Path(options.target).expanduser(), options.detector, options.scale, options.data)
    if options.detector is not None or options.scale is not None:
        raise PkdError("--detector and --scale are for bare checkpoints.", "A run knows its own.")
    return of_run(paths, options.model)


def _on_data(
    recipe: Recipe, options: EvalOptions, paths: RunPaths | None, tell: Callable[[str], None]
) -> Recipe:
    """The recipe with the data that is evaluated on, which is there and fits.

    Raises:
        PkdError: Data that is not there, is wrong or is of other classes than the run's.
    """
    if options.data is not None:
        recipe = recipe.model_copy(update={"data": load_data(options.data)})
    if options.data is not None or options.split != "val":
        recipe = on_other_data(recipe)
    try:
        data = prepare(recipe.data, cache_root(), warn=lambda text: tell(f"warning: {text}"))
    except PkdError as error:
        if paths is not None and options.data is None and absent(recipe.data):
            error.hint = f"{elsewhere(paths)}\nOr only this once: pkd eval {paths.run} --data FILE.yaml"
        raise
    recipe = recipe.model_copy(update={"data": data})
    thin = {name: image for name, image in thinnest(recipe.data, cache_root()).items() if name == options.split}
    check_sides(recipe, thin)
    if paths is not None and options.data is not None:
        _same_classes(recipe_of(paths).data.classes, recipe)
    return recipe


def _same_classes(classes: list[str] | None, recipe: Recipe) -> None:
    """Refuse data of other classes before anything is loaded; their order does not matter."""
    if classes and sorted(recipe.data.classes or []) != sorted(classes):
        raise PkdError(
            f"data set {recipe.data.name} has other classes than the detector was trained for: "
            f"{', '.join(recipe.data.classes or [])} instead of {', '.join(classes)}.",
            "Evaluate on data with the same classes, in whatever order.",
        )


def said_of_size(recipe: Recipe, scale: str | None) -> list[str]:
    """What is to be said of the size of images that a bare checkpoint is evaluated on.

    A detector is evaluated as its own config tests it, unless the user names a scale.

    Args:
        recipe: Names the detector as its student, and the scale.
        scale: What the user named.
    """
    own, named = own_test_size(recipe.student), evaluation_size(recipe)
    if own is None or own == named or (scale is not None and recipe.scale.rules):
        return []
    if scale is None:
        return [f"images are {sides(own)}, as {recipe.student.name}'s own config tests; --scale names another size."]
    return [
        f"images are {sides(named)} (scale {recipe.scale.name}), where {recipe.student.name}'s own config tests at "
        f"{sides(own)}: without --scale it is evaluated so."
    ]


def _for_stock_mmdet(paths: RunPaths) -> Path | None:
    """Write the config of a run's detector alone where a release that wrote none has made the run; returns the file."""
    recipe = recipe_of(paths)
    given = recipe.weights is not None  # its checkpoint alone knows its labels
    if not given and not paths.stock_config(recipe.role).exists() and Path(recipe.data.val.annotations).is_file():
        from pkdcli.config import stock

        return stock.write(recipe, paths, recipe.data.classes or [])
    return None
