"""norm-kl: within 1e-3 of float64 at every temperature, and pkd in the limit."""

from __future__ import annotations

import itertools

import pytest
import torch

from pkdcli.engine.losses import build_loss, divergence
from pkdcli.errors import PkdError

TEMPERATURES = [1, 5, 10, 50, 500, 5000, 10000]


def spiky(x: torch.Tensor) -> torch.Tensor:
    """Features as a detector has them: mostly near zero, a few activations of a hundred deviations."""
    x = x.clone()
    x.view(-1)[:: max(1, x.numel() // 7)] *= 200
    return x


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("shape_of", [lambda x: x, spiky], ids=["gaussian", "spiky"])
def test_float32_is_within_a_thousandth_of_float64(temperature, shape_of, maps, plain, graded, apart):
    student, teacher = (shape_of(x) for x in maps(2, 8, 50, 84, dtype=torch.float32))
    value, gradient = graded(build_loss("norm-kl", temperature=temperature), student, teacher)
    expected, expected_gradient = graded(plain("norm-kl", temperature), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=1e-5)
    assert apart(gradient, expected_gradient) < 1e-4


def test_the_textbook_formula_would_fail_that(maps, plain):
    student, teacher = maps(2, 8, 50, 84, dtype=torch.float32)
    textbook = plain("norm-kl", 5000)
    assert abs(textbook(student, teacher).item() / textbook(student.double(), teacher.double()).item() - 1) > 1e-2


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_way_for_large_differences_is_right_for_small_ones_too(
    temperature, maps, plain, graded, apart, monkeypatch
):
    monkeypatch.setattr(divergence, "_ways", lambda d: d.new_full((1, d.shape[1], 1, 1), divergence._FAR))
    student, teacher = maps(2, 8, 50, 84, dtype=torch.float32)
    value, gradient = graded(build_loss("norm-kl", temperature=temperature), student, teacher)
    expected, expected_gradient = graded(plain("norm-kl", temperature), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=1e-5)
    assert apart(gradient, expected_gradient) < 1e-3


def test_goes_to_pkd_as_one_over_the_temperature(maps, graded, apart):
    student, teacher = maps(2, 8, 30, 40)
    pkd, pkd_gradient = graded(build_loss("pkd"), student, teacher)
    gaps = []
    for temperature in (50, 500, 5000):
        value, gradient = graded(build_loss("norm-kl", temperature=temperature), student, teacher)
        gaps.append((abs(value / pkd - 1), apart(gradient, pkd_gradient)))
    assert gaps[0][0] < 1e-2
    assert gaps[2][0] < 1e-4
    assert gaps[2][1] < 1e-3
    for before, after in itertools.pairwise(gaps):
        assert before[1] / after[1] == pytest.approx(10, rel=0.05)


def test_a_single_spike_at_the_lowest_temperature_does_not_overflow(plain, graded, apart):
    # z of the spike is sqrt(m) = 200: exp(200) is infinite in float32.
    student, teacher = torch.full((2, 1, 1, 200, 200), 1e-2)
    student.view(-1)[7], teacher.view(-1)[9] = 100, 100
    value, gradient = graded(build_loss("norm-kl", temperature=1), student, teacher)
    expected, expected_gradient = graded(plain("norm-kl", 1), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=1e-4)
    assert gradient.isfinite().all()
    assert apart(gradient, expected_gradient) < 1e-3


@pytest.mark.parametrize("temperature", [0, 0.5, -1, 10001, float("nan"), float("inf"), "50", None, True])
def test_refuses_other_temperatures(temperature):
    with pytest.raises(PkdError) as caught:
        build_loss("norm-kl", temperature=temperature)
    assert "'temperature'" in caught.value.message
    assert caught.value.hint == "Allowed: a finite number from 1 to 10000."
