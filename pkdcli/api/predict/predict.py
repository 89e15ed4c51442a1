"""Detections of a run's student or teacher in images and videos: `pkdcli.predict()` and `pkd predict`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.options.deploy import PredictOptions
from pkdcli.api.options.keywords import options_of
from pkdcli.api.predict.inputs import inputs
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import cache_root, make_room, runs_root
from pkdcli.launch.outcome import Watcher, unheard
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.find import find_run, run_at
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import named_by, write_json

if TYPE_CHECKING:
    import pandas as pd

MARK = "summary.json"
OnImage = Callable[[int, int | None, str], None]
"""Told of the files that are done, of all of them, and of the last one's name."""


@dataclass(frozen=True)
class Predictions:
    """What was found.

    Attributes:
        folder: Of the files.
        files: The folder of pictures, COCO JSON, CSV, the page.
        images: Images and frames that were looked at.
        counts: By detector, the detections that were written.
        failed: What could not be read, and why.
        seconds: By detector, the median for an image.
        whole: Seconds for an image from the first to the last, with all that is read, drawn and written.
        processor: Seconds of all cores for the same, which other programs on the machine hardly lengthen.
    """

    folder: Path
    files: tuple[Path, ...]
    images: int
    counts: dict[str, int]
    failed: tuple[str, ...]
    seconds: dict[str, float | None]
    whole: float | None
    processor: float | None = None

    @property
    def code(self) -> ExitCode:
        """1 where something could not be read, else 0."""
        return ExitCode.RUN_FAILED if self.failed else ExitCode.OK

    def record(self) -> dict[str, Any]:
        """The same as plain data, as `pkd predict --json` prints it and summary.json keeps it."""
        return {
            "schema": 1,
            "folder": str(self.folder),
            "images": self.images,
            "detections": self.counts,
            "seconds_an_image": self.seconds,
            "seconds_an_image_in_all": self.whole,
            "processor_seconds_an_image_in_all": self.processor,
            "failed": list(self.failed),
            "files": [str(file) for file in self.files],
        }

    def frame(self) -> pd.DataFrame:
        """The detections, one a row: model, image, frame, class, score, x1, y1, x2, y2."""
        import pandas as pd

        return pd.read_csv(self.folder / "predictions.csv", keep_default_na=False, na_values={"frame": [""]})


@dataclass(frozen=True)
class Model:
    """A detector that predicts.

    Attributes:
        name: student or teacher.
        recipe: Of it alone.
        weights: The file.
        own: Its images are prepared as its own config says.
    """

    name: str
    recipe: Recipe
    weights: Path
    own: bool = False


def predict(
    options: PredictOptions | None = None,
    *,
    on_image: OnImage | None = None,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
    **keywords: Any,
) -> Predictions:
    """Look for objects in images and videos: pictures with boxes, COCO JSON, CSV, a page.

    Args:
        options: What to look at; or give its fields as keywords.
        on_image: Called with each image that is done.
        say: Called with what can't be read, as it is met.
        watcher: Told of what is being done.
        **keywords: The fields of `PredictOptions`; `target` may be a `Run`.

    Raises:
        PkdError: Nothing of that name, weights that don't fit, nothing to look at, or a folder that is there already.
            What can't be read among several images is no error: see `Predictions.failed`.
    """
    from pkdcli.api.predict.keep import Keeper
    from pkdcli.data.images.reading import Reading

    options, watcher = options_of(PredictOptions, options, keywords), watcher or Watcher()
    if options.score > 1:
        raise PkdError(f"--score {options.score:g}: scores go from 0 to 1.", "Example: --score 0.3")
    given = inputs(options.inputs)
    models, name = wanted(options)
    data = models[0].recipe.data
    folder = (options.output or runs_root(options.runs) / "predictions" / name).expanduser()
    make_room(folder, options.force)
    _clear(folder)
    keeper = Keeper(
        folder,
        f"{name}: {', '.join(options.inputs[:3])}{' ...' if len(options.inputs) > 3 else ''}",
        given,
        options.score,
        options.pictures,
        options.html,
        Reading.of(data.exif, data.pixel_range),
        partial(_categories, models[0].recipe),
    )
    request = {
        "models": [
            {"name": one.name, "recipe": one.recipe.model_dump(mode="json"), "weights": str(one.weights),
             "own_pipeline": one.own} for one in models
        ],
        "items": [{"path": str(one.path), "video": one.video} for one in given],
        "batch": options.batch,
        "device": options.device,
        "lowest": keeper.lowest,
    }  # fmt: skip
    failed: list[str] = []
    with named_by("-o DIR", folder):
        taken = _collect(request, keeper, failed, on_image, say or unheard, watcher)
    whole, processor = (round(one / keeper.images, 6) if keeper.images else None for one in taken)
    seconds = keeper.median_seconds()
    found = Predictions(
        folder, tuple(keeper.files()), keeper.images, keeper.counts, tuple(failed), seconds, whole, processor
    )
    with named_by("-o DIR"):
        write_json(folder / MARK, found.record())
    return found


