"""One detector as student and as teacher: a distilled training of one step on a few small pictures, with all it takes.

The run is an ordinary one, by `pkdcli.engine.train.trainer`: levels found, adapters built, the teacher's weights loaded
from a file, a step forward and backward, the weights exported, the student evaluated. Only sizes are small.
"""

from __future__ import annotations

import json
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.config.build import model, with_adapters
from pkdcli.config.families import family_of, needs_of
from pkdcli.config.levels import Level, Outputs, by_default, pairing
from pkdcli.config.levels import look as asking
from pkdcli.config.levels.keys import Named
from pkdcli.config.levels.look import looker
from pkdcli.data.prepare import prepare
from pkdcli.data.shapes import dataset
from pkdcli.engine.analysis import levels
from pkdcli.engine.bench.inputs.models import calibrate
from pkdcli.engine.setup.imports import import_one
from pkdcli.engine.train import trainer
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.detectors.given import detector_of
from pkdcli.recipe.detectors.read import config_of, load_config, modules
from pkdcli.recipe.detectors.training import own_by_default
from pkdcli.recipe.own import module_names
from pkdcli.recipe.references import Import
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json

from mmdet.registry import MODELS  # isort: skip

PARTNER = "gfl50"
"""The detector that teaches each as a student, and learns from each as a teacher."""
COUNTS = {"train": 2, "val": 2, "test": 1}
SIDE = 128
"""Of the pictures in pixels, where a detector needs no more."""


def draw(folder: Path) -> Path:
    """Draw the pictures of the probes; returns the data set's recipe."""
    dataset.generate(folder, COUNTS)
    splits = "".join(f"{s}: {{images: images/{s}/, annotations: annotations/{s}.json}}\n" for s in COUNTS)
    recipe = folder / "probe.yaml"
    recipe.write_text(f"name: probe\n{splits}")
    for split in COUNTS:
        coco = json.loads((folder / "annotations" / f"{split}.json").read_text(encoding="utf-8"))
        coco["categories"] = [{"id": 1, "name": "shape"}]
        for one in coco["annotations"]:
            one["category_id"] = 1
        write_json(folder / "annotations" / f"one-{split}.json", coco)
    (folder / "one.yaml").write_text(recipe.read_text().replace("annotations/", "annotations/one-"))
    return recipe


def probe(
    config: str,
    role: str,
    data: Path,
    *,
    side: int = SIDE,
    masks: bool = True,
    scale: str = "tiny",
    changes: dict[str, Any] | None = None,
    one_class: bool = False,
) -> dict[str, Any]:
    """Train a detector of mmdet's for one step with a teacher, or another one with it as the teacher.

    Args:
        config: By its name in mmdet.
        role: `student` or `teacher`.
        data: As `draw` returns it.
        side: Of the pictures, in pixels.
        masks: The data have segmentations.
        scale: By whose rules the detectors are shrunk.
        changes: Keys of its model that make it small.
        one_class: All objects of the data are of one class.

    Returns:
        `state`: `works`; `refused`, before anything is trained; or `fails`. `reason` of the latter two, and `trace`.
    """
    asking.look = _look
    _without_logs()
    planned = False
    try:
        data = data.with_name("one.yaml") if one_class else data
        recipe = _plan(config, role, data, side=side, masks=masks, scale=scale, changes=changes)
        planned = True
        with tempfile.TemporaryDirectory(prefix="pkd-probe-") as folder:
            _train(recipe, Path(folder))
    except Exception as error:
        refused = isinstance(error, PkdError) and not planned
        reason = error.message if isinstance(error, PkdError) else f"{type(error).__name__}: {error}"
        return {"state": "refused" if refused else "fails", "reason": reason, "trace": traceback.format_exc()}
    return {"state": "works"}


