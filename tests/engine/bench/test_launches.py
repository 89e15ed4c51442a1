"""What losses and a step ask of a GPU, counted on a fake one, and the bounds that are kept."""

from __future__ import annotations

import pytest
import torch

import pkdcli.engine.register  # noqa: F401

# isort: split
from torch.nn import functional as F

from pkdcli.engine.bench import worker
from pkdcli.engine.bench.sections.launches import CHANNELS, LEVELS, of_loss
from pkdcli.engine.bench.sections.losses import peers
from pkdcli.engine.losses import build_loss, rows

SMALL = [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2)]
MOST = {"pkd": 126, "mse": 31, "norm-mse": 116, "norm-kl": 116}  # mmrazor's PKDLoss 201, F.mse_loss 16, plain KL 241


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", list(MOST))
def test_a_loss_waits_for_nothing_and_launches_little(name, dtype):
    ours, theirs = of_loss(build_loss(name), dtype, SMALL), of_loss(peers()[name][1], dtype, SMALL)
    assert ours.syncs == 0
    assert ours.transfers == []
    assert ours.kernels <= MOST[name]
    assert ours.kernels <= {"pkd": 1, "mse": 2, "norm-mse": 1, "norm-kl": 0.5}[name] * theirs.kernels


def test_sizes_and_channels_change_no_count():
    ours = build_loss("norm-kl")
    assert of_loss(ours, torch.float32, SMALL).operations == of_loss(ours, torch.float32, [(9, 7)] * 5).operations
    assert (len(LEVELS), CHANNELS) == (len(SMALL), 2)


def test_a_weight_is_one_launch_each_way():
    once = of_loss(build_loss("pkd"), torch.float32, SMALL).kernels
    assert of_loss(build_loss("pkd", weight=6), torch.float32, SMALL).kernels == once + 2 * len(SMALL)


def test_the_teachers_map_is_not_kept(gpu):
    student, teacher = torch.randn(2, 2, 3, 4, 5).to("cuda")
    value = rows.distance(student.requires_grad_(), teacher, True, True, 2)
    # The student's, which its heads keep anyway; the gradient, row by row; a factor a row.
    assert [tuple(kept.shape) for kept in value.grad_fn.saved_tensors] == [(2, 3, 4, 5), (3, 40), (3, 1)]


def test_a_gpu_is_what_is_counted():
    counts = of_loss(F.mse_loss, torch.float32, [(2, 2)])
    assert dict(counts.operations) == {"mse_loss": 1, "add": 1, "ones_like": 1, "mse_loss_backward": 1}


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    """The numbers of the section by name, on pictures of 64 pixels."""
    from pkdcli.data.prepare import facts
    from pkdcli.recipe.resolve import Request, resolve

    folder = tmp_path_factory.mktemp("launches")
    recipe = resolve(Request(scale="tiny", batch_size=2, sets=("workers=0",)))
    recipe = recipe.model_copy(update={"data": facts(recipe.data, folder)})
    request = {"recipe": recipe.model_dump(mode="json"), "image": [64, 64], "repeat": 1, "students": 2,
               "eval_images": 1, "runs": 1, "teacher": None, "epochs": 1}  # fmt: skip
    section = worker.sections(request, folder)["launches"]()
    return section, {number["name"]: number["value"] for number in section.numbers}


def test_a_step_launches_no_more_than_mmrazors_and_waits_less(step):
    _, found = step
    assert found["step, pkd: in all, kernels"] <= found["step, mmrazor: in all, kernels"]
    assert found["step, pkd: in all, waits"] < found["step, mmrazor: in all, waits"]


@pytest.mark.parametrize("name", ["pkd", "pkd, AMP"])
def test_what_is_no_detector_of_mmdets_waits_for_nothing(step, name):
    _, found = step
    for phase in ("data", "teacher", "distillation losses", "sum", "log"):
        assert found[f"step, {name}: {phase}, waits"] == 0
    # Both views of two pictures: a subtraction each; the teacher's are turned round, and divided together.
    assert found[f"step, {name}: data, kernels"] == 7
    assert found[f"step, {name}: log, kernels"] == 1
    assert found[f"step, {name}: distillation losses, kernels"] == 4 * 22


def test_every_bound_is_kept(step):
    section, _ = step
    assert [number["name"] for number in section.numbers if number["ok"] is False] == []
    assert sum(number["ok"] is True for number in section.numbers) >= 20
