"""pkd, mse and what lies between: value and gradient against the plain formulas in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pkdcli.engine.losses import blocks, build_loss
from pkdcli.engine.losses.distance import distance

NAMES = ["pkd", "norm-mse", "mse", "center-only", "std-only", "norm-kl"]
SHAPES = [(2, 8, 12, 20), (1, 3, 5, 1), (3, 4, 1, 7), (2, 1, 1, 1), (1, 2, 1, 2)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_plain_formula_in_float64(name, shape, maps, plain, graded, apart):
    student, teacher = maps(*shape)
    value, gradient = graded(build_loss(name, weight=3.0), student, teacher)
    expected, expected_gradient = graded(lambda s, t: 3.0 * plain(name)(s, t), student, teacher)
    assert value == pytest.approx(expected, rel=1e-11, abs=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("offset", "bound"), [(0.0, 2e-6), (1e3, 5e-5)])
def test_float32_keeps_its_digits_even_far_from_zero(name, offset, bound, maps, plain, graded, apart):
    student, teacher = maps(2, 6, 50, 84, offset=offset, dtype=torch.float32)
    value, gradient = graded(build_loss(name), student, teacher)
    expected, expected_gradient = graded(plain(name), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=bound)
    assert apart(gradient, expected_gradient) < bound


@pytest.mark.parametrize("name", ["pkd", "norm-kl"])
def test_nothing_cancels_where_student_and_teacher_almost_agree(name, maps, plain, graded, apart):
    student, teacher = maps(2, 6, 30, 40, likeness=1 - 1e-6, dtype=torch.float32)
    value, gradient = graded(build_loss(name), student, teacher)
    expected, expected_gradient = graded(plain(name), student.double(), teacher.double())
    assert 0 < expected < 2e-6
    assert value == pytest.approx(expected, rel=1e-3)
    assert apart(gradient, expected_gradient) < 1e-3


@pytest.mark.parametrize("name", ["pkd", "norm-mse", "norm-kl"])
def test_equal_maps_have_no_loss(name, maps):
    student, _ = maps(2, 4, 9, 9)
    assert build_loss(name)(student, 3 * student + 7).item() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name, maps):
    student, teacher = maps(3, 3, 3, 4)
    student.requires_grad_()
    for chunk in (None, 2):
        assert torch.autograd.gradcheck(lambda s, c=chunk: build_loss(name, stat_chunk=c)(s, teacher), (student,))


def test_norm_mse_is_twice_pkd(maps, graded):
    student, teacher = maps(2, 5, 6, 7)
    value, gradient = graded(build_loss("norm-mse"), student, teacher)
    half, half_gradient = graded(build_loss("pkd"), student, teacher)
    assert value == pytest.approx(2 * half, rel=1e-14)
    torch.testing.assert_close(gradient, 2 * half_gradient, rtol=1e-13, atol=0)


def test_pkd_is_one_minus_pearson(maps):
    student, teacher = maps(2, 5, 20, 30)
    channels = [torch.stack([student[:, c].flatten(), teacher[:, c].flatten()]) for c in range(5)]
    r = torch.stack([torch.corrcoef(pair)[0, 1] for pair in channels])
    m = 2 * 20 * 30
    assert build_loss("pkd")(student, teacher).item() == pytest.approx(((1 - r) * (m - 1) / m).mean().item(), rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), st.integers(2, 6)),
    scale=st.floats(0.1, 100),
    shift=st.floats(-100, 100),
    seed=st.integers(0, 9),
)
def test_pkd_ignores_scale_and_shift_and_mse_does_not(shape, scale, shift, seed):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    if min(x.transpose(0, 1).flatten(1).std(1).min().item() for x in (student, teacher)) < 0.1:
        return  # 1e-6 in the divisor is felt below
    pkd, mse = build_loss("pkd"), build_loss("mse")
    plain = pkd(student, teacher).item()
    assert pkd(student * scale + shift, teacher).item() == pytest.approx(plain, rel=3e-3, abs=1e-4)
    assert pkd(student, teacher * scale + shift).item() == pytest.approx(plain, rel=3e-3, abs=1e-4)
    shifted = torch.nn.functional.mse_loss(student, teacher + 2).item()
    assert mse(student + 1, teacher + 3).item() == pytest.approx(shifted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("room", [1, 1000, 1 << 30])
def test_the_size_of_a_block_does_not_matter(name, room, maps, graded, monkeypatch):
    student, teacher = maps(2, 7, 5, 6)
    expected = graded(build_loss(name), student, teacher)
    monkeypatch.setattr(blocks, "room", lambda threads: room)
    value, gradient = graded(build_loss(name), student, teacher)
    assert value == pytest.approx(expected[0], rel=1e-13)
    torch.testing.assert_close(gradient, expected[1], rtol=1e-11, atol=1e-14)


def kept(student, teacher):
    """Whether the moments were taken from the maps as they are."""
    _, numbers = distance(student, teacher, True, True, student.shape[0])
    return bool(numbers[0, 5].all())


# Means up to four deviations from zero, and maps up to r = 0.95, are for the raw moments; what lies beyond is not.
@pytest.mark.parametrize(
    ("offset", "likeness", "raw"),
    [(0.0, 0.6, True), (1.5, 0.6, True), (1.5, 0.94, True), (-1.5, -0.9, True), (8.0, 0.6, False), (1.5, 0.97, False)],
)
def test_raw_moments_are_taken_only_where_they_are_exact(offset, likeness, raw, maps, plain, graded, apart):
    student, teacher = maps(2, 6, 50, 84, offset=offset, likeness=likeness, dtype=torch.float32)
    assert kept(student, teacher) is raw
    value, gradient = graded(build_loss("pkd"), student, teacher)
    expected, expected_gradient = graded(plain("pkd"), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=1e-5)
    assert apart(gradient, expected_gradient) < 1e-5


def test_one_channel_far_from_zero_is_enough_to_shift_all(maps, plain, graded, apart):
    student, teacher = maps(2, 6, 50, 84, dtype=torch.float32)
    teacher[:, 3] += 100
    assert kept(student, teacher) is False
    value, gradient = graded(build_loss("pkd"), student, teacher)
    expected, expected_gradient = graded(plain("pkd"), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=5e-6)
    assert apart(gradient, expected_gradient) < 5e-6


def test_raw_moments_are_not_for_other_layouts_or_precisions_or_lone_positions(maps, monkeypatch):
    student, teacher = maps(2, 6, 20, 20, dtype=torch.float32)
    assert kept(student, teacher) is True
    assert kept(student.to(memory_format=torch.channels_last), teacher) is False
    assert kept(student, teacher.bfloat16()) is False
    assert kept(student[:1, :, :1, :1].contiguous(), teacher[:1, :, :1, :1].contiguous()) is False
    assert kept(torch.full_like(student, float("nan")), teacher) is False
    monkeypatch.setattr(blocks, "RAW", False)
    assert kept(student, teacher) is False


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_raw_and_shifted_moments_agree_in_chunks(chunk, maps, graded, monkeypatch):
    student, teacher = maps(3, 300, 9, 11)
    loss = build_loss("pkd", stat_chunk=chunk, weight=3)
    assert kept(student, teacher) is True
    value, gradient = graded(loss, student, teacher)
    monkeypatch.setattr(blocks, "RAW", False)
    expected, expected_gradient = graded(loss, student, teacher)
    assert value == pytest.approx(expected, rel=1e-13)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-15)
