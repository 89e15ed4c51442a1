"""Focal losses against their definitions, differentiated by autograd."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

TARGET = torch.tensor([0, 2, 3, 1, 3, 2])  # 3 is the background of three classes


def plain_sigmoid(logits, target, gamma, alpha, weight):
    loss = torch.zeros_like(logits)
    for n, t in enumerate(target.tolist()):
        for c in range(logits.size(1)):
            p = 1 / (1 + torch.exp(-logits[n, c]))
            if t == c:
                loss[n, c] = -alpha * (1 - p) ** gamma * torch.log(p)
            else:
                loss[n, c] = -(1 - alpha) * p**gamma * torch.log(1 - p)
            if weight is not None and t < logits.size(1):
                loss[n, c] = loss[n, c] * weight[t]
    return loss


def plain_softmax(logits, target, gamma, alpha, weight):
    loss = torch.zeros(len(target), dtype=logits.dtype)
    for n, t in enumerate(target.tolist()):
        if t >= 0:
            p = torch.exp(logits[n, t]) / torch.exp(logits[n]).sum()
            loss[n] = -alpha * (1 - p) ** gamma * torch.log(p) * (1 if weight is None else weight[t])
    return loss


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, 0.5), (1.5, 0.75)])
def test_sigmoid(rng, gamma, alpha, reduction, weight):
    from mmcv.ops import sigmoid_focal_loss

    logits = (torch.randn(6, 3, generator=rng, dtype=torch.float64) * 3).requires_grad_()
    loss = sigmoid_focal_loss(logits, TARGET, gamma, alpha, weight, reduction)
    expected = plain_sigmoid(logits, TARGET, gamma, alpha, weight)
    expected = {"none": expected, "mean": expected.sum() / 6, "sum": expected.sum()}[reduction]
    torch.testing.assert_close(loss, expected)
    gradient = torch.autograd.grad(loss.sum(), logits)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), logits)[0])
    assert gradcheck(lambda x: sigmoid_focal_loss(x, TARGET, gamma, alpha, weight, reduction), logits)


def test_sigmoid_of_extreme_logits_stays_finite():
    from mmcv.ops import sigmoid_focal_loss

    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([1]), 2.0, 0.25, None, "none")
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.tensor([[150.0, 50.0]]))  # 0.75 * 200, 0.25 * 200
    torch.testing.assert_close(logits.grad, torch.tensor([[0.75, -0.25]]))


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, 0.5), (1.5, 0.75)])
def test_softmax(rng, gamma, alpha, reduction, weight):
    from mmcv.ops import softmax_focal_loss

    target = torch.tensor([0, 2, -1, 1, 1, 2])  # -1 counts nothing
    logits = (torch.randn(6, 3, generator=rng, dtype=torch.float64) * 2).requires_grad_()
    loss = softmax_focal_loss(logits, target, gamma, alpha, weight, reduction)
    expected = plain_softmax(logits, target, gamma, alpha, weight).sum() / (6 if reduction == "mean" else 1)
    torch.testing.assert_close(loss, expected)
    gradient = torch.autograd.grad(loss, logits, retain_graph=True)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])
    assert gradcheck(lambda x: softmax_focal_loss(x, target, gamma, alpha, weight, reduction), logits)


def test_softmax_of_a_certain_row_is_zero_not_nan():
    from mmcv.ops import softmax_focal_loss

    logits = torch.tensor([[500.0, 0.0]], requires_grad=True)
    loss = softmax_focal_loss(logits, torch.tensor([0]), 0.0, 0.25, None, "sum")
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros(1, 2))


def test_no_rows():
    from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss

    nothing, target = torch.zeros(0, 3, requires_grad=True), torch.zeros(0, dtype=torch.long)
    assert sigmoid_focal_loss(nothing, target, 2.0, 0.25, None, "sum").item() == 0.0
    assert softmax_focal_loss(nothing, target, 2.0, 0.25, None, "sum").item() == 0.0
