"""How far a step moves the weights: by hand, at the right steps, and without a trace in the training."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from pkdcli import compat

compat.activate()

from pkdcli.engine.train.hooks.updates import LARGEST, PkdUpdatesHook, moved, parts_of, some_of  # noqa: E402


def student():
    model = nn.Module()
    model.backbone, model.neck, model.bbox_head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1), nn.Linear(2, 5)
    return model


def distilled():
    model = nn.Module()
    model.architecture, model.distiller = student(), nn.Module()
    model.distiller.connectors = nn.ModuleDict({"adapter0": nn.Conv2d(2, 6, 1)})
    return model


class Runner:
    """The little of mmengine's Runner that the hook reads."""

    def __init__(self, work_dir, model, max_iters, together=1):
        self.work_dir, self.model, self.max_iters, self.iter, self.epoch = str(work_dir), model, max_iters, 0, 0
        self.optim_wrapper = type("Wrapper", (), {"_accumulative_counts": together})()


def test_weights_are_told_apart_by_their_part_of_the_detector():
    model = distilled()
    parts = parts_of(model)
    assert {part: [id(one) for one in found] for part, found in parts.items()} == {
        "backbone": [id(model.architecture.backbone.weight)],
        "neck": [id(model.architecture.neck.weight)],
        "head": [id(model.architecture.bbox_head.weight)],
        "adapters": [id(model.distiller.connectors["adapter0"].weight)],
    }
    assert list(parts_of(student())) == ["backbone", "neck", "head"]


def test_a_few_tensors_are_looked_at_and_neither_frozen_nor_huge_ones():
    weights = [nn.Parameter(torch.ones(2, n + 1)) for n in range(10)]
    assert [one.shape[1] for one in some_of(weights)] == [1, 4, 7, 10]
    weights[0].requires_grad_(False)
    huge = nn.Parameter(torch.empty(LARGEST + 1, 1))
    assert [one.shape[1] for one in some_of([huge, *weights[:3]])] == [2, 3]
    assert some_of([huge]) == []


def test_a_step_is_told_as_a_share_of_the_weights():
    model = distilled()
    before = {part: [one.detach().clone() for one in some_of(found)] for part, found in parts_of(model).items()}
    with torch.no_grad():
        model.architecture.backbone.weight *= 1.01
        model.architecture.bbox_head.weight *= 0.98
    model.architecture.neck.weight.requires_grad_(False)
    values = moved(parts_of(model), before)
    assert values == {
        "backbone.update": pytest.approx(0.01 / 1.01, rel=1e-3),
        "backbone.trained": 1.0,
        "neck.trained": 0.0,
        "head.update": pytest.approx(0.02 / 0.98, rel=1e-3),
        "head.trained": 1.0,
        "adapters.update": 0.0,
        "adapters.norm": pytest.approx(float(model.distiller.connectors["adapter0"].weight.detach().norm()), rel=1e-5),
        "adapters.trained": 1.0,
    }


@pytest.mark.parametrize(
    ("max_iters", "records", "together", "steps"),
    [(10, 5, 1, [2, 4, 6, 8, 10]), (7, 2, 1, [3, 6]), (8, 8, 4, [4, 8]), (4, 0, 1, [])],
)
def test_steps_that_move_the_weights_are_measured_at_regular_distances(tmp_path, max_iters, records, together, steps):
    runner, hook = Runner(tmp_path, student(), max_iters, together), PkdUpdatesHook(records)
    for runner.iter in range(max_iters):
        hook.before_train_iter(runner, 0)
        hook.after_train_iter(runner, 0)
    path = tmp_path / "metrics.jsonl"
    written = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    assert [one["iter"] for one in written] == steps
    assert all(one["kind"] == "updates" and one["backbone.update"] == 0.0 for one in written)
