"""A resolved recipe -> the whole mmengine config. Pure: no data, weights or torch are touched."""

from __future__ import annotations

import difflib
import pprint
from pathlib import Path
from typing import Any

from pkdcli.config import data, schedule, trackers
from pkdcli.config.detector import detector_model
from pkdcli.config.detector import notes as detector_notes
from pkdcli.config.distill import distill_model
from pkdcli.config.keys import set_key
from pkdcli.config.levels import at_other_strides, by_default, far_apart, pairing
from pkdcli.config.levels.look import looker
from pkdcli.config.own import own_hooks, own_notes
from pkdcli.config.zoo import entry
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.library import names
from pkdcli.recipe.own import module_names
from pkdcli.recipe.references import Import
from pkdcli.recipe.schema import Detector, LossUse, Recipe
from pkdcli.runs.status import columns


def build_config(
    recipe: Recipe, work_dir: Path | str, teacher_weights: Path | str | None = None, devices: int = 1
) -> dict[str, Any]:
    """The mmengine config of a run.

    Args:
        recipe: A complete recipe, the facts of its data included.
        work_dir: The run directory.
        teacher_weights: The teacher's checkpoint, for a distilled run.
        devices: Number of processes that share a batch.

    Raises:
        PkdError: A key path in `config` or a detector's `set` does not exist, or the batch can't be shared evenly.
    """
    recipe = schedule.in_parts(recipe, devices)
    val = data.split_of(recipe, "val")
    config: dict[str, Any] = {
        "default_scope": "mmdet",
        "custom_imports": {
            "imports": ["pkdcli.engine.register", *(one.module for one in imports_of(recipe))],
            "allow_failed_imports": False,
        },
        "work_dir": str(work_dir),
        "experiment_name": Path(work_dir).name,
        "model": model(recipe, teacher_weights),
        "channels_last": recipe.scale.channels_last,
        "train_dataloader": data.train_dataloader(recipe, 1 if recipe.weights else devices),
        "val_dataloader": data.val_dataloader(recipe, val),
        "val_evaluator": data.evaluator(recipe, val),
        "val_cfg": {"type": "ValLoop"},
        # pkd evaluates with the three above; these are for stock mmdet tools.
        "test_dataloader": data.val_dataloader(recipe, val),
        "test_evaluator": data.evaluator(recipe, val),
        "test_cfg": {"type": "TestLoop"},
        "train_cfg": schedule.train_cfg(recipe),
        "optim_wrapper": schedule.optim_wrapper(recipe),
        "param_scheduler": schedule.param_scheduler(recipe),
        "default_hooks": {
            "runtime_info": {"type": "PkdRuntimeInfoHook"},
            "timer": {"type": "IterTimerHook"},
            "sampler_seed": None,
            "param_scheduler": {"type": "ParamSchedulerHook"},
            "logger": None,
            "checkpoint": {
                "type": "PkdCheckpointHook",
                "keep": 2,
                "minutes": recipe.checkpoint_minutes,
                "iters": recipe.checkpoint_iters,
            },
        },
        "custom_hooks": hooks(recipe),
        "visualizer": visualizer(recipe, work_dir),
        "log_processor": {"type": "LogProcessor", "window_size": 50, "by_epoch": True},
        "env_cfg": {
            "cudnn_benchmark": False,
            "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
            "dist_cfg": {"backend": "nccl"},
        },
        "randomness": {"seed": recipe.seed, "deterministic": False},
        "log_level": "INFO",
        "load_from": load_from(recipe),
        "resume": False,
        "launcher": "none" if devices == 1 else "pytorch",
    }
    if recipe.weights:  # only evaluated
        for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"):
            config[key] = None
    for path, value in recipe.config.items():
        known(path, config)
        set_key(config, path, value, "config")
    if "custom_hooks" in recipe.config:  # beside those by which a run is followed, not in their place
        given = list(config["custom_hooks"] or [])
        named = [hook.get("type") for hook in given if isinstance(hook, dict)]
        config["custom_hooks"] = [*(hook for hook in hooks(recipe) if _mmdets(hook) not in named), *given]
    data.refuse_mixing(config)
    return config


