"""The recipe of a finished run -> one that builds its detector alone, as the run built it, to load weights into."""

from __future__ import annotations

from typing import Any

from pkdcli.recipe.schema import Recipe

# Sections of the config that make a detector and measure it; the others make it learn.
_MEASURED = ("model", "val_dataloader", "val_evaluator", "val_cfg", "env_cfg", "channels_last", "custom_imports")

# Where a distilled run's config has what is the student's own.
_STUDENT = {"model.architecture": "model", "model.data_preprocessor.student": "model.data_preprocessor"}

# Parts of paths that name a data set's files, or which of its images.
_FILES = {"ann_file", "data_prefix", "data_root", "images", "indices", "metainfo"}


def alone(recipe: Recipe) -> Recipe:
    """A recipe that builds just the detector, without pretrained weights, to load some into."""
    update = {
        "role": "baseline",
        "pretrained": False,
        "weights": None,
        "pair": None,
        "teacher": None,
        "init": "scratch",
    }
    none = {"name": "none", "type": "none"}
    content = {**recipe.model_dump(), **update, "loss": none, "teacher_checkpoint": None, "config": _sets(recipe)}
    return Recipe.model_validate(content)


def on_other_data(recipe: Recipe) -> Recipe:
    """The same without what the user has set of the run's own data set."""
    whole = ("val_dataloader", "val_dataloader.dataset", "val_evaluator")
    kept = {
        path: value
        for path, value in recipe.config.items()
        if path not in whole and not (path.startswith("val_") and _FILES & set(path.split(".")))
    }
    return recipe.model_copy(update={"config": kept})


def _sets(recipe: Recipe) -> dict[str, Any]:
    """The keys of the config that the user has set and that are of the detector and its evaluation."""
    found: dict[str, Any] = {}
    for path, value in recipe.config.items():
        if recipe.role == "distill" and path.partition(".")[0] == "model":
            inside = next((one for one in _STUDENT if f"{path}.".startswith(f"{one}.")), None)
            if inside is None:
                continue
            path = _STUDENT[inside] + path[len(inside) :]
        if path.partition(".")[0] in _MEASURED:
            found[path] = value
    return found
