"""From what a user typed to a complete recipe: pair + scale + flags + `--set`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pkdcli.errors import PkdError, unknown
from pkdcli.recipe import library
from pkdcli.recipe.assign import assign
from pkdcli.recipe.carried_out import scaled, use_loss
from pkdcli.recipe.configs import beside
from pkdcli.recipe.detectors.pair import choose, tapped
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.detectors.shrinking import with_family_rules
from pkdcli.recipe.detectors.training import own_batch, own_by_default, own_rate, own_schedule
from pkdcli.recipe.own import (
    custom_imports,
    loss_imports,
    with_content,
    with_set_imports,
    with_set_type,
)
from pkdcli.recipe.references import located
from pkdcli.recipe.schema import (
    Data,
    Detector,
    Loss,
    LossUse,
    OwnTraining,
    Part,
    Recipe,
    Scale,
    Schedule,
    Split,
    TeacherSpeed,
)
from pkdcli.recipe.schema.kinds import Accepted
from pkdcli.recipe.schema.types import Training

DEFAULT_PAIR = "gfl101-fcos50"


@dataclass(frozen=True)
class Request:
    """What a user asked for; None means "the default"."""

    pair: str = DEFAULT_PAIR
    teacher: str | None = None
    student: str | None = None
    scale: str = "paper"
    data: str | None = None
    allow_bad_data: bool = False
    loss: str = "pkd"
    weight: float | None = None
    temperature: float | None = None
    schedule: str | None = None
    init: str | None = None
    levels: str | None = None
    tap: tuple[str, ...] = ()
    seed: int = 0
    epochs: int | None = None
    batch_size: int | None = None
    accumulate: int = 1
    amp: bool = False
    deterministic: bool = False
    pretrained: bool = True
    max_iters: int | None = None
    val_images: int | None = None
    val_interval: int | None = None
    checkpoint_minutes: float | None = None
    checkpoint_iters: int | None = None
    workers: int | None = None
    teacher_checkpoint: str | None = None
    devices: int = 1
    trackers: tuple[str, ...] = ()
    keep_predictions: bool = True
    training: str | None = None
    distill_until: float | None = None
    sets: tuple[str, ...] = field(default=())


def resolve(request: Request) -> Recipe:
    """Resolve a request into a complete recipe.

    Facts of the data set itself (classes, fingerprint) may still be open; `pkdcli.data.prepare` fills them in.

    Raises:
        PkdError: A wrong name, value or key path; every problem of one stage at once.
    """
    chosen = choose(request.pair, request.teacher, request.student)
    pair = chosen.pair
    scale: Scale = library.load("scales", request.scale)
    loss: Loss = library.load("losses", request.loss)
    if request.data is None:
        data = load_data(scale.data, f"{library.path_of('scales', request.scale)}: data")
    else:
        data = load_data(request.data)
    if request.allow_bad_data:
        data = data.model_copy(update={"accept": list(get_args(Accepted))})
    distilled = loss.name != "none"
    teacher, student = (
        with_family_rules(_with_tap(one, tap, distilled), scale)
        for one, tap in zip((chosen.teacher, chosen.student), tapped(request.tap), strict=True)
    )
    if not distilled and (request.weight is not None or request.temperature is not None):
        raise PkdError(
            "loss none is the baseline and takes no weight or temperature.", "Leave them out, or name a loss."
        )
    if not distilled and (request.init == "inherit" or request.levels is not None):
        raise PkdError(
            "loss none is the baseline: it never inherits and compares no levels.", "Leave --init and --levels out."
        )
    if not distilled and (request.tap or request.distill_until is not None):
        raise PkdError("loss none is the baseline: it has no teacher.", "Leave --tap and --distill-until out.")
    if request.distill_until is not None and not 0 < request.distill_until <= 1:
        raise PkdError(
            f"--distill-until: {request.distill_until:g} is no share of the run.",
            "Give a number above 0 and up to 1, such as 0.9 to learn the last tenth without the teacher.",
        )
    if request.init not in (None, "scratch", "inherit"):
        raise unknown("way to start (--init)", request.init, ["scratch", "inherit"])
    training = training_of(request.training or pair.training, student)
    if training == "own":
        schedule, rate, images = _by_its_own(request, student, scale)
    else:
        asked = request.schedule
        named = pair.schedule if asked is None else asked
        schedule = library.load("schedules", named, f"{chosen.where}schedule" if asked is None else None)
        schedule = scaled(schedule, scale, request.epochs)
        rate, images = scale.lr or student.lr, scale.batch
    by_own_teacher = distilled and scale.own != OwnTraining() and own_by_default(config_of(teacher), teacher=True)
    content: dict[str, Any] = {
        "role": "distill" if distilled else "baseline",
        "pair": pair.name,
        "teacher": teacher.model_dump() if distilled else None,
        "student": {**student.model_dump(), "lr": rate},
        "loss": {
            **use_loss(loss, teacher, scale, request.weight, request.temperature).model_dump(),
            "imports": [one.model_dump() for one in loss_imports(loss, request.loss)],
            "levels": "index" if request.levels is None else request.levels,
        },
        "schedule": schedule.model_dump(),
        "data": data.model_dump(),
        "scale": {**scale.model_dump(), "families": [], **({} if by_own_teacher else {"own": {}})},
        "training": training,
        "distill_until": None if request.distill_until == 1 else request.distill_until,
        "batch": request.batch_size or images * (request.devices if scale.batch_per_process else 1),
        "accumulate": request.accumulate,
        "amp": request.amp,
        "deterministic": request.deterministic,
        "seed": request.seed,
        "init": (request.init or pair.init) if distilled else "scratch",
        "pretrained": request.pretrained and scale.pretrained,
        "max_iters": request.max_iters,
        "val_images": request.val_images or (8 if request.max_iters else None),
        "val_interval": request.val_interval or scale.val_interval,
        "workers": scale.workers if request.workers is None else request.workers,
        "checkpoint_minutes": 10.0 if request.checkpoint_minutes is None else request.checkpoint_minutes,
        "checkpoint_iters": request.checkpoint_iters,
        "teacher_seed": 0,
        "trackers": list(request.trackers),
        "keep_predictions": request.keep_predictions,
        "teacher_checkpoint": (request.teacher_checkpoint or pair.teacher_checkpoint) if distilled else None,
        "teacher_speed": TeacherSpeed().model_dump(),
        "imports": [],
        "config": {},
    }
    before = {part: content[part] and content[part]["config"] for part in ("teacher", "student")}
    imported = {part: list(content[part]["imports"]) for part in ("teacher", "student", "loss") if content[part]}
    loss_type = content["loss"]["type"]
    for assignment in request.sets:
        assign(content, assignment)
    for part, config in before.items():
        # One that was set is relative to where it was typed.
        given = content[part].get("config") if isinstance(content[part], dict) else None
        if isinstance(given, str) and given != config:
            content[part]["config"] = beside(given, Path.cwd(), f"--set {part}.config")
    if isinstance(content["config"], dict) and isinstance(content["imports"], list):
        content["imports"] = [*content["imports"], *custom_imports(content["config"])]
    recipe = library.parse(Recipe, content, "the resolved recipe")
    if loss.temperature is not None and recipe.loss.name == loss.name and recipe.loss.temperature is None:
        example = f"Example: --set loss.temperature={loss.temperature.default:g}"
        raise PkdError(f"--set loss.temperature: loss {loss.name} needs one.", example)
    update: dict[str, Any] = {"imports": located(recipe.imports, Path.cwd())}
    said = {assignment.partition("=")[0].strip() for assignment in request.sets}
    if request.levels is None and not said & {"loss", "loss.levels"}:
        # Nobody has said which: what is right by default is seen when both detectors are (`config.build`).
        update["loss"] = LossUse(**{key: value for key, value in dict(recipe.loss).items() if key != "levels"})
    for part in (*before, "loss"):
        if (one := update.get(part, getattr(recipe, part))) is not None:
            update[part] = with_set_imports(one, imported.get(part, []), Path.cwd())
    if recipe.loss.type != loss_type:
        update["loss"] = with_set_type(update["loss"], Path.cwd())
    own = {"student": recipe.training == "own"}  # a teacher may have weights already, and needs nothing then
    update |= {part: with_content(update[part], own=own.get(part, False)) for part in before if part in update}
    return recipe.model_copy(update=update)


def _with_tap(detector: Detector, tap: str | None, distilled: bool) -> Detector:
    """A detector with the module that is compared; none of a baseline, which compares nothing."""
    wanted = (tap or detector.tap) if distilled else None
    return detector if wanted == detector.tap else detector.model_copy(update={"tap": wanted})


def training_of(asked: str | None, student: Detector) -> str:
    """By which settings a student is trained: as asked for, or as its config suggests.

    Args:
        asked: `paper`, `own`, or None.
        student: Whose config says whether it is one of mmdet's 1x family.

    Raises:
        PkdError: Another word was asked for.
    """
    if asked not in (None, *get_args(Training)):
        raise unknown("way to train (--training)", asked, list(get_args(Training)))
    return asked or ("own" if own_by_default(config_of(student)) else "paper")


def _by_its_own(request: Request, student: Detector, scale: Scale) -> tuple[Schedule, float, int]:
    """The schedule of a student that is trained by its own config, its learning rate at 16 images, and its images."""
    if request.schedule is not None:
        raise PkdError(
            f"--schedule {request.schedule}: {student.name} is trained by its own config (--training own), whose "
            "schedule it keeps.",
            "Give --epochs to change its length, or --training paper to train it as appendix A.2 does.",
        )
    config = config_of(student)
    images = own_batch(config) if scale.batch_per_process else scale.batch
    return own_schedule(config, scale, request.epochs), own_rate(config, scale, student.config), images


def load_data(name: str, where: str | None = None) -> Data:
    """A data recipe with absolute paths; those of the embedded data set stay relative to the cache.

    Args:
        name: A data recipe by its name, or the path of a YAML file.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: There is no such data recipe, or something in it is wrong.
    """
    path = library.path_of("datasets", name, where)
    data: Data = library.load("datasets", name, where)
    if data.generator:
        return data
    if data.root is None:
        base = path.resolve().parent
    elif data.name == "coco" and os.environ.get("PKD_COCO"):
        base = Path(os.environ["PKD_COCO"]).expanduser().absolute()
    else:
        root = Path(data.root).expanduser()
        builtin = path.parent == library.recipes_root() / "datasets"
        base = (Path.cwd() if builtin else path.resolve().parent) / root

    def absolute(split: Split | None) -> Split | None:
        if split is None:
            return None
        if split.joined:
            return split.model_copy(update={"joined": [placed(one) for one in split.joined]})
        return Split(**dict(placed(split)))

    def placed(one: Part) -> Part:
        return Part(images=str(base / one.images), annotations=str(base / one.annotations))

    update = {"root": None, "train": absolute(data.train), "val": absolute(data.val), "test": absolute(data.test)}
    return data.model_copy(update=update)
