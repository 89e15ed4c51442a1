"""The mathematics of the paper's appendix A.3, in float64, on the features of a real pair.

Started as a process: `python -m pkdcli.engine.analysis.verify REQUEST.json`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pkdcli.data.images.loading_error import ImageError, OtherImageError, as_wrong_file
from pkdcli.engine.losses import build_loss
from pkdcli.engine.worker.request import answer
from pkdcli.errors import PkdError

TEMPERATURES = (1.0, 10.0, 50.0, 500.0, 5000.0)
LIMIT = 0.01  # Norm+KL's value and gradient differ from PKD's by at most this share at the highest temperature
EXACT = 1e-9  # norm-mse is twice pkd but for rounding
INVARIANT = 1e-3  # the 1e-6 beside each standard deviation keeps pkd from being invariant to the last digit
SIDES = ("student scaled", "student shifted", "teacher scaled", "teacher shifted")
WHOLE = "all"


class Level(NamedTuple):
    """One pair of feature maps: student and teacher (N, C, H, W), float64, of equal shape."""

    name: str
    student: Tensor
    teacher: Tensor


def verify(levels: Sequence[Level], temperatures: Sequence[float] = TEMPERATURES) -> dict[str, Any]:
    """Check the paper's claims on some feature maps.

    Args:
        levels: The pairs of maps; `all` is their sum, as a training adds them up.
        temperatures: T of Norm+KL, ascending; the last one is held against the limit.

    Returns:
        `limit`: level, T, values, and the gaps of value and gradient as shares of pkd's (None where pkd is zero);
        `ratio`: level and norm-mse / pkd; `invariance`: level, loss and its relative change for each of `SIDES`;
        `checks`: name, measured, bound and ok.
    """
    pkd = [_value_and_gradient(level, "pkd") for level in levels]
    limit = []
    for temperature in temperatures:
        kl = [_value_and_gradient(level, "norm-kl", temperature=temperature) for level in levels]
        for name, ours, theirs in _each_and_all(levels, kl, pkd):
            limit.append({"level": name, "T": temperature, **_gaps(ours, theirs)})
    limit.sort(key=lambda row: [*(level.name for level in levels), WHOLE].index(row["level"]))
    twice = [_value_and_gradient(level, "norm-mse") for level in levels]
    ratio = [
        {"level": name, "norm_mse_by_pkd": _share(sum(v for v, _ in ours), sum(v for v, _ in theirs))}
        for name, ours, theirs in _each_and_all(levels, twice, pkd)
    ]
    invariance = [
        {"level": level.name, "loss": loss, **_changes(level, loss)} for level in levels for loss in ("pkd", "mse")
    ]
    found = {"limit": limit, "ratio": ratio, "invariance": invariance}
    return {**found, "checks": _checks(found, temperatures[-1])}


Measured = tuple[float, Tensor]


def _value_and_gradient(level: Level, loss: str, **parameters: float) -> Measured:
    student = level.student.detach().clone().requires_grad_()
    value = build_loss(loss, **parameters)(student, level.teacher)
    (gradient,) = torch.autograd.grad(value, student)
    return value.item(), gradient


def _each_and_all(levels: Sequence[Level], ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[tuple]:
    each = [(level.name, [a], [b]) for level, a, b in zip(levels, ours, theirs, strict=True)]
    return [*each, (WHOLE, list(ours), list(theirs))]


def _gaps(kl: Sequence[Measured], pkd: Sequence[Measured]) -> dict[str, float | None]:
    """Values, and how far Norm+KL is from PKD over some levels together."""
    a, b = sum(value for value, _ in kl), sum(value for value, _ in pkd)
    ours, theirs = (torch.cat([gradient.flatten() for _, gradient in side]) for side in (kl, pkd))
    cosine = F.cosine_similarity(ours, theirs, dim=0).item() if theirs.any() and ours.any() else None
    return {
        "pkd": b,
        "norm_kl": a,
        "value_gap": _share(abs(a - b), abs(b)),
        "gradient_gap": _share((ours - theirs).norm().item(), theirs.norm().item()),
        "cosine": cosine,
    }


def _changes(level: Level, loss: str) -> dict[str, float | None]:
    """By how much of itself a loss changes when each channel of one side is scaled, or shifted."""
    channels = level.student.shape[1]
    # From half to twenty times, and by -5 to 5, another factor and shift for each channel.
    scale = torch.logspace(-0.30103, 1.30103, channels, dtype=torch.float64).view(1, -1, 1, 1)
    shift = torch.linspace(-5, 5, channels, dtype=torch.float64).view(1, -1, 1, 1)
    student, teacher = level.student, level.teacher
    pairs = ((student * scale, teacher), (student + shift, teacher), (student, teacher * scale),
             (student, teacher + shift))  # fmt: skip
    measure = build_loss(loss)
    before = measure(student, teacher).item()
    return {side: _share(abs(measure(*pair).item() - before), before) for side, pair in zip(SIDES, pairs, strict=True)}


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _checks(found: Mapping[str, Any], highest: float) -> list[dict[str, Any]]:
    last = [row for row in found["limit"] if row["T"] == highest]
    changes = {loss: [row[side] for row in found["invariance"] if row["loss"] == loss for side in SIDES]
               for loss in ("pkd", "mse")}  # fmt: skip
    off = [abs(row["norm_mse_by_pkd"] / 2 - 1) for row in found["ratio"] if row["norm_mse_by_pkd"] is not None]
    return [
        _check(f"norm-kl's value is pkd's at T = {highest:g}", _largest(row["value_gap"] for row in last), LIMIT),
        _check(f"norm-kl's gradient is pkd's at T = {highest:g}", _largest(r["gradient_gap"] for r in last), LIMIT),
        _check("norm-mse is twice pkd", _largest(off), EXACT),
        _check("pkd keeps its value under scale and shift of either side", _largest(changes["pkd"]), INVARIANT),
        _check("mse does not", min((c for c in changes["mse"] if c is not None), default=None), LIMIT, above=True),
    ]


def _check(name: str, measured: float | None, bound: float, above: bool = False) -> dict[str, Any]:
    ok = measured is not None and (measured >= bound if above else measured <= bound)
    return {"check": name, "measured": measured, "bound": bound, "at_least": above, "ok": ok}


def _largest(values: Any) -> float | None:
    # A NaN must not pass for a small gap.
    known = [value for value in values if value is not None]
    return max(known, key=lambda value: (value != value, value), default=None)


def features(request: Mapping[str, Any]) -> list[Level]:
    """The pair's feature maps on some images, level by level as a training compares them.

    Args:
        request: `recipe` (a distilled run's), `teacher` and `student` (checkpoints, or None for random weights),
            `images` (files).

    Raises:
        PkdError: Weights that don't fit, or a file that is no image.
    """
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope

    import pkdcli.engine.register  # noqa: F401
    from pkdcli.config.build import model
    from pkdcli.engine.checkpoint import load_into
    from pkdcli.engine.distill.encoder import run_encoder
    from pkdcli.engine.distill.single_output import PkdEncoderOutputsRecorder
    from pkdcli.engine.setup.imports import import_for
    from pkdcli.recipe.library import parse
    from pkdcli.recipe.schema import Recipe

    init_default_scope("mmdet")
    recipe = parse(Recipe, request["recipe"], "the recipe to verify")
    import_for(recipe)
    torch.manual_seed(recipe.seed)
    section = ConfigDict(model(recipe, request["teacher"]))  # two-stage detectors read `cfg.rpn`
    mappings = section["distiller"]["loss_forward_mappings"].values()
    algorithm = MODELS.build(section)
    if request["student"]:
        load_into(algorithm.architecture, request["student"], strict="exact", what="the student")
    else:
        algorithm.architecture.init_weights()
    if not request["teacher"]:
        algorithm.teacher.init_weights()
    algorithm.eval()
    algorithm.data_preprocessor.student.batch_augments = None
    with torch.no_grad():
        batch = algorithm.data_preprocessor(_load(recipe, request["images"]), True)
        algorithm.record_teacher(batch["teacher_inputs"])
        recorders = algorithm.distiller.student_recorders
        with recorders:
            features = algorithm.architecture.extract_feat(batch["inputs"])
            if any(isinstance(one, PkdEncoderOutputsRecorder) for one in recorders.recorders.values()):
                run_encoder(algorithm.architecture, features, batch["inputs"])
        return [_level(mapping, algorithm.distiller) for mapping in mappings]


def _level(mapping: Mapping[str, Any], distiller: Any) -> Level:
    """One level as the losses see it: of the modules that are compared, behind the adapter."""
    from_student, from_teacher = mapping["preds_S"], mapping["preds_T"]
    student, teacher = (distiller.get_record(**one).double() for one in (from_student, from_teacher))
    if student.shape[2:] != teacher.shape[2:]:
        student = F.interpolate(student, teacher.shape[2:], mode="bilinear")
    return Level(f"{from_student['data_idx']}:{from_teacher['data_idx']}", student, teacher)


def _load(recipe: Any, images: Sequence[str]) -> dict[str, Any]:
    """The images as an evaluation loads and resizes them."""
    from mmengine.dataset import Compose

    from pkdcli.config.data import val_pipeline

    pipeline = Compose(val_pipeline(recipe))
    loaded = []
    for number, path in enumerate(images):
        try:
            with as_wrong_file():
                loaded.append(pipeline({"img_path": path, "img_id": number})["inputs"])
        except OtherImageError:
            raise
        except ImageError as error:
            raise PkdError(f"{path}: can't be read as an image.", "Give JPEG or PNG files.") from error
    return {"inputs": loaded, "data_samples": None}


def main(argv: Sequence[str]) -> int:
    """Carry out the request in a JSON file and write the answer, or what went wrong, to its `answer`."""

    def work(request: dict[str, Any]) -> dict[str, Any]:
        levels = features(request)
        shapes = [{"level": level.name, "shape": list(level.student.shape)} for level in levels]
        return {"levels": shapes, **verify(levels)}

    return answer(argv, work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
