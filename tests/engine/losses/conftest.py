"""Feature maps and independent plain formulas for the tests of the losses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Formula = Callable[[Tensor, Tensor], Tensor]


def _rows(x: Tensor) -> Tensor:
    return x.transpose(0, 1).flatten(1)


def _z(x: Tensor) -> Tensor:
    x = _rows(x)
    return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-6)


def _mean_square(x: Tensor) -> Tensor:
    return x.square().mean()


def _norm_kl(temperature: float) -> Formula:
    def formula(student: Tensor, teacher: Tensor) -> Tensor:
        log_q, log_p = ((_z(x) / temperature).log_softmax(1) for x in (student, teacher))
        return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()

    return formula


PLAIN: dict[str, Formula] = {
    "pkd": lambda s, t: _mean_square(_z(s) - _z(t)) / 2,
    "norm-mse": lambda s, t: _mean_square(_z(s) - _z(t)),
    "mse": lambda s, t: _mean_square(s - t),
    "center-only": lambda s, t: _mean_square(
        (_rows(s) - _rows(s).mean(1, keepdim=True)) - (_rows(t) - _rows(t).mean(1, keepdim=True))
    ),
    "std-only": lambda s, t: _mean_square(
        _rows(s) / (_rows(s).std(1, keepdim=True) + 1e-6) - _rows(t) / (_rows(t).std(1, keepdim=True) + 1e-6)
    ),
}


@pytest.fixture
def plain() -> Callable[..., Formula]:
    """The textbook formula of a loss, in plain autograd: `plain("norm-kl", 50)`. Trustworthy in float64."""

    def choose(name: str, temperature: float | None = None) -> Formula:
        return _norm_kl(50.0 if temperature is None else temperature) if name == "norm-kl" else PLAIN[name]

    return choose


@pytest.fixture
def maps() -> Callable[..., tuple[Tensor, Tensor]]:
    """Correlated feature maps of unequal channel magnitudes, (student, teacher), in float64 unless told."""

    def make(
        *shape: int, seed: int = 0, offset: float = 0.0, likeness: float = 0.6, dtype: torch.dtype = torch.float64
    ) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        student = torch.randn(shape, generator=generator, dtype=torch.float64)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        teacher = likeness * student + (1 - likeness**2) ** 0.5 * noise
        scale = torch.linspace(0.5, 5, shape[1], dtype=torch.float64)[:, None, None]
        return (student * scale + offset).to(dtype), (teacher + offset).to(dtype)

    return make


@pytest.fixture
def graded() -> Callable[..., tuple[float, Tensor]]:
    """Value and gradient with respect to the student."""

    def grade(loss: Formula, student: Tensor, teacher: Tensor) -> tuple[float, Tensor]:
        student = student.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        value = loss(student, teacher)
        assert value.ndim == 0
        (gradient,) = torch.autograd.grad(value, student)
        return value.item(), gradient

    return grade


@pytest.fixture
def apart() -> Callable[[Tensor, Tensor], float]:
    """The relative distance of two tensors, |a - b| / |b|, in float64."""
    return lambda a, b: ((a.double() - b.double()).norm() / b.double().norm()).item()
