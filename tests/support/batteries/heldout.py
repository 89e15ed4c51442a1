"""Runs that the rules of `pkd diagnose` had not seen: two batteries, broken on purpose.

Each was made when the rules stood, and judged by them before anything was changed: docs/diagnose.md has what was named
then, and what is named today. Data: 66 or 133 images of the shapes (400 for `too-short`), so that the whole schedule
takes 100 steps of 4 images, or 50 images of blood cells. `heldout_make.py` makes them again, `heldout_pack.py` keeps
their records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACKED = Path(__file__).parents[2] / "reporting" / "diagnosis" / "heldout.tar.xz"


@dataclass(frozen=True)
class Held:
    """A run.

    Attributes:
        cause: What is planted, as docs/diagnose.md calls it; `healthy` for none.
        planted: The same in words, as the page has it.
        words: The options of `pkd train` beside those that all have (`ALL`).
        unseen: What was named first by rules that had not seen it, and its score.
        look: Whether it is told by `--look`.
        teacher: Whose weights teach, of `heldout_make.TEACHERS`; None for the good one of its pair and data.
    """

    cause: str
    planted: str
    words: str
    unseen: str
    look: bool = False
    teacher: str | None = None


ALL = "--scale tiny --batch-size 4 --threads 1 --workers 0 --val-interval 20"


def _of(pair: str, usual: str) -> Callable[..., str]:
    """The options that name pair, data and seed: a function of the seed, and of the data where they are others."""
    return lambda seed, data=usual: f"--pair {pair} --data {data}.yaml --seed {seed}"


_s, _sx = _of("gfl101-fcos50", "s66"), _of("fcosx101-retina50", "s133")
_q, _qx = _of("gfl101-fcos50", "q66"), _of("fcosx101-retina50", "q133")
_INPUT = "--set config.model.data_preprocessor.teacher"


def _part(part: str, factor: str = "0.0") -> str:
    return f"--set 'config.optim_wrapper.paramwise_cfg={{custom_keys: {{{part}: {{lr_mult: {factor}}}}}}}'"


_SMALL = "student.set.neck.out_channels={0} --set student.set.bbox_head.in_channels={0}"
_RELU = "--set 'config.model.architecture.neck.act_cfg={{type: ReLU}}' --set config.load_from={}-student.pth"
FIRST: dict[str, Held] = {
    "nkl-strong": Held("overwhelms", "norm-kl, weight 3000",
                       f"{_s(2)} --loss norm-kl --weight 3000", "`overwhelms` 1.00"),
    "r-mse-strong": Held("overwhelms", "B, mse, weight 500", f"{_sx(3)} --loss mse --weight 500", "`overwhelms` 1.00"),
    "r-mse-weak": Held("overwhelmed", "B, mse, weight 0.002",
                       f"{_sx(2)} --loss mse --weight 0.002", "`overwhelmed` 0.70"),
    "bgr": Held("normalisation", "mse, the teacher's colours in the order of BGR",
                f"{_s(3)} --loss mse --weight 3 {_INPUT}.bgr_to_rgb=false", "`normalisation` 1.00"),
    "r-not-normalised": Held("normalisation", "B, norm-kl, the teacher's input divided by 255 alone",
                             f"{_sx(3)} --loss norm-kl {_INPUT}.mean=[0.0,0.0,0.0] {_INPUT}.std=[255.0,255.0,255.0]",
                             "`normalisation` 1.00"),
    "few-steps-teacher": Held("weak-teacher", "norm-kl, a teacher of 30 steps", f"{_s(2)} --loss norm-kl",
                              "`weak-teacher` 1.00", teacher="gfl101-30-steps"),
    "bccd-shuffled": Held("labels", "mse, blood cells, training labels drawn at random (`--look`)",
                          f"{_s(2, 'bshuf')} --loss mse --weight 3", "`labels` 1.00", look=True),
    "r-frozen": Held("frozen", "B, mse, the student's backbone does not learn",
                     f"{_sx(3)} --loss mse --weight 5 {_part('backbone')}", "`frozen` 1.00"),
    "r-neck-frozen": Held("frozen", "B, norm-kl, the student's neck does not learn",
                          f"{_sx(2)} --loss norm-kl {_part('neck')}", "`frozen` 1.00"),
    "r-lr-12": Held("rate-high", "B, pkd, learning rate 12 times as high", f"{_sx(3)} --set scale.lr_factor=12",
                    "`rate-high` 1.00"),
    "r-lr-over-50": Held("rate-low", "B, norm-kl, learning rate 50 times as low",
                         f"{_sx(2)} --loss norm-kl --set scale.lr_factor=0.02", "`rate-low` 0.67"),
    "r-zero-level": Held("dead-level", "B, mse, a level's loss has weight 0", f"{_sx(3)} --loss mse --weight 5 --set "
                         "config.model.distiller.distill_losses.loss_mse_fpn2.loss_weight=0.0", "`dead-level` 1.00"),
    "student-channels": Held("constant-channels", "pkd, half of the student's channels are constant",
                             f"{_s(2)} {_RELU.format('half-constant')}", "`constant-channels` 1.00"),
    "r-mispaired": Held("mispaired", "B, mse, levels 0:2, 1:3, 2:0, 3:1",
                        f"{_sx(2)} --loss mse --weight 3 --levels 0:2,1:3,2:0,3:1", "`mispaired` 1.00"),
    "r-domain": Held("domain", "B, pkd, images of 80 pixels for a teacher of 160",
                     f"{_sx(2)} --set scale.image=[80,80]",
                     "`domain` 0.77"),
    "corners": Held("data", "norm-kl, corners as sizes in the boxes of the training",
                    f"{_s(3, 'corners')} --loss norm-kl --allow-bad-data", "`data` 0.90"),
    "r-short": Held("too-short", "B, pkd, 1 epoch of 6",
                    f"{_sx(2, 's400')} --schedule 2x --epochs 1", "`too-short` 0.52"),
    "adapters": Held("adapters", "mse, adapters at 100 times the rate, neck of 32 channels",
                     f"{_s(3)} --loss mse --weight 3 --set {_SMALL.format(32)} {_part('distiller', '100.0')}",
                     "healthy (0.31)"),
    "conflict": Held("conflict", "pkd, weight 30, from a trained student on, at a fifth of the rate",
                     f"{_s(2)} --weight 30 --set config.load_from=student.pth --set scale.lr_factor=0.2",
                     "healthy (0)"),
    "healthy-norm-kl": Held("healthy", "nothing (norm-kl, 102 steps)", f"{_s(4)} --loss norm-kl", "`too-short` 0.75"),
    "r-healthy": Held("healthy", "nothing (B, mse, 102 steps)", f"{_sx(3)} --loss mse --weight 3", "`labels` 0.63"),
    "r-healthy-pkd": Held("healthy", "nothing (B, pkd, 102 steps)", _sx(4), "healthy"),
    "bccd-healthy": Held("healthy", "nothing (pkd, blood cells)", _s(2, "b50"), "healthy"),
}  # fmt: skip
SECOND: dict[str, Held] = {
    "r-pkd-strong": Held("overwhelms", "B, pkd, weight 1000", f"{_qx(5)} --weight 1000", "`overwhelms` 1.00"),
    "nkl-weak": Held("overwhelmed", "norm-kl, weight 0.001", f"{_q(5)} --loss norm-kl --weight 0.001",
                     "`overwhelmed` 1.00"),
    "std-one": Held("normalisation", "pkd, the teacher's deviation 1 in place of 58",
                    f"{_q(6)} {_INPUT}.std=[1.0,1.0,1.0]", "`normalisation` 1.00"),
    "r-bgr": Held("normalisation", "B, pkd, the teacher's colours in the order of BGR",
                  f"{_qx(6)} {_INPUT}.bgr_to_rgb=false", "`normalisation` 1.00"),
    "r-few-steps-teacher": Held("weak-teacher", "B, mse, a teacher of 15 steps", f"{_qx(6)} --loss mse --weight 2",
                                "`domain` 1.00", teacher="fcosx101-15-steps"),
    "bccd-swapped": Held("labels", "norm-kl, blood cells, names exchanged in the training (`--look`)",
                         f"{_q(5, 'bswap')} --loss norm-kl", "`labels` 1.00", look=True),
    "frozen-head": Held("frozen", "mse, the student's head does not learn",
                        f"{_q(5)} --loss mse --weight 2 {_part('bbox_head')}", "`frozen` 1.00"),
    "lr-15": Held("rate-high", "norm-kl, learning rate 15 times as high",
                  f"{_q(5)} --loss norm-kl --set scale.lr_factor=15", "`rate-high` 1.00"),
    "r-lr-over-40": Held("rate-low", "B, mse, learning rate 40 times as low",
                         f"{_qx(6)} --loss mse --weight 2 --set scale.lr_factor=0.025", "`rate-low` 0.65"),
    "dead-student-level": Held("dead-level", "mse, a level of the student is constant",
                               f"{_q(6)} --loss mse --weight 5 {_RELU.format('dead-level')}", "`dead-level` 1.00"),
    "r-zero-level": Held("dead-level", "B, pkd, the finest level's loss has weight 0", f"{_qx(6)} --set "
                         "config.model.distiller.distill_losses.loss_pkd_fpn0.loss_weight=0.0", "`dead-level` 1.00"),
    "r-constant": Held("constant-channels", "B, norm-kl, half of the teacher's channels are constant",
                       f"{_qx(5)} --loss norm-kl", "`constant-channels` 1.00", teacher="fcosx101-constant"),
    "r-left-out": Held("mispaired", "B, norm-kl, levels 0:0, 3:3", f"{_qx(5)} --loss norm-kl --levels 0:0,3:3",
                       "`mispaired` 0.70"),
    "domain": Held("domain", "mse, images of 72 pixels for a teacher of 160",
                   f"{_q(6)} --loss mse --weight 5 --set scale.image=[72,72]", "`domain` 0.92"),
    "leak": Held("data", "mse, validation images in the training",
                 f"{_q(5, 'leak')} --loss mse --weight 3 --allow-bad-data",
                 "`data` 0.90"),
    "r-short": Held("too-short", "B, mse, 1 epoch of 6",
                    f"{_qx(5, 'q400')} --loss mse --weight 2 --schedule 2x --epochs 1",
                    "`too-short` 0.74"),
    "r-adapters": Held("adapters", "B, mse, adapters at 40 times the rate, neck of 48 channels",
                       f"{_qx(5)} --loss mse --weight 2 --set {_SMALL.format(48)} {_part('distiller', '40.0')}",
                       "`adapters` 1.00"),
    "conflict": Held("conflict", "norm-kl, weight 40, from a trained student on, at a third of the rate",
                     f"{_q(6)} --loss norm-kl --weight 40 --set config.load_from=student.pth --set scale.lr_factor=0.3",
                     "`conflict` 0.83"),
    "healthy-mse": Held("healthy", "nothing (mse, 102 steps)", f"{_q(7)} --loss mse --weight 2", "healthy"),
    "r-healthy": Held("healthy", "nothing (B, norm-kl, 102 steps)", f"{_qx(7)} --loss norm-kl", "healthy"),
    "bccd-healthy": Held("healthy", "nothing (mse, blood cells, 78 steps)", f"{_q(6, 'c50')} --loss mse --weight 3",
                         "`too-short` 0.75"),
}  # fmt: skip
TWO: dict[str, Held] = {
    "overwhelms+normalisation": Held(
        "overwhelms+normalisation", "norm-kl, weight 3000; the teacher's input divided by 255 alone",
        f"{_s(8)} --loss norm-kl --weight 3000 {_INPUT}.mean=[0.0,0.0,0.0] {_INPUT}.std=[255.0,255.0,255.0]", "both"),
    "rate-high+normalisation": Held(
        "rate-high+normalisation", "B, mse, learning rate 12 times as high; the teacher's colours in the order of BGR",
        f"{_sx(8)} --loss mse --weight 3 --set scale.lr_factor=12 {_INPUT}.bgr_to_rgb=false", "both"),
    "frozen+overwhelmed": Held(
        "frozen+overwhelmed", "pkd, the student's backbone does not learn; weight 0.0001",
        f"{_s(9)} --weight 0.0001 {_part('backbone')}", "both"),
    "rate-low+overwhelms": Held(
        "rate-low+overwhelms", "B, mse, learning rate 50 times as low; weight 500",
        f"{_sx(9)} --loss mse --weight 500 --set scale.lr_factor=0.02", "both"),
    "data+mispaired": Held(
        "data+mispaired", "mse, corners as sizes in the boxes of the training; levels 0:2, 1:3, 2:0, 3:1",
        f"{_s(8, 'corners')} --loss mse --weight 3 --levels 0:2,1:3,2:0,3:1 --allow-bad-data", "both"),
    "weak-teacher+dead-level": Held(
        "weak-teacher+dead-level", "pkd, a teacher of 30 steps; a level's loss has weight 0",
        f"{_s(9)} --set config.model.distiller.distill_losses.loss_pkd_fpn1.loss_weight=0.0", "both",
        teacher="gfl101-30-steps"),
    "constant-channels+domain": Held(
        "constant-channels+domain",
        "pkd, half of the student's channels are constant; images of 72 pixels for a teacher of 160",
        f"{_s(8)} --set scale.image=[72,72] {_RELU.format('half-constant')}", "both"),
    "frozen+rate-high": Held(
        "frozen+rate-high", "B, norm-kl, the student's neck does not learn; learning rate 12 times as high",
        f"{_sx(8)} --loss norm-kl {_part('neck')} --set scale.lr_factor=12", "both"),
    "too-short+overwhelms": Held(
        "too-short+overwhelms", "B, mse, 1 epoch of 6; weight 500",
        f"{_sx(9, 's400')} --loss mse --weight 500 --schedule 2x --epochs 1", "both"),
    "adapters+dead-level": Held(
        "adapters+dead-level", "mse, adapters at 100 times the rate, neck of 32 channels; a level's loss has weight 0",
        f"{_s(8)} --loss mse --weight 3 --set {_SMALL.format(32)} {_part('distiller', '100.0')} "
        "--set config.model.distiller.distill_losses.loss_mse_fpn2.loss_weight=0.0", "both"),
    "rate-low+frozen": Held(
        "rate-low+frozen", "pkd, learning rate 50 times as low; the student's head does not learn",
        f"{_s(9)} --set scale.lr_factor=0.02 {_part('bbox_head')}", "both"),
    "rate-high+overwhelms": Held(
        "rate-high+overwhelms", "mse, learning rate 12 times as high; weight 500",
        f"{_s(8)} --loss mse --weight 500 --set scale.lr_factor=12", "both"),
    "rate-high+overwhelmed": Held(
        "rate-high+overwhelmed", "B, pkd, learning rate 12 times as high; weight 0.001",
        f"{_sx(8)} --weight 0.001 --set scale.lr_factor=12", "`rate-high` 1.00, `overwhelmed` not"),
    "mispaired+overwhelmed": Held(
        "mispaired+overwhelmed", "norm-kl, levels in reverse order; weight 0.001",
        f"{_s(9)} --loss norm-kl --weight 0.001 --levels 0:3,1:2,2:1,3:0", "both"),
    "too-short+frozen": Held(
        "too-short+frozen", "B, mse, 1 epoch of 6; the student's backbone does not learn",
        f"{_sx(8, 's400')} --loss mse --weight 3 --schedule 2x --epochs 1 {_part('backbone')}", "both"),
    "conflict+normalisation": Held(
        "conflict+normalisation",
        "norm-kl, weight 40, from a trained student on, at a third of the rate; colours in the order of BGR",
        f"{_s(9)} --loss norm-kl --weight 40 --set config.load_from=student.pth "
        f"--set scale.lr_factor=0.3 {_INPUT}.bgr_to_rgb=false", "both"),
}  # fmt: skip
"""Runs with two causes each, judged like the batteries by rules that had not seen such: whether both were among the
first three that were named."""