def _mmdets(hook: dict[str, Any]) -> str:
    """The type of a hook; of one that stands for mmengine's EMAHook that of mmengine's."""
    return "EMAHook" if hook["type"] == "PkdEMAHook" else hook["type"]


def known(path: str, config: dict[str, Any]) -> None:
    """Refuse a key of the config's top that is a misspelt one: nobody would read it.

    Args:
        path: Key path that is to be set, such as `optim_wrapper.clip_grad`.
        config: The whole config so far.

    Raises:
        PkdError: A key that is new, and like another.
    """
    key = path.partition(".")[0]
    allowed = [*config, "find_unused_parameters", "sync_bn", "model_wrapper_cfg"]
    guess = None if key in allowed else difflib.get_close_matches(key, allowed, n=1, cutoff=0.8)
    if guess:
        raise PkdError(f"config: {path}: there is no key {key!r}.", f"Did you mean {guess[0]!r}?")


def imports_of(recipe: Recipe) -> list[Import]:
    """The Python modules that a run needs: what its recipe names, and what configs of mmdet's ask for."""
    found = recipe.named_imports
    for which in (recipe.teacher, recipe.student):
        if which is not None and which.config_content is None:  # of one's own they are among the detector's
            wanted = config_of(which).get("custom_imports") or {}
            if not wanted.get("allow_failed_imports"):
                found += [Import(module=name) for name in module_names(wanted)]
    return list({one.model_dump_json(): one for one in found}.values())


def as_python(config: dict[str, Any], run: str) -> str:
    """A run's config as a Python file that stock mmengine tools read.

    Args:
        config: As `build_config` makes it: dicts, lists, tuples, numbers, text.
        run: The run's id, for the file's first line.
    """
    lines = [f"# {run}: written from recipe.yaml; a change here changes nothing in pkd."]
    lines += [f"{key} = {pprint.pformat(value, width=110, sort_dicts=False)}" for key, value in config.items()]
    return "\n".join(lines) + "\n"


def notes(recipe: Recipe) -> list[str]:
    """What a user has set that does nothing in this run, a sentence each."""
    pretrained = recipe.pretrained and not recipe.weights
    found = [detector_notes(which, recipe.scale, pretrained=pretrained) for which in (recipe.teacher, recipe.student)
             if which is not None]  # fmt: skip
    return [*(text for texts in found for text in texts), *_paired_otherwise(recipe), *own_notes(recipe)]


def _paired_otherwise(recipe: Recipe) -> list[str]:
    """What there is to say where nobody has said which levels are compared, and those of one index are far apart."""
    if recipe.teacher is None or "levels" in recipe.loss.model_fields_set or not recipe.data.classes:
        return []
    student, teacher = detector(recipe, recipe.student), detector(recipe, recipe.teacher)
    look = looker(imports_of(recipe))
    far = far_apart(student, teacher, look, recipe.taps)
    if far is None:
        met = None if recipe.pair in names("pairs") else at_other_strides(student, teacher, look, recipe.taps)
        return [f"{met}, by index as in mmrazor's configs; --levels stride compares equal strides."] if met else []
    if recipe.loss.levels == "stride":
        return [f"levels of equal stride are compared: by index, {far}. --levels index compares them by index."]
    return [f"{far}, and none is of equal stride; --levels 0:0,1:1 names the pairs yourself."]


def with_adapters(recipe: Recipe) -> Recipe:
    """The recipe of a distilled run with the adapters that its levels need written into it.

    Where nobody has said which levels are compared, those of equal stride are where index would pair levels whose
    strides differ by more than a factor of two.

    Raises:
        PkdError: The levels can't be paired.
    """
    if recipe.teacher is None or not recipe.data.classes:
        return recipe
    student, teacher = detector(recipe, recipe.student), detector(recipe, recipe.teacher)
    look = looker(imports_of(recipe))
    if "levels" not in recipe.loss.model_fields_set:
        chosen = by_default(student, teacher, look, recipe.taps)
        recipe = recipe.model_copy(update={"loss": _with_levels(recipe.loss, chosen)})
    paired = pairing(recipe.loss.levels, student, teacher, look, recipe.taps)
    return recipe.model_copy(update={"adapters": paired.adapters})


