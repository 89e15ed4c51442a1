"""Trains and tests a config with mmengine's own Runner: `python stock_training.py CONFIG FOLDER`.

A training of seconds finds next to nothing, so a few of its detections are made the truth, in FOLDER/val.json, and it
is tested on that: FOLDER/answer.json has these metrics, with each class's own.
"""

import json
import sys
from pathlib import Path

from pkdcli.compat import activate

activate()

from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner  # noqa: E402


def main(config: str, folder: Path) -> None:
    """Train, test, and test again."""
    cfg = Config.fromfile(config)
    cfg.work_dir, cfg.randomness = str(folder / "work"), {"seed": 0}
    Runner.from_cfg(cfg).train()
    cfg.load_from = str(next((folder / "work").glob("epoch_*.pth")))
    cfg.test_evaluator.outfile_prefix = str(folder / "found")
    cfg.experiment_name = "found"
    Runner.from_cfg(cfg).test()
    truth = json.loads(Path(cfg.test_evaluator.ann_file).read_text())
    by_image: dict[int, list] = {}
    for one in sorted(json.loads((folder / "found.bbox.json").read_text()), key=lambda one: -one["score"]):
        by_image.setdefault(one["image_id"], []).append(one)
    chosen = [one for found in by_image.values() for one in found[:24:3] if min(one["bbox"][2:]) > 1]
    truth["annotations"] = [
        {"id": n, "image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "iscrowd": 0,
         "area": one["bbox"][2] * one["bbox"][3]}
        for n, one in enumerate(chosen, 1)
    ]  # fmt: skip
    (folder / "val.json").write_text(json.dumps(truth))
    cfg.test_dataloader.dataset.ann_file = cfg.test_evaluator.ann_file = str(folder / "val.json")
    cfg.test_evaluator.classwise, cfg.test_evaluator.outfile_prefix = True, None
    cfg.experiment_name = "again"
    (folder / "answer.json").write_text(json.dumps(Runner.from_cfg(cfg).test()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
