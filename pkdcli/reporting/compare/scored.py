"""A run's kept detections, held against the annotations again."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pkdcli.data.scoring import predictions
from pkdcli.data.scoring.ground_truth import GroundTruth, load_annotations
from pkdcli.data.scoring.matches import matched
from pkdcli.data.scoring.metrics import ap_by_class, evaluated, metrics_of, rows_of_kept
from pkdcli.data.scoring.predictions import Detections
from pkdcli.data.scoring.weighted import Weighted
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_object

if TYPE_CHECKING:
    import hotcoco

    from pkdcli.data.images.reading import Reading
    from pkdcli.recipe.schema import Data, Recipe

POINTS = 100.0
"""AP points of one: hotcoco's metrics are shares."""


@dataclass(frozen=True, eq=False)  # two are the same only if they are one: arrays have no truth value
class Scored:
    """One run, evaluated anew from what it has kept.

    Attributes:
        run: Its id.
        recipe: Its resolved recipe.
        split: The split that was evaluated.
        truth: The annotations.
        found: Its detections.
        pictures: The folder of the images; None where that is not known.
        reading: How they are read.
        target: What `pkd eval` is given to evaluate it again; None for its id.
        root: Its folder; None where that is not known.
    """

    run: str
    recipe: Recipe
    split: str
    truth: GroundTruth
    found: Detections
    pictures: Path | None = None
    reading: Reading | None = None
    target: str | None = None
    root: Path | None = None

    @cached_property
    def evaluation(self) -> hotcoco.COCOeval:
        """Matched and accumulated, over the images that it was evaluated on."""
        return evaluated(self.truth, self._rows, self.truth.class_numbers(self.found.classes), self._images)

    @cached_property
    def _rows(self) -> np.ndarray:
        return rows_of_kept(self.found, self.truth, self.target or self.run)

    @property
    def _images(self) -> list[int]:
        return [self.truth.image_number(image) for image in self.found.images.tolist()]

    @cached_property
    def weighted(self) -> Weighted:
        """The same metrics for any weights of the images, in ascending order of their ids."""
        return Weighted(matched(self.truth, self._rows, self.truth.class_numbers(self.found.classes), self._images))

    def check(self) -> None:
        """Make sure that the detections are of images and classes that the annotations have.

        Raises:
            PkdError: They are not, with the run's name.
        """
        try:
            self.truth.class_numbers(self.found.classes)
            _ = self._rows
        except PkdError as error:
            raise PkdError(f"{self.run}: {error.message}", error.hint, error.code) from error

    @property
    def metrics(self) -> dict[str, float]:
        """The six metrics in AP points, as result.json has them."""
        return metrics_of(self.evaluation)

    @property
    def by_class(self) -> dict[str, float]:
        """AP points by the name of the class, in the order of the annotation file; NaN without objects."""
        return dict(zip(self.classes, ap_by_class(self.evaluation), strict=True))

    @property
    def classes(self) -> list[str]:
        """The names of the classes that were evaluated, in the order of the annotation file's ids."""
        numbers = sorted(self.truth.class_numbers(self.found.classes))
        return [self.truth.annotations.classes[self.truth.classes[number - 1]] for number in numbers]

    def errors(self) -> dict[str, dict[str, float]]:
        """TIDE's kinds of errors at IoU 0.5 (Bolya et al., ECCV 2020): AP points lost by each, and how many there are.

        Returns:
            `points` by kind (Cls, Loc, Both, Dupe, Bkg, Miss, FP, FN): what AP50 would gain without them; and `counts`.
            Without its misses a run that has found nothing would have no object left to find: Miss and FN are NaN.
            So is all where there is no object.
        """
        points = {kind: POINTS * value for kind, value in self._tide["delta_ap"].items()}
        if math.isnan(self.metrics["AP50"]):
            points = dict.fromkeys(points, math.nan)
        elif self.metrics["AP50"] == 0:
            points |= dict.fromkeys(("Miss", "FN"), math.nan)
        return {"points": points, "counts": dict(self._tide["counts"])}

    @cached_property
    def _tide(self) -> dict[str, Any]:
        return self.evaluation.tide_errors(pos_thr=0.5, bg_thr=0.1)

    def calibration(self, bins: int = 10) -> dict[str, Any]:
        """How far scores are from the share of detections that are right at IoU 0.5: `ece`, `mce`, `bins`.

        Without a detection, or where a detector's scores are not from 0 to 1, nothing is known: NaN, and no bins.

        Args:
            bins: Of the score.
        """
        scores = self.found.scores
        if not len(scores) or scores.min() < 0 or scores.max() > 1:
            return {"ece": math.nan, "mce": math.nan, "bins": []}
        return self.evaluation.calibration(n_bins=bins, iou_threshold=0.5)

    def confusion(self, score: float = 0.3) -> np.ndarray:
        """(K + 1, K + 1): how often objects of one class (rows) were found as another (columns); the last is none.

        Args:
            score: Detections below do not count.
        """
        return self.evaluation.confusion_matrix(iou_thr=0.5, min_score=score)["matrix"].astype(np.int64)

    def by_image(self) -> dict[int, float]:
        """AP at IoU 0.5 of each image by itself, by its id, 0 to 1."""
        summary = self.evaluation.image_diagnostics(iou_thr=0.5)["img_summary"]
        numbers = np.array(sorted(summary), dtype=np.int64)
        ids = self.truth.image_ids(numbers).tolist() if len(numbers) else []
        return {image: float(summary[number]["ap"]) for image, number in zip(ids, numbers.tolist(), strict=True)}