def facts_of(config: str) -> dict[str, Any]:
    """What is known of a detector at its full size, without training it.

    Args:
        config: By its name in mmdet.

    Returns:
        `module` and `levels` that are compared, or neither where they can't be found out; `adapters` for a teacher of
        256 channels; `training` by default; `masks`, whether it has a mask head; `packages` that it needs; `notes`.
    """
    detector = detector_of(config, "detector")
    content = config_of(detector)
    kinds = [str(module["type"]) for module in modules(content["model"])]
    facts: dict[str, Any] = {
        "training": "own" if own_by_default(content) else "paper",
        "masks": detector.mask,
        "packages": list(dict.fromkeys(package.install for kind in kinds for package in needs_of(kind))),
        "notes": list(dict.fromkeys(note for kind in kinds if (note := family_of(kind).note))),
    }
    asking.look = _look
    look = looker([Import(module=name) for name in module_names(content.get("custom_imports") or {})])
    student, teacher = content["model"], load_config(library.load("detectors", PARTNER).config)["model"]
    try:
        paired = pairing(by_default(student, teacher, look), student, teacher, look)
    except PkdError:  # what is refused is told by the probe
        return facts
    mine = paired.student
    return {**facts, "module": mine.module, "levels": [list(level) for level in mine.levels],
            "adapters": len(paired.adapters)}  # fmt: skip


def _look(models: Sequence[Named], imports: Sequence[Import] = ()) -> list[Outputs]:
    """The levels of detectors, without asking a process of the engine: this is one."""
    for one in imports:
        import_one(one)
    found = [levels.look(*one) for one in models]
    return [Outputs([Level(*level) for level in one["levels"]], one["module"], one["single"]) for one in found]


def _without_logs() -> None:
    """Keep mmengine from looking at all weights after each that it draws, and from formatting whole configs."""
    from mmengine.config import Config
    from mmengine.model import base_module, weight_init

    for module in (base_module, weight_init):
        module.update_init_info = lambda *_args, **_kwargs: None
    base_module.BaseModule._dump_init_info = lambda *_args, **_kwargs: None
    Config.pretty_text = property(lambda _config: "")


def _plan(
    config: str, role: str, data: Path, *, side: int, masks: bool, scale: str, changes: dict[str, Any] | None
) -> Recipe:
    """The recipe of the run with the levels that are compared, as `pkd train --dry-run` finds them."""
    pair = {"student": config, "teacher": PARTNER} if role == "student" else {"student": PARTNER, "teacher": config}
    recipe = resolve(Request(**pair, scale=scale, data=str(data), max_iters=1, val_images=2, workers=0, batch_size=2,
                             pretrained=False))  # fmt: skip
    facts = prepare(recipe.data, data.parent / "cache").model_copy(update={"image": side})
    if not masks:
        facts = facts.model_copy(update={"masks": False})
    partner = "teacher" if role == "student" else "student"
    rules = library.load("scales", "tiny").rules  # whatever the scale is, so that adapters lie between most
    recipe = recipe.model_copy(
        update={
            "data": facts,
            "scale": recipe.scale.model_copy(update={"image": (side, side), "val_batch": 2}),
            role: getattr(recipe, role).model_copy(update={"set": changes or {}}),
            **({partner: getattr(recipe, partner).model_copy(update={"rules": rules})} if scale != "tiny" else {}),
        }
    )
    recipe = with_adapters(recipe)
    model(recipe)
    return recipe


def _train(recipe: Recipe, folder: Path) -> None:
    """Carry out the run, its teacher's weights drawn and read from a file as trained ones are."""
    init_default_scope("mmdet")
    torch.manual_seed(0)
    teacher = MODELS.build(ConfigDict(model(recipe)["teacher"]))
    teacher.init_weights()
    side = recipe.scale.image[0]
    calibrate(teacher, torch.randn(2, 3, side, side))
    weights = folder / "teacher.pth"
    torch.save({"state_dict": teacher.state_dict(), "meta": {}}, weights)
    del teacher
    run = folder / "run"
    run.mkdir()
    paths = RunPaths(run)
    outcome = trainer.train(recipe, paths, folder / "cache", weights)
    if outcome.images_seen != recipe.batch:
        raise RuntimeError(f"{outcome.images_seen} images were seen in place of {recipe.batch}")
