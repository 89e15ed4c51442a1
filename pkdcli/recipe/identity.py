"""A run's name: readable, and the same for the same recipe."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pkdcli.recipe.configs import identity_of
from pkdcli.recipe.schema import OwnTraining, Recipe, TeacherSpeed

# What does not change the result: where files lie, how often one looks, texts for people, what follows from the rest.
_NOT_IDENTITY = {"pair", "val_interval", "workers", "checkpoint_minutes", "checkpoint_iters", "adapters", "trackers",
                 "keep_predictions"}
_TEXTS = {"title", "notes", "summary", "get"}


def content(recipe: Recipe) -> dict[str, Any]:
    """What the identity of a run is made of: everything that changes its result, and no path."""
    whole = {key: value for key, value in recipe.model_dump().items() if key not in _NOT_IDENTITY}
    data = whole["data"]
    whole["data"] = {key: data[key] for key in ("name", "generator", "classes", "image", "fingerprint")}
    if data["background"]:  # the default leaves the names of earlier runs as they are
        whole["data"]["background"] = True
    if data["map"]:
        whole["data"]["map"] = data["map"]
    # How images are read, where it is not as usual.
    whole["data"] |= {key: data[key] for key in ("exif", "pixel_range") if data[key] not in (None, "shown")}
    if recipe.student.mask or (recipe.teacher is not None and recipe.teacher.mask):
        whole["data"]["masks"] = data["masks"]  # without them, a Mask R-CNN loses its mask head
    for part in ("teacher", "student", "schedule", "scale"):
        if whole[part] is not None:
            whole[part] = {key: value for key, value in whole[part].items() if key not in _TEXTS}
    for key in ("val_interval", "workers", "batch", "batch_per_process", "data", "lr", "families"):
        del whole["scale"][key]
    # What came later than the first runs stands only where it is used.
    if recipe.training == "paper":
        del whole["training"]
    if recipe.distill_until is None:
        del whole["distill_until"]
    if not recipe.trains_teacher or recipe.scale.own == OwnTraining():
        del whole["scale"]["own"]  # what a training of its own took from it stands in its schedule and learning rate
    for part in ("teacher", "student"):
        if whole[part] is not None:
            _own_config(whole[part], by_its_own=part == "student" and recipe.training == "own")
            for key in ("tap", "rules"):
                if not whole[part][key]:
                    del whole[part][key]
    for part in (whole, whole["loss"], whole["teacher"], whole["student"]):
        if part is not None:
            _own_imports(part)
    # A teacher's own batch is its `batch`; for who learns from a teacher that is not trained here there is none.
    whole["scale"]["teacher"] = dict(whole["scale"]["teacher"])
    if not recipe.trains_teacher or whole["scale"]["teacher"]["batch"] is None:
        del whole["scale"]["teacher"]["batch"]
    if not recipe.deterministic:
        del whole["deterministic"]
    if recipe.role != "distill":
        del whole["teacher_seed"]
    if recipe.role != "distill" or recipe.teacher_speed == TeacherSpeed():
        del whole["teacher_speed"]
    # A file is known by its content, wherever it lies.
    whole["teacher_checkpoint"] = None if recipe.weights_sha256 else whole["teacher_checkpoint"]
    whole["weights"] = None if recipe.weights_sha256 else whole["weights"]
    return whole


def _own_config(part: dict[str, Any], *, by_its_own: bool) -> None:
    """A config of one's own is known by what it says, wherever it lies; one of mmdet's by its name.

    Of one that is trained by its own settings more of it counts: its pipeline, hooks and tests.
    """
    text = part.pop("config_content")
    if text is not None:
        part["config"] = identity_of(text, own=by_its_own)


def _own_imports(part: dict[str, Any]) -> None:
    """Modules are known by their names and, where they lie beside a recipe, by their content."""
    imports = part.pop("imports")
    if imports:
        part["imports"] = [[one["module"], one["sha256"]] for one in imports]


def digest(recipe: Recipe) -> str:
    """Eight hex digits over everything that changes the result."""
    return _hash(content(recipe))


def experiment(recipe: Recipe) -> str:
    """Eight hex digits over everything that changes the result but the seed: the same for all runs of an experiment."""
    return digest(recipe.model_copy(update={"seed": 0}))


def comparable(recipe: Recipe) -> str:
    """Eight hex digits over what a run must share with its baseline for a gain to mean anything."""
    return _hash(shared_with_baseline(recipe))


def shared_with_baseline(recipe: Recipe) -> dict[str, Any]:
    """What a run must share with its baseline for a gain to mean anything, as plain data."""
    whole = content(recipe)
    given = ("teacher_checkpoint", "weights_sha256", "weights")
    # The same but for the last digits.
    for key in ("deterministic", "role", "teacher", "loss", "init", "teacher_seed", "teacher_speed",
                "distill_until", *given):
        whole.pop(key, None)
    del whole["scale"]["teacher"], whole["scale"]["stat_chunk"]
    whole["scale"].pop("own", None)
    whole["student"].pop("tap", None)  # which of its modules is compared; alone nothing is
    whole["data"].pop("masks", None)
    return whole


def _hash(whole: dict[str, Any]) -> str:
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_id(recipe: Recipe) -> str:
    """The name of a run's folder: `gfl101-fcos50__mse-w50__2x__shapes-tiny__s0-1a2b3c4d`."""
    where = f"{recipe.data.name}-{recipe.scale.name}"
    seed = f"s{recipe.seed}-{digest(recipe)}"
    if recipe.role == "distill":
        loss = f"{recipe.loss.name}-w{recipe.loss.weight:g}"
        if recipe.loss.temperature is not None:
            loss += f"-t{recipe.loss.temperature:g}"
        who = recipe.pair or f"{recipe.teacher.name}-{recipe.student.name}"
        return f"{who}__{loss}__{recipe.schedule.name}__{where}__{seed}"
    # A baseline depends on no teacher, so every pair with this student shares it.
    return f"{recipe.student.name}__{recipe.role}__{recipe.schedule.name}__{where}__{seed}"