def score(paths: RunPaths, cache: Path, split: str = "val", target: str | None = None) -> Scored:
    """Read what a finished run has kept, and make sure that it fits the data as it is now.

    Args:
        paths: The run.
        cache: The cache folder, where the embedded data and notes on checked files are.
        split: `val`, of its last evaluation, or another that `pkd eval` has evaluated.
        target: What `pkd eval` is given to evaluate it again: its id where None, which means a run among the others.

    Raises:
        PkdError: It has kept nothing, its data is gone, or the annotations are others than it was evaluated with.
    """
    from pkdcli.data.images.reading import Reading
    from pkdcli.recipe.modules.copies import read_recipe

    recipe = read_recipe(paths.recipe)
    target = shlex.quote(target or paths.run)
    if split not in recipe.data.splits:
        raise PkdError(
            f"{paths.run}: its data set {recipe.data.name} has no split {split!r}.",
            f"It has {', '.join(recipe.data.splits)}.",
        )
    kept = _kept(paths, recipe, split, target)
    data = _located(recipe.data.model_dump_json(), cache)
    where = data.splits.get(split)
    if where is None or not Path(where.annotations).is_file():
        raise PkdError(
            f"{paths.run}: its annotations are not there: {where.annotations if where else split}.",
            "Runs are compared against it. Put it back, or say where it lies now, by the data recipe there: pkd train "
            f"--recipe {shlex.quote(str(paths.root))} --data FILE.yaml",
            ExitCode.MISSING,
        )
    found = _fitting(paths, kept, data, target)
    reading = Reading.of(data.exif, data.pixel_range)
    truth, pictures = _truth(where.annotations), Path(where.images)
    scored = Scored(paths.run, recipe, split, truth, found, pictures, reading, target, paths.root)
    scored.check()
    return scored


def _kept(paths: RunPaths, recipe: Recipe, split: str, target: str) -> list[Path]:
    """The files with detections of a split that a run has: those of its end, and those of `pkd eval`."""
    places = [paths.evaluation_predictions(recipe.data.name, split)]
    if split == "val":
        places.insert(0, paths.predictions)
    kept = [path for path in places if path.is_file()]
    if not kept and not read_object(paths.result) and not paths.weights(recipe.role).is_file():
        raise _unfinished(paths, target)
    if not kept:
        more = "" if split == "val" else f" --split {split}"
        raise PkdError(
            f"{paths.run} has kept no detections of its {split} split.",
            f"pkd eval {target}{more} evaluates it and keeps them; every run does so at its end, unless it was "
            "started with --no-keep-predictions or by an older release.",
            ExitCode.MISSING,
        )
    return kept


def _unfinished(paths: RunPaths, target: str) -> PkdError:
    """The error of a run without a result: one that is at work or waits has to be waited for, another resumed."""
    from pkdcli.launch.status import query_all

    (found,) = query_all([paths])
    reason = f": {found.reason.splitlines()[0].rstrip('.')}" if found.reason else ""
    hint = f"pkd resume {target} goes on with it; `pkd status` says how far it is."
    if not found.resumable:
        hint = f"Wait until it is done: `pkd status {target}` says how far it is."
    return PkdError(
        f"{paths.run} is not finished ({found.state}{reason}): a run keeps its detections at its end.",
        hint,
        ExitCode.MISSING,
    )


def _fitting(paths: RunPaths, kept: Sequence[Path], data: Data, target: str) -> Detections:
    """Those of the most images that are whole and of the annotations as they are now: `pkd eval` mends what is not."""
    errors: list[PkdError] = []
    fitting: list[Detections] = []
    for path in kept:
        try:
            found = predictions.read(path)
        except PkdError as error:
            hint = f"pkd eval {target} finds them again, and keeps them."
            errors.append(PkdError(error.message, hint, error.code))
            continue
        if None in (found.fingerprint, data.fingerprint) or found.fingerprint == data.fingerprint:
            fitting.append(found)
            continue
        errors.append(
            PkdError(
                f"{paths.run}: the annotations of data set {data.name} have changed since it was evaluated (their "
                f"fingerprint was {found.fingerprint}, and is {data.fingerprint}).",
                f"pkd eval {target} evaluates it again, on the annotations as they are now.",
            )
        )
    if not fitting:
        raise errors[0]
    return max(fitting, key=lambda one: len(one.images))  # a smoke run's own are of a few, and come first


@lru_cache(maxsize=4)
def _located(data: str, cache: Path) -> Data:
    """Where a data set is now; its annotations are read once for all runs of it."""
    from pkdcli.data.prepare import located
    from pkdcli.recipe.schema import Data

    return located(Data.model_validate_json(data), cache)


@lru_cache(maxsize=4)
def _truth(annotations: str) -> GroundTruth:
    """The annotations of a split, read once for all runs that are compared on it."""
    return load_annotations(annotations)
