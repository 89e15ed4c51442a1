"""What is measured while training: exact numbers, and no trace of the measuring in the training."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pkdcli import compat

compat.activate()

from pkdcli.engine.distill.level_stats import (  # noqa: E402
    LevelMeasures,
    correlation,
    detection_loss,
    level_gradient,
    measure,
)
from pkdcli.engine.losses import build_loss  # noqa: E402
from pkdcli.engine.train.hooks.diagnostics import PkdDiagnosticsHook, record  # noqa: E402


def maps(channels=12, size=(5, 7), seed=0):
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(4, channels, *size, generator=generator).requires_grad_()
    return student, torch.randn(4, channels, *size, generator=generator) + 0.3 * student.detach()


def test_r_is_numpys_correlation_averaged_over_channels():
    student, teacher = maps()
    expected = [
        np.corrcoef(student.detach()[:, c].flatten().numpy(), teacher[:, c].flatten().numpy())[0, 1] for c in range(12)
    ]
    r, constant_s, constant_t = correlation(student.detach(), teacher)
    assert float(r) == pytest.approx(np.mean(expected), abs=1e-6)
    assert (float(constant_s), float(constant_t)) == (0.0, 0.0)


def test_r_is_what_pkd_says_one_minus():
    student, teacher = maps()
    m = 4 * 5 * 7
    r = correlation(student.detach(), teacher)[0]
    assert build_loss("pkd")(student, teacher).item() == pytest.approx((1 - float(r)) * (m - 1) / m, rel=1e-4)


def test_r_of_a_constant_channel_counts_as_zero_and_is_reported():
    student, teacher = maps(channels=4)
    teacher = student.detach().clone()
    teacher[:, 1] = 3.0
    r, constant_s, constant_t = correlation(student.detach(), teacher)
    assert float(r) == pytest.approx(0.75, abs=1e-5)
    assert (float(constant_s), float(constant_t)) == (0.0, 0.25)


def test_r_of_a_student_of_another_size_is_that_of_the_resized_one():
    student, teacher = maps()
    small = student.detach()[..., :4, :3].contiguous()
    resized = F.interpolate(small, teacher.shape[2:], mode="bilinear")
    assert float(correlation(small, teacher)[0]) == pytest.approx(float(correlation(resized, teacher)[0]), abs=1e-6)


def test_gradient_norm_and_shares_equal_those_computed_by_hand():
    student, teacher = maps()
    loss = build_loss("mse", weight=3.0)(student, teacher)
    measured = measure(loss, student, student, teacher)
    gradient = 3.0 * 2 * (student.detach() - teacher) / student.numel()  # of 3 mean((s - t)^2)
    by_channel = gradient.double().pow(2).sum((0, 2, 3)).sqrt()
    assert float(measured.grad_norm) == pytest.approx(float(gradient.double().norm()), rel=1e-5)
    top = by_channel.sort(descending=True).values[:10].sum() / by_channel.sum()
    assert float(measured.top10_share) == pytest.approx(float(top), rel=1e-5)
    assert float(measured.loss) == float(loss)
    assert measured.connected
    assert measured.trainable
    assert measured.positions == 4 * 5 * 7


def test_one_dominant_channel_dominates_mse_and_not_pkd():
    student, teacher = maps(channels=40)
    teacher[:, 5] *= 1000
    shares = {
        name: float(measure(build_loss(name)(student, teacher), student, student, teacher).top10_share)
        for name in ("mse", "pkd")
    }
    assert shares["mse"] > 0.95
    assert shares["pkd"] < 0.5


def test_fewer_than_ten_channels_hold_the_whole_gradient():
    student, teacher = maps(channels=3)
    measured = measure(build_loss("mse")(student, teacher), student, student, teacher)
    assert float(measured.top10_share) == pytest.approx(1.0, abs=1e-6)


def test_a_half_precision_level_keeps_its_small_gradient():
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 64, 40, 40, generator=generator).half().requires_grad_()
    teacher = student.detach().float() + 1e-3
    loss = build_loss("mse")(student, teacher)
    # Each element of the gradient is 2e-3 / 204800 = 1e-8, less than float16 can hold.
    assert float(measure(loss, student, student, teacher).grad_norm) == pytest.approx(
        2e-3 / math.sqrt(204800), rel=0.01
    )


def test_a_loss_without_a_way_to_the_student_has_no_gradient():
    student, teacher = maps()
    assert level_gradient(build_loss("mse")(student.detach(), teacher), student) is None
    other = torch.ones(1, requires_grad=True)
    assert level_gradient(other.sum(), student) is None
    measured = measure(other.sum(), student, student, teacher)
    assert not measured.connected
    assert math.isnan(float(measured.grad_norm))
    frozen = student.detach()
    assert not measure(build_loss("mse")(frozen, teacher), frozen, frozen, teacher).trainable


def test_the_gradient_of_the_detectors_own_loss_is_measured_beside_the_distillations():
    student, teacher = maps()
    losses = {"loss_cls": [2 * student.sum(), student.pow(2).sum()], "loss_bbox": student.mean(), "acc": torch.ones(1)}
    detection = detection_loss(losses)
    measured = measure(build_loss("mse")(student, teacher), student, student, teacher, detection)
    gradient = 2 + 2 * student.detach() + 1 / student.numel()
    assert float(measured.detection_grad_norm) == pytest.approx(float(gradient.double().norm()), rel=1e-5)
    assert record({1: measured})["level1.detection_grad_norm"] == pytest.approx(float(gradient.norm()), rel=1e-5)
    detection.backward()  # its graph is still there
    assert student.grad is not None
    assert detection_loss({"acc": torch.ones(1)}) is None


def test_a_graph_that_refuses_a_second_look_is_not_measured_and_breaks_nothing():
    from torch.utils.checkpoint import checkpoint

    student, teacher = maps()
    detection = checkpoint(lambda x: x.pow(2).sum(), student, use_reentrant=True)
    measured = measure(build_loss("mse")(student, teacher), student, student, teacher, detection)
    assert measured.detection_grad_norm is None
    assert float(measured.grad_norm) > 0


def level(norm, loss=1.0):
    values = {
        "loss": loss,
        "r": 0.5,
        "grad_norm": norm,
        "top10_share": 0.2,
        "constant_student": 0,
        "constant_teacher": 0,
    }
    tensors = {key: torch.tensor(float(value)) for key, value in values.items()}
    return LevelMeasures(**tensors, connected=True, trainable=True, positions=9)


def test_shares_of_the_levels_add_up_to_one():
    values = record({0: level(3.0), 2: level(1.0, loss=7.0)})
    assert values == {
        "level0.loss": 1.0,
        "level0.r": 0.5,
        "level0.grad_norm": 3.0,
        "level0.grad_share": 0.75,
        "level0.top10_share": pytest.approx(0.2),
        "level0.constant_student": 0.0,
        "level0.constant_teacher": 0.0,
        "level2.loss": 7.0,
        "level2.r": 0.5,
        "level2.grad_norm": 1.0,
        "level2.grad_share": 0.25,
        "level2.top10_share": pytest.approx(0.2),
        "level2.constant_student": 0.0,
        "level2.constant_teacher": 0.0,
    }
    assert math.isnan(record({0: level(0.0)})["level0.grad_share"])


class Runner:
    """The little of mmengine's Runner that the hook reads."""

    def __init__(self, work_dir, max_iters):
        self.work_dir, self.max_iters, self.iter, self.epoch = str(work_dir), max_iters, 0, 0
        self.model = torch.nn.Module()
        self.model.taught_until = None  # it has its teacher to the end
        self.model.distiller = torch.nn.Module()
        self.model.distiller.measuring = False
        self.model.distiller.measured = {}


@pytest.mark.parametrize(
    ("max_iters", "records", "steps"),
    [(10, 5, [1, 2, 4, 6, 8, 10]), (7, 2, [1, 3, 6, 7]), (3, 50, [1, 2, 3]), (4, 0, [])],
)
def test_first_last_and_evenly_spaced_steps_are_measured(tmp_path, max_iters, records, steps):
    runner, hook = Runner(tmp_path, max_iters), PkdDiagnosticsHook(records)
    for runner.iter in range(max_iters):
        runner.model.distiller.measured = {}
        hook.before_train_iter(runner, 0)
        if runner.model.distiller.measuring:
            runner.model.distiller.measured = {0: level(1.0)}
        runner.model.distiller.measuring = False
        hook.after_train_iter(runner, 0)
    path = tmp_path / "metrics.jsonl"
    written = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    assert [one["iter"] for one in written] == steps
    assert all(one["kind"] == "levels" and one["level0.grad_share"] == 1.0 for one in written)