def _with_levels(loss: LossUse, levels: str) -> LossUse:
    """The loss with levels that were chosen by default: still not among what somebody has set."""
    return LossUse.model_construct(_fields_set=loss.model_fields_set, **{**dict(loss), "levels": levels})


def hooks(recipe: Recipe) -> list[dict[str, Any]]:
    """Progress and the size of the weights' steps for every run; a distilled one is also measured and checked."""
    distilled = [{"type": "PkdSanityHook"}, {"type": "PkdDiagnosticsHook"}] if recipe.role == "distill" else []
    until = schedule.taught_iters(recipe)
    distilled += [{"type": "PkdTeachingHook", "until": until}] if until is not None else []
    tracked = [{"type": "PkdTrackerHook"}] if recipe.trackers else []
    own = own_hooks(recipe).sections if recipe.training == "own" and not recipe.weights else []
    updates = [] if recipe.weights else [{"type": "PkdUpdatesHook"}]
    return [{"type": "PkdProgressHook"}, *updates, *distilled, *tracked, *own]


def visualizer(recipe: Recipe, work_dir: Path | str) -> dict[str, Any]:
    """mmengine's visualizer with the backends of the recipe's trackers.

    Args:
        recipe: Names the trackers.
        work_dir: The run directory; its name is the run's id.
    """
    plain = {"type": "DetLocalVisualizer", "vis_backends": [], "name": "visualizer"}
    if not recipe.trackers:
        return plain
    known = columns(recipe, Path(work_dir).name)
    facts = {key: value for key, value in known.items() if value is not None and key not in ("schema", "run")}
    # One name a run: mmengine would give the first run's visualizer to all that share a process.
    name = f"visualizer of {Path(work_dir).name}"
    return {**plain, "name": name, "vis_backends": trackers.backends(recipe.trackers, work_dir, facts)}


def model(recipe: Recipe, teacher_weights: Path | str | None = None) -> dict[str, Any]:
    """The model section: the student alone, or the mmrazor algorithm around student and teacher.

    Args:
        recipe: A complete recipe, the data's classes included.
        teacher_weights: Path of the teacher's checkpoint, for a distilled run.

    Raises:
        PkdError: The classes are not known yet, or the levels of the two can't be paired.
    """
    student = detector(recipe, recipe.student)
    if recipe.teacher is None:
        return student
    teacher = detector(recipe, recipe.teacher)
    weights = str(teacher_weights) if teacher_weights else None
    return distill_model(recipe, student, teacher, weights, looker(imports_of(recipe)))


def model_as_set(recipe: Recipe) -> dict[str, Any]:
    """The model section of a detector alone, with the keys of it that the user has set."""
    config = {"model": model(recipe)}
    for path, value in recipe.config.items():
        if path.partition(".")[0] == "model":
            set_key(config, path, value, "config")
    return config["model"]


def detector(recipe: Recipe, which: Detector) -> dict[str, Any]:
    """The mmdet model of the recipe's student or teacher, with the data's classes.

    Args:
        recipe: Says the scale, the classes, and whether there are masks.
        which: Its student or its teacher.

    Raises:
        PkdError: The classes are not known yet, or `set` names a key that is not there.
    """
    if not recipe.data.classes:
        raise PkdError(f"data set {recipe.data.name}: its classes are not known yet.", "Its annotation file is needed.")
    model = detector_model(
        which,
        recipe.scale,
        len(recipe.data.classes),
        pretrained=recipe.pretrained and not recipe.weights,
        with_mask=bool(recipe.data.masks),
        trained=not recipe.weights if which == recipe.student else recipe.trains_teacher,
    )
    data.fit_augments(recipe, model)
    if which == recipe.student:
        schedule.shorten_phases(recipe, which, model)
    return model


def load_from(recipe: Recipe) -> str | None:
    """The zoo's COCO weights that a teacher on the user's own data starts from (heads are resized)."""
    if recipe.role == "teacher" and recipe.pretrained and not recipe.weights and not recipe.scale.rules:
        return entry(recipe.student.config).weights
    return None
