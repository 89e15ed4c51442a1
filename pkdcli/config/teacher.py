"""The recipe of a pair's teacher: trained here, taken from the zoo, or given by the user."""

from __future__ import annotations

from typing import Any

from pkdcli.config import zoo
from pkdcli.config.data.pipelines import evaluation_size
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.detectors.training import own_by_default, own_rate, own_schedule
from pkdcli.recipe.schema import LossUse, Recipe, Schedule, TeacherSpeed


def teacher_recipe(recipe: Recipe) -> Recipe:
    """The recipe of the run that provides the teacher of a distilled run.

    Its weights come from the file the user gave; at scale `paper` on COCO from the zoo; otherwise it is trained
    with its own mmdet config's optimizer and schedule, as long as the scale says.

    Raises:
        PkdError: Not a distilled run, or the zoo has no weights for the teacher's config.
    """
    if recipe.teacher is None:
        raise PkdError(f"a {recipe.role} has no teacher.")
    from_zoo = zoo_weights(recipe) if recipe.teacher_checkpoint is None else None
    config = config_of(recipe.teacher)
    own = own_by_default(config, teacher=True)
    given = recipe.teacher_checkpoint or from_zoo
    rate = own_rate(config, recipe.scale, recipe.teacher.config) if own and not given else recipe.teacher.lr
    content: dict[str, Any] = {
        **recipe.model_dump(),
        "role": "teacher",
        "teacher": None,
        "student": {**recipe.teacher.model_dump(), "lr": rate, "tap": None},
        "loss": LossUse(name="none", type="none").model_dump(),
        "schedule": (own_schedule(config, recipe.scale) if own else steps_schedule(recipe)).model_dump(),
        "training": "own" if own else "paper",
        "distill_until": None,
        "keep_predictions": True,
        "init": "scratch",
        # What the user asks of the student is not asked of the teacher: one teacher serves every student, on any number
        # of processes, which share its batch.
        "batch": recipe.scale.teacher.batch or recipe.scale.batch,
        "accumulate": 1,
        "amp": False,
        "seed": recipe.teacher_seed,
        "config": {},
        "teacher_checkpoint": None,
        "teacher_speed": TeacherSpeed().model_dump(),
        "weights": given,
        "weights_sha256": recipe.weights_sha256,
    }
    if recipe.teacher_checkpoint and recipe.training == "own" and not own:
        # The student's config says how large images are, and these are what the teacher is shown.
        content["scale"] = recipe.scale.model_copy(update={"image": evaluation_size(recipe)}).model_dump()
    if content["weights"]:
        # It is only evaluated: nothing that concerns training makes it another teacher.
        content |= {"batch": 1, "seed": 0, "max_iters": None, "pretrained": False, "deterministic": False}
    return Recipe.model_validate(content)


def zoo_weights(recipe: Recipe) -> str | None:
    """The address of the teacher's trained weights, where the zoo's are the right ones."""
    if recipe.teacher is None or recipe.data.name != "coco" or recipe.scale.rules or not recipe.pretrained:
        return None  # as `Recipe.trains_teacher` has it
    weights = zoo.entry(recipe.teacher.config).weights
    if weights is None:
        raise PkdError(
            f"detector {recipe.teacher.name}: mmdet's metafile names no weights for {recipe.teacher.config}.",
            "Give the teacher's weights with --teacher-checkpoint FILE.",
        )
    return weights


def steps_schedule(recipe: Recipe) -> Schedule:
    """The schedule of a teacher whose mmdet config has steps, at the recipe's scale."""
    config = config_of(recipe.teacher)
    whole = config["train_cfg"]["max_epochs"]
    steps = next((s for s in config["param_scheduler"] if s["type"] == "MultiStepLR"), {"milestones": [], "gamma": 0.1})
    warmup = next((s["end"] for s in config["param_scheduler"] if not s.get("by_epoch", True)), 500)
    given = recipe.scale.teacher.epochs
    if isinstance(given, dict):
        given = given.get(config["model"]["backbone"]["type"])
    epochs = given or max(1, round(whole * recipe.scale.epoch_factor))
    milestones = [round(milestone * epochs / whole, 4) for milestone in steps["milestones"]]
    return Schedule(name="own", epochs=epochs, milestones=milestones, gamma=steps.get("gamma", 0.1), warmup=warmup)
