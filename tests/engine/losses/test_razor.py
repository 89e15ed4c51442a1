"""Against mmrazor's own classes: pkd and mse, those wrapped by name, and what its distiller builds."""

from __future__ import annotations

import pytest
import torch

from pkdcli.compat import activate
from pkdcli.engine.losses import FeatureShapeError, available_losses, build_loss
from pkdcli.errors import PkdError
from pkdcli.recipe.library import unavailable_losses


@pytest.fixture(scope="module")
def losses():
    """The module mmrazor.models.losses."""
    activate()
    from mmrazor.models import losses

    return losses


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(2, 16, 25, 42), (1, 8, 13, 21), (4, 8, 7, 5)])
def test_pkd_is_mmrazors(losses, shape, dtype, maps, graded, apart):
    bound = 1e-12 if dtype == torch.float64 else 2e-6
    student, teacher = maps(*shape, dtype=dtype)
    value, gradient = graded(build_loss("pkd", weight=10.0), student, teacher)
    expected, expected_gradient = graded(losses.PKDLoss(loss_weight=10.0), student, teacher)
    assert value == pytest.approx(expected, rel=bound)
    assert apart(gradient, expected_gradient) < bound


def test_pkd_is_mmrazors_where_the_sizes_differ(losses, maps, graded, apart):
    student, _ = maps(2, 4, 12, 14)
    _, teacher = maps(2, 4, 6, 7, seed=1)
    value, gradient = graded(build_loss("pkd"), student, teacher)
    expected, expected_gradient = graded(losses.PKDLoss(), student, teacher)
    assert value == pytest.approx(expected, rel=1e-12)
    assert apart(gradient, expected_gradient) < 1e-12


@pytest.mark.parametrize(
    ("name", "ours", "module", "theirs"),
    [
        ("cwd", {}, "ChannelWiseDivergence", {}),
        ("cwd", {"temperature": 4.0}, "ChannelWiseDivergence", {"tau": 4.0}),
        ("at", {}, "ATLoss", {}),
        ("l1", {}, "L1Loss", {}),
        ("l2", {}, "L2Loss", {}),
        ("l2", {"normalize": False, "div_element": True}, "L2Loss", {"normalize": False, "div_element": True}),
        ("l2", {"mult": 3.0, "dist": True}, "L2Loss", {"mult": 3.0, "dist": True}),
    ],
)
def test_a_wrapped_loss_is_mmrazors(losses, name, ours, module, theirs, maps, graded):
    student, teacher = maps(3, 4, 6, 5)
    expected = graded(getattr(losses, module)(loss_weight=7.0, **theirs), student, teacher)
    for pair in ((student, teacher), tuple(x.to(memory_format=torch.channels_last) for x in (student, teacher))):
        value, gradient = graded(build_loss(name, weight=7.0, stat_chunk=2, **ours), *pair)
        assert value == pytest.approx(expected[0], rel=1e-13)
        torch.testing.assert_close(gradient, expected[1])


@pytest.mark.parametrize("name", ["cwd", "at", "l1", "l2", "mgd"])
def test_a_wrapped_loss_sums_half_precision_in_float32(name, maps):
    student, teacher = maps(2, 4, 6, 5, dtype=torch.bfloat16)
    loss = build_loss(name, **({"channels": 4} if name == "mgd" else {}))
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(student, teacher)
    torch.manual_seed(0)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(student.float(), teacher.float()).item(), rel=1e-6)


def test_mgd_generates_then_compares(losses, maps):
    student, teacher = maps(2, 4, 6, 5, dtype=torch.float32)
    loss = build_loss("mgd", weight=2e-5, channels=4)
    torch.manual_seed(3)
    value = loss(student, teacher)
    torch.manual_seed(3)
    expected = losses.MGDLoss(alpha_mgd=2e-5)(loss.inner["generate"](student), teacher)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    value.backward()
    own = list(loss.parameters())
    assert sum(p.numel() for p in own) == 2 * (4 * 4 * 9 + 4)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own)
    with pytest.raises(FeatureShapeError, match=r"built for 4 channels, the feature maps are \(1, 8, 2, 2\)"):
        loss(torch.zeros(1, 8, 2, 2), torch.zeros(1, 8, 2, 2))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("cwd", {"temperature": 0}),
        ("mgd", {"channels": 0}),
        ("mgd", {"lambda_mgd": 1.5}),
        ("l2", {"normalize": "yes"}),
        ("l2", {"mult": float("nan")}),
    ],
)
def test_refuses_values_out_of_range(name, wrong):
    with pytest.raises(PkdError, match=f"loss parameter '{next(iter(wrong))}' cannot be"):
        build_loss(name, **wrong)


def test_every_loss_of_mmrazor_is_available_or_refused_with_a_reason(losses):
    wrapped = {"ChannelWiseDivergence", "MGDLoss", "ATLoss", "L1Loss", "L2Loss"}
    assert set(losses.__all__) == wrapped | set(unavailable_losses())
    assert all(len(reason) > 20 for reason in unavailable_losses().values())
    assert {"cwd", "mgd", "at", "l1", "l2"} <= set(available_losses())


def test_mmrazors_distiller_builds_the_losses(losses, maps):
    from mmrazor.models.distillers import ConfigurableDistiller

    from pkdcli.engine.losses import registered  # noqa: F401

    recorder = {"fpn": {"type": "mmrazor.ModuleOutputs", "source": "neck"}}
    distiller = ConfigurableDistiller(
        student_recorders=recorder,
        teacher_recorders=recorder,
        distill_losses={
            "loss_kl": {"type": "mmdet.PkdLoss", "loss": "norm-kl", "loss_weight": 10.0, "temperature": 5},
            "loss_pkd": {"type": "mmdet.PkdLoss", "loss": "pkd", "loss_weight": 6.0, "stat_chunk": 2, "temperature": 5},
            "loss_mgd": {"type": "mmdet.PkdLoss", "loss": "mgd", "channels": 4},
        },
        loss_forward_mappings={
            f"loss_{name}": {
                "preds_S": {"from_student": True, "recorder": "fpn"},
                "preds_T": {"from_student": False, "recorder": "fpn"},
            }
            for name in ("kl", "pkd", "mgd")
        },
    )
    student, teacher = maps(4, 3, 5, 6)
    built = distiller.distill_losses
    expected = build_loss("norm-kl", weight=10.0, temperature=5)(student, teacher)
    assert built["loss_kl"](preds_S=student, preds_T=teacher).item() == expected.item()
    expected = build_loss("pkd", weight=6.0, stat_chunk=2)(student, teacher)
    assert built["loss_pkd"](preds_S=student, preds_T=teacher).item() == expected.item()
    assert {name.split(".")[1] for name, _ in distiller.named_parameters()} == {"loss_mgd"}
