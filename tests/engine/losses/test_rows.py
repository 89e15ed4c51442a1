"""The losses as a GPU works them out, on the CPU: the same numbers, by what the blocks know nothing of."""

from __future__ import annotations

import pytest
import torch

from pkdcli.engine.losses import build_loss, normalized

NAMES = ["pkd", "norm-mse", "mse", "center-only", "std-only", "norm-kl"]
STATISTICS = [name for name in NAMES if name != "mse"]
SHAPES = [(2, 8, 12, 20), (1, 3, 5, 1), (3, 4, 1, 7), (2, 1, 1, 1), (1, 2, 1, 2)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Every map is taken for one on a GPU."""
    monkeypatch.setattr(normalized, "in_blocks", lambda x: False)


def in_blocks(name, *pair, graded, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalized, "in_blocks", lambda x: True)
        return graded(build_loss(name, **options), *pair)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_plain_formula_in_float64(name, shape, maps, plain, graded):
    student, teacher = maps(*shape)
    value, gradient = graded(build_loss(name, weight=3.0), student, teacher)
    expected, expected_gradient = graded(lambda s, t: 3.0 * plain(name)(s, t), student, teacher)
    assert value == pytest.approx(expected, rel=1e-11, abs=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunk", [None, 1, 2, 3, 4, 5])
def test_chunks_are_those_of_the_blocks(name, chunk, maps, graded):
    student, teacher = maps(5, 3, 4, 6)
    value, gradient = graded(build_loss(name, stat_chunk=chunk), student, teacher)
    expected, expected_gradient = in_blocks(name, student, teacher, graded=graded, stat_chunk=chunk)
    assert value == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-14)


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
    assert value == pytest.approx(expected, rel=1e-3)
    assert apart(gradient, expected_gradient) < 1e-3


@pytest.mark.parametrize("temperature", [1, 2, 5, 50, 500, 5000, 10000])
@pytest.mark.parametrize("spiky", [False, True])
def test_norm_kl_is_right_at_every_temperature(temperature, spiky, maps, plain, graded, apart):
    student, teacher = maps(2, 8, 50, 84, dtype=torch.float32)
    if spiky:
        for x in (student, teacher):
            x.view(-1)[:: x.numel() // 7] *= 200
    value, gradient = graded(build_loss("norm-kl", temperature=temperature), student, teacher)
    expected, expected_gradient = graded(plain("norm-kl", temperature), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=1e-4)
    assert apart(gradient, expected_gradient) < 1e-4


def test_a_single_spike_at_the_lowest_temperature_does_not_overflow(plain, graded, apart):
    student, teacher = torch.full((2, 1, 1, 200, 200), 1e-2)
    student.view(-1)[7], teacher.view(-1)[9] = 100, 100
    value, gradient = graded(build_loss("norm-kl", temperature=1), student, teacher)
    expected, expected_gradient = graded(plain("norm-kl", 1), student.double(), teacher.double())
    assert value == pytest.approx(expected, rel=1e-4)
    assert gradient.isfinite().all()
    assert apart(gradient, expected_gradient) < 1e-3


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("spread", [0.0, 1e-7, 5e-5, 1.01e-4])
def test_near_constant_channels_are_those_of_the_blocks(name, spread, maps, graded):
    student, teacher = maps(2, 3, 6, 6)
    for x in (student, teacher):
        flat = x.clone()
        flat[:, 1] = 0.5 + spread * flat[:, 1] / flat[:, 1].transpose(0, 1).std()
        pair = (flat, teacher) if x is student else (student, flat)
        value, gradient = graded(build_loss(name), *pair)
        expected, expected_gradient = in_blocks(name, *pair, graded=graded)
        assert value == pytest.approx(expected, rel=1e-9)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 1, 1)])
@pytest.mark.filterwarnings("ignore:.*its loss is zero")
def test_nan_and_infinity_are_not_hidden(name, bad, side, shape, maps):
    pair = maps(*shape)
    pair[side].view(-1)[1] = bad
    assert not build_loss(name)(*pair).isfinite()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32_and_loses_no_small_gradient(name, dtype, maps, graded, apart):
    student, teacher = maps(2, 4, 40, 50, offset=30, dtype=dtype)
    loss = build_loss(name)
    # As a gradient scaler does: without it, gradients of so many positions are below float16's smallest number.
    value, gradient = graded(lambda s, t: loss(s, t) * 1024, student, teacher)
    expected, expected_gradient = graded(lambda s, t: loss(s, t) * 1024, student.float(), teacher.float())
    assert gradient.dtype == dtype
    assert value == pytest.approx(expected, rel=1e-6)
    assert apart(gradient, expected_gradient.to(dtype)) < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_types_and_layouts_may_differ(name, maps, graded):
    student, teacher = maps(2, 4, 5, 6)
    assert build_loss(name)(student.bfloat16(), teacher.float()).dtype == torch.float32
    value, gradient = graded(build_loss(name), student, teacher)
    last = student.to(memory_format=torch.channels_last)
    other, other_gradient = graded(build_loss(name), last, teacher.transpose(2, 3).contiguous().transpose(2, 3))
    assert other == pytest.approx(value, rel=1e-13)
    torch.testing.assert_close(other_gradient, gradient, rtol=1e-11, atol=1e-14)
    # PyTorch's own mse_loss chooses freely.
    assert name == "mse" or other_gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_second_derivative_is_refused(name, maps):
    student, teacher = maps(2, 3, 4, 5)
    student.requires_grad_()
    (gradient,) = torch.autograd.grad(build_loss(name)(student, teacher), student, create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative"):
        gradient.sum().backward()


@pytest.mark.parametrize("name", NAMES)
def test_the_inputs_stay_as_they_are_and_without_a_gradient_the_value_does(name, maps):
    student, teacher = maps(2, 5, 9, 8, dtype=torch.float32)
    before = student.clone(), teacher.clone()
    with torch.no_grad():
        plain = build_loss(name)(student, teacher)
    learned = build_loss(name)(student.requires_grad_(), teacher.requires_grad_())
    learned.backward()
    assert plain.item() == learned.item()
    assert torch.equal(student, before[0])
    assert torch.equal(teacher, before[1])
    assert teacher.grad is None