def _collect(
    request: dict[str, Any],
    keeper: Any,
    failed: list[str],
    on_image: OnImage | None,
    say: Callable[[str], None],
    watcher: Watcher,
) -> tuple[float, float]:
    """Have a process predict, and keep what it answers; seconds by the wall's clock and of the processor.

    Whatever stops it, what was kept by then is whole.
    """
    from pkdcli.launch.request import ask_lines

    lines = ask_lines("pkdcli.engine.predict.detect", request, "the prediction")
    with watcher.doing("loading the detector ..."):
        head = next(lines)
    keeper.begin(head["classes"])
    begin, total, processor = time.perf_counter(), len(keeper.given), -time.process_time()
    try:
        for line in lines:
            if "processor" in line:
                processor += line["processor"]
                continue
            one = keeper.given[line["place"]]
            if "why" in line:
                failed.append(line["why"].removesuffix("."))
                say(failed[-1])
            else:
                keeper.add(line)
            if on_image:
                on_image(line["place"] + 1, total, one.name)
    finally:
        lines.close()
        keeper.close()
    return time.perf_counter() - begin, processor + time.process_time()


def wanted(options: Any) -> tuple[list[Model], str]:
    """The detectors that are asked for, and the name of the run or file that they are of.

    Args:
        options: With `target`, `model`, `detector`, `scale`, `data` and `runs`.

    Raises:
        PkdError: Nothing of that name, or a bare file of weights of which nobody says what it is.
    """
    from pkdcli.experiment.derived_recipes import of_checkpoint, of_run

    paths = _run_of(options.target, runs_root(options.runs))
    if paths is None:
        weights = Path(options.target).expanduser()
        recipe, weights = of_checkpoint(weights, options.detector, options.scale, options.data)
        if options.data is not None:
            from pkdcli.data.prepare import prepare

            recipe = recipe.model_copy(update={"data": prepare(recipe.data, cache_root(), warn=unheard)})
        else:
            recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": None})})
        return [Model("student", recipe, weights, own=options.scale is None)], weights.stem
    if options.detector is not None or options.scale is not None or options.data is not None:
        raise PkdError("--detector, --scale and --data are for bare checkpoints.", "A run knows its own.")
    names = ("student", "teacher") if options.model == "both" else (options.model,)
    return [Model(name, *of_run(paths, name)) for name in names], paths.run


def _run_of(word: str, root: Path) -> RunPaths | None:
    """The run that a word means, or in which the file of weights lies that it names; None for another file."""
    found = find_run(word, root)
    if found is None:
        file = Path(word).expanduser().absolute()
        inside = run_at(file.parent)
        if inside is not None and file in (inside.student, inside.teacher):
            return inside
    return found


def _clear(folder: Path) -> None:
    """Remove what was predicted before, of which nothing shall stand among the new; what is the user's own stays."""
    if (folder / MARK).is_file():
        for name in ("pictures", "page"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for old in folder.glob("predictions*"):
            old.unlink()


def _categories(recipe: Recipe, classes: Sequence[str]) -> list[tuple[int, str]]:
    """COCO's ids of a detector's classes: those of its data's annotation file, or else 1, 2, 3 ..."""
    from pkdcli.data.annotations.coco_file import read_file
    from pkdcli.data.annotations.rows import read_categories
    from pkdcli.data.checks.findings import Findings

    ids: dict[str, int] = {}
    try:
        shape, wrong = Findings(), Findings()
        parts = read_file(Path(recipe.data.val.annotations), ("categories",), None)
        numbers, names, _ = read_categories(parts, shape, wrong)
        if not shape and not wrong:
            ids = dict(zip(names, numbers, strict=True))
    except PkdError:
        pass  # the data need not be here
    if set(classes) <= set(ids):
        return [(ids[name], name) for name in classes]
    return [(number, name) for number, name in enumerate(classes, 1)]
