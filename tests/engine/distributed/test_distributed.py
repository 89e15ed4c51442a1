"""Two processes with half a batch each do what one process does with the whole batch.

In float64, where the order of sums is worth 1e-11 at most (2^-53 a term, some 10^5 terms). That includes the epsilon
that mmdet's `weight_reduce_loss` adds to a normaliser, which is half as large on two processes: it asks for float32's,
and gets float64's here.
"""

from __future__ import annotations

import json
import shutil

import pytest

ROUNDING = 1e-11
STEPS = 6

# GFL divides by the sum of its positives' scores, and by 1 where that is less: then two processes are not one. So its
# scores start at 0.3.
SURE = "student.set.bbox_head.init_cfg.override.bias_prob=0.3"

# Executed by each process before anything else: all numbers are float64, also where mmdet and mmcv ask for float32
# (boxes and scales of FCOS, anchors of GFL); which images it sees, and what DDP is told, is noted.
FIRST = """
import torch
torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double

class Float64:
    float = torch.float64

    def finfo(self, kind):
        return torch.finfo(torch.float64)

    def __getattr__(self, name):
        return getattr(torch, name)

from mmcv.cnn.bricks import scale
from mmdet.models.dense_heads import gfl_head
from mmdet.models.losses import utils
gfl_head.torch = scale.torch = utils.torch = Float64()

from mmdet.models.task_modules import AnchorGenerator
anchors = AnchorGenerator.grid_priors
AnchorGenerator.grid_priors = lambda self, sizes, dtype=None, device=None: anchors(self, sizes, torch.float64, device)
from mmengine.model import MMDistributedDataParallel
from pkdcli.engine.train.loop import PkdTrainLoop
run_iter, wrap, note = PkdTrainLoop.run_iter, MMDistributedDataParallel.__init__, asked["run"] + "-rank" + env["RANK"]

def one_step(loop, index, batch):
    for sample in batch["data_samples"]:
        sample.gt_instances.bboxes.tensor = sample.gt_instances.bboxes.tensor.double()
    with open(note, "a") as file:
        file.write(json.dumps([sample.img_id for sample in batch["data_samples"]]) + "\\n")
    run_iter(loop, index, batch)

def wrapped(ddp, *args, **kwargs):
    wrap(ddp, *args, **kwargs)
    told = {
        "find_unused_parameters": ddp.find_unused_parameters,
        "teacher": [name for name, _ in ddp.named_parameters() if "teacher" in name],
        "numbers": sum(one.numel() for one in ddp.parameters() if one.requires_grad),
    }
    with open(note + "-ddp", "w") as file:
        json.dump(told, file)

PkdTrainLoop.run_iter, MMDistributedDataParallel.__init__ = one_step, wrapped
"""


@pytest.fixture(scope="module")
def both(make_run, workers, tmp_path_factory):
    """The same run on one process and on two."""
    kept = {}

    def both(pair="gfl101-fcos50", stat_chunk="2"):
        if (pair, stat_chunk) not in kept:
            folder = tmp_path_factory.mktemp("both")
            sets = (f"loss.stat_chunk={stat_chunk}", SURE)
            usual = {"pair": pair, "epochs": 2, "val_interval": 2, "init": "scratch"}
            kept[pair, stat_chunk] = [
                workers.finish(make_run(folder / str(count), *sets, processes=count, **usual), FIRST, count)
                for count in (1, 2)
            ]
        return kept[pair, stat_chunk]

    return both


def weights(path):
    from pkdcli.engine.checkpoint import read_checkpoint

    return read_checkpoint(path)["state_dict"]


def distances(one, two) -> dict[str, float]:
    """How far each tensor of two students is apart, in parts of its size."""
    first, second = (weights(run / "student.pth") for run in (one, two))
    assert first.keys() == second.keys()
    assert {name: str(value.dtype) for name, value in first.items() if value.dtype.itemsize < 8} == {}
    return {name: float((second[name] - value).norm() / value.norm().clamp(min=1e-6)) for name, value in first.items()}


def trained(run) -> list[dict]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == "train"]


def seen(run, rank) -> list[list[int]]:
    return [json.loads(line) for line in (run.parent / f"{run.name}-rank{rank}").read_text().splitlines()]


@pytest.mark.parametrize("pair", ["gfl101-fcos50", "gfl101-gfl50"])
def test_two_processes_equal_one(both, pair):
    one, two = both(pair)
    apart = distances(one, two)
    print("furthest apart:", max(apart.values()))
    assert {name: value for name, value in apart.items() if not value <= ROUNDING} == {}
    assert len(trained(one)) == len(trained(two)) == STEPS
    for first, second in zip(trained(one), trained(two), strict=True):
        losses = [name for name in first if "loss" in name]
        assert len([name for name in losses if "distill" in name]) == 4
        assert [second[name] for name in losses] == pytest.approx([first[name] for name in losses], rel=ROUNDING)


def test_statistics_over_the_whole_batch_do_not(both):
    """mmrazor's behaviour: pkd's correlation over 2 images is another quantity than over 4."""
    apart = distances(*both(stat_chunk="batch"))
    assert max(apart.values()) > 1e-3
    assert max(apart.values()) > 1e6 * max(distances(*both()).values())


def test_images_are_split_evenly(both):
    one, two = both()
    together = [a + b for a, b in zip(seen(two, 0), seen(two, 1), strict=True)]
    assert together == seen(one, 0)
    assert [len(images) for rank in (0, 1) for images in seen(two, rank)] == [2] * (2 * STEPS)


def test_the_teacher_stays_outside(both):
    run = both()[1]
    told = [json.loads((run.parent / f"{run.name}-rank{rank}-ddp").read_text()) for rank in (0, 1)]
    student = sum(value.numel() for value in weights(run / "student.pth").values())
    assert told == [{"find_unused_parameters": False, "teacher": [], "numbers": student}] * 2


def test_the_teacher_is_stored_once(both, lab_cache):
    run = both()[1]
    states = list((run / "checkpoints").iterdir())
    assert states
    for path in (*states, run / "student.pth"):
        assert not [name for name in weights(path) if "teacher" in name]
    job = json.loads((run / "job.json").read_text())
    assert [str(path.parent) for path in lab_cache.rglob("teacher.pth")] == [job["teacher"]]
    assert sorted(path.name for path in run.rglob("*.pth")) == sorted(["student.pth", *(path.name for path in states)])


@pytest.fixture(scope="module")
def learned(make_run, workers, tmp_path_factory):
    """A run that is long enough for its student to find something."""
    return workers.finish(make_run(tmp_path_factory.mktemp("learned"), loss="none", epochs=30, val_interval=30))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_odd_number_of_images_is_evaluated_once_each(learned, workers, tmp_path, processes):
    """A run killed before its last evaluation makes up for it, on any number of processes, with the same metrics."""
    run = shutil.copytree(learned, tmp_path / learned.name)
    for name in ("result.json", "student.pth"):
        (run / name).unlink()
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(line for line in lines if '"val"' not in line))
    steps = trained(run)
    workers.finish(run, "", processes)
    metrics = [json.loads((one / "result.json").read_text())["metrics"] for one in (learned, run)]
    assert metrics[0] == metrics[1]
    assert metrics[0]["mAP"] > 0  # else nothing would show how often an image counts
    assert trained(run) == steps  # none was taken again
