"""Writes work directories as mmdet and mmrazor leave them: `python tests/foreign.py FOLDER ANNOTATIONS`.

Everything that makes the files is stock: mmengine's Runner, hooks and visualizer, mmdet's CocoMetric, mmrazor's
validation loop, and the configs that the two packages ship. Only the detectors are stand-ins, so that it takes seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pkdcli.compat import activate

activate()

import mmdet  # noqa: E402
import mmrazor  # noqa: E402
import torch  # noqa: E402
from mmdet.evaluation import CocoMetric  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.evaluator import Evaluator  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.model import BaseModel  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from mmrazor.engine import SingleTeacherDistillValLoop  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402

FCOS = "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py"
PKD = "distill/mmdet/pkd/pkd_fpn_retina_x101_retina_r50_2x_coco.py"


class Detector(BaseModel):
    """Finds every object, its boxes too far to the right by a share of their width that falls with training."""

    def __init__(self, coco: COCO, off: float) -> None:
        super().__init__()
        self.off = torch.nn.Parameter(torch.tensor(off))
        self.coco = coco

    def forward(self, inputs=None, data_samples=None, mode="tensor", img_id=None):
        if mode == "loss":
            return {"loss_cls": self.off**2, "loss_bbox": self.off.abs() / 2}
        return [self.found(int(image)) for image in img_id]

    def found(self, image: int) -> dict:
        """One image's detections as mmdet hands them to its metric."""
        objects = self.coco.loadAnns(self.coco.getAnnIds(image))
        boxes = torch.tensor([o["bbox"] for o in objects], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 0] += boxes[:, 2] * float(self.off.detach())
        boxes[:, 2:] += boxes[:, :2]
        info = self.coco.loadImgs(image)[0]
        labels = torch.tensor([o["category_id"] for o in objects]) - min(self.coco.getCatIds())
        found = {"bboxes": boxes, "scores": torch.linspace(0.9, 0.5, len(objects)), "labels": labels}
        return {"img_id": image, "ori_shape": (info["height"], info["width"]), "pred_instances": found}


class Distilled(Detector):
    """The same with a better teacher, which mmrazor's validation loop evaluates too."""

    def __init__(self, coco: COCO, off: float) -> None:
        super().__init__(coco, off)
        self.teacher = Detector(coco, 0.05)


class Images(torch.utils.data.Dataset):
    """Nothing but the ids of the images."""

    METAINFO = {}  # noqa: RUF012

    def __init__(self, coco: COCO) -> None:
        self.ids = sorted(coco.getImgIds())
        self.metainfo = {"classes": tuple(c["name"] for c in coco.loadCats(coco.getCatIds()))}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict:
        return {"img_id": self.ids[index]}


class StopAt(Hook):
    """Fails in an epoch, as a crash does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def before_train_epoch(self, runner: Runner) -> None:
        if runner.epoch + 1 == self.epoch:
            raise ConnectionError


def run(folder: Path, config: Path, annotations: str, stop: int | None = None, resume: bool = False, seed=None) -> None:
    """Train as a config says, but for the detector and the pictures."""
    coco = COCO(annotations)
    cfg = Config.fromfile(config)
    distilled = "teacher" in cfg.model
    loader = {
        "batch_size": 2,
        "num_workers": 0,
        "dataset": Images(coco),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
    }
    torch.manual_seed(0)
    model = (Distilled if distilled else Detector)(coco, 0.4)
    if seed is not None:
        cfg.randomness = {"seed": seed}
    runner = Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg={**cfg.train_cfg, "val_interval": 4},
        val_cfg={"type": SingleTeacherDistillValLoop} if distilled else {},
        val_evaluator=Evaluator(CocoMetric(annotations, metric="bbox")),
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.002}},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 3}, "checkpoint": {"type": "CheckpointHook"}},
        custom_hooks=[StopAt(stop)] if stop else [],
        visualizer={"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]},
        randomness=cfg.get("randomness") or {"seed": None},
        resume=resume,
        experiment_name=folder.name,
        cfg=cfg,
    )
    try:
        runner.train()
    except ConnectionError:
        print(f"{folder.name} stopped in epoch {stop}")


def main(folder: Path, annotations: str) -> None:
    """A finished mmdet run, one that stopped, one that was resumed, and mmrazor's distillation."""
    stock = Path(mmdet.__file__).parent / ".mim" / "configs"
    razor = Path(mmrazor.__file__).parent / ".mim" / "configs"
    run(folder / "fcos", stock / FCOS, annotations, seed=3)
    run(folder / "stopped", stock / FCOS, annotations, stop=7)
    run(folder / "resumed", stock / FCOS, annotations, stop=7)
    time.sleep(1.1)  # a folder is named by the second it began in
    run(folder / "resumed", stock / FCOS, annotations, resume=True)
    run(folder / "pkd", razor / PKD, annotations)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
