"""What a foreign config says of a run, in pkd's words where they mean the same."""

from __future__ import annotations

import re
from typing import Any

from pkdcli.runs.record import Record

# The end of mmdet's config names: the schedule and the data set.
_LENGTH = re.compile(r"_(?:[a-z0-9]+-)*\d+x(?:_coco)?$")
# mmrazor's classes (mmrazor/models/losses) and the losses that compute the same here.
_LOSSES = {"PKDLoss": "pkd", "ChannelWiseDivergence": "cwd", "MGDLoss": "mgd", "ATLoss": "at", "L1Loss": "l1",
           "L2Loss": "l2"}  # fmt: skip
_DATA = {"instances_train2017.json": "coco"}


def identity(config: dict[str, Any], name: str | None, environment: dict[str, int]) -> Record:
    """The columns that say what a run is; those that its config does not tell stay None.

    Args:
        config: As dumped by mmengine.
        name: The name of the config file, without its ending.
        environment: `seed` and `GPU number` of the log.
    """
    from pkdcli.recipe.library import load_all

    model = _dict(config.get("model"))
    record: Record = {"foreign": _toolbox(config, model)}
    detectors = load_all("detectors")
    if "teacher" in model and "architecture" in model:
        record |= {"role": "distill", **_detector("student", model["architecture"], None, detectors)}
        record |= _detector("teacher", model["teacher"], None, detectors) | _loss(model)
        pairs = load_all("pairs")
        named = (p.name for p in pairs if (p.teacher, p.student) == (record["teacher"], record["student"]))
        record["pair"] = next(named, f"{record['teacher']}-{record['student']}")
    else:
        record |= {"role": "baseline", "loss": "none", **_detector("student", model, name, detectors)}
    record |= _data(config)
    seed = _dict(config.get("randomness")).get("seed")
    record["seed"] = seed if isinstance(seed, int) else environment.get("seed")
    batch = _dict(config.get("train_dataloader")).get("batch_size")
    if isinstance(batch, int):
        record["batch"] = batch * environment.get("GPU number", 1)
    return record


def _toolbox(config: dict[str, Any], model: dict[str, Any]) -> str:
    razor = config.get("default_scope") == "mmrazor" or "distiller" in model
    return "mmrazor" if razor else str(config.get("default_scope") or "mmengine")


def _detector(role: str, model: Any, name: str | None, detectors: tuple[Any, ...]) -> Record:
    """A detector by the name of the mmdet config it comes from; else by its own parts."""
    model = _dict(model)
    path = model.get("cfg_path")
    stem = path.rpartition("/")[2].removesuffix(".py") if isinstance(path, str) else name
    for detector in detectors:
        theirs = detector.config.rpartition("/")[2].removesuffix(".py")
        if stem and _LENGTH.sub("", theirs) == _LENGTH.sub("", stem):
            return {role: detector.name, f"{role}_title": detector.title}
    backbone = _dict(model.get("backbone"))
    parts = [str(model.get("type", "")).rpartition(".")[2], str(backbone.get("type", "")).rpartition(".")[2]]
    title = "-".join(part for part in parts if part) + str(backbone.get("depth") or "")
    return {role: stem or title.lower() or None, f"{role}_title": title or stem}


def _loss(model: dict[str, Any]) -> Record:
    """Name, weight and temperature of the distillation loss, where all of its levels share them."""
    losses = _dict(_dict(model.get("distiller")).get("distill_losses"))
    used = [_dict(loss) for loss in losses.values()]
    types = sorted({str(loss.get("type", "unknown")).rpartition(".")[2] for loss in used})
    record: Record = {"loss": "+".join(_LOSSES.get(name, name) for name in types) or None}
    for key, names in {"weight": ("loss_weight", "alpha_mgd"), "temperature": ("tau", "T")}.items():
        values = {next((loss[n] for n in names if isinstance(loss.get(n), (int, float))), None) for loss in used}
        record[key] = values.pop() if len(values) == 1 else None
    return record


def _data(config: dict[str, Any]) -> Record:
    """Data, schedule and scale; the scale is `paper` where images are as large as there."""
    from pkdcli.recipe.library import load_all

    dataset = _dict(_dict(config.get("train_dataloader")).get("dataset"))
    while "ann_file" not in dataset and _dict(dataset.get("dataset")):
        dataset = dataset["dataset"]  # mmdet's wrappers, such as RepeatDataset
    file = str(dataset.get("ann_file") or "")
    name = _DATA.get(file.rpartition("/")[2])
    root = [part for part in str(dataset.get("data_root") or "").split("/") if part]
    record: Record = {"data": name or (root[-1] if root else None), "split": "val"}
    sizes = list(_resizes(dataset.get("pipeline")))
    # Several sizes are the ends of multi-scale training.
    many = max((len(size) for size in sizes), default=0) > 1
    epochs = _dict(config.get("train_cfg")).get("max_epochs")
    fitting = (s.name for s in load_all("schedules") if s.epochs == epochs and bool(s.multi_scale) == many)
    record["schedule"] = next(fitting, f"{epochs} epochs" if epochs else None)
    paper = next(scale for scale in load_all("scales") if scale.name == "paper")
    if any(list(paper.image) in size for size in sizes):
        record["scale"] = paper.name
    return record


def _resizes(pipeline: Any) -> Any:
    """The (longest, shorter) sides of every resizing step, wherever it stands in a pipeline."""
    for step in pipeline if isinstance(pipeline, list) else []:
        step = _dict(step)
        scale = step.get("scale") or step.get("scales")
        if "Resize" in str(step.get("type")) and isinstance(scale, list) and scale:
            yield scale if isinstance(scale[0], list) else [scale]
        for branch in step.get("transforms") or []:
            yield from _resizes(branch if isinstance(branch, list) else [branch])


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
