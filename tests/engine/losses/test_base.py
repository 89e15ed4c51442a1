"""What all losses share: chunks, sizes, types, layouts, bad maps, one position, NaN."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch.nn import functional as F

from pkdcli.engine.losses import FeatureShapeError, build_loss

FUSED = ["pkd", "norm-mse", "mse", "center-only", "std-only", "norm-kl"]
STATISTICS = [name for name in FUSED if name != "mse"]


@pytest.mark.parametrize("name", STATISTICS)
def test_chunks_are_the_mean_of_the_losses_of_each(name, maps, graded):
    student, teacher = maps(6, 4, 5, 6)
    value, gradient = graded(build_loss(name, stat_chunk=2), student, teacher)
    parts = [graded(build_loss(name), student[i : i + 2], teacher[i : i + 2]) for i in (0, 2, 4)]
    assert value == pytest.approx(sum(part[0] for part in parts) / 3, rel=1e-13)
    torch.testing.assert_close(gradient, torch.cat([part[1] for part in parts]) / 3, rtol=1e-11, atol=1e-14)
    assert value != pytest.approx(build_loss(name)(student, teacher).item(), rel=1e-4)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_smaller_last_chunk_counts_by_its_size(name, maps):
    student, teacher = maps(5, 4, 5, 6)
    whole = build_loss(name)
    expected = sum(whole(student[i : i + 2], teacher[i : i + 2]) * n for i, n in ((0, 2), (2, 2), (4, 1))) / 5
    assert build_loss(name, stat_chunk=2)(student, teacher).item() == pytest.approx(expected.item(), rel=1e-13)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("chunk", [None, "batch", 4, 100])
def test_chunks_of_the_batch_or_more_are_the_batch(name, chunk, maps):
    student, teacher = maps(4, 3, 5, 6)
    assert build_loss(name, stat_chunk=chunk)(student, teacher).item() == build_loss(name)(student, teacher).item()


@pytest.mark.parametrize("size", [(12, 7), (6, 14), (9, 10), (3, 3), (1, 1)])
@pytest.mark.parametrize("name", FUSED)
def test_the_student_is_resized_on_height_or_width(name, size, maps, graded, apart):
    student, _ = maps(2, 4, *size)
    _, teacher = maps(2, 4, 6, 7, seed=1)

    def resized(s, t):
        return build_loss(name)(F.interpolate(s, t.shape[2:], mode="bilinear", align_corners=False), t)

    value, gradient = graded(build_loss(name), student, teacher)
    expected, expected_gradient = graded(resized, student, teacher)
    assert gradient.shape == student.shape
    assert value == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("name", FUSED)
def test_the_gradient_flows_to_the_student_only(name, maps):
    student, teacher = (x.requires_grad_() for x in maps(2, 3, 4, 5))
    build_loss(name)(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


@pytest.mark.parametrize("name", FUSED)
def test_weight_multiplies_value_and_gradient(name, maps, graded):
    student, teacher = maps(2, 3, 4, 5)
    one, ten, none = (graded(build_loss(name, weight=w), student, teacher) for w in (1, 10.0, 0))
    assert ten[0] == pytest.approx(10 * one[0], rel=1e-14)
    torch.testing.assert_close(ten[1], 10 * one[1])
    assert none[0] == 0
    assert not none[1].any()


@pytest.mark.parametrize(
    ("student", "teacher"),
    [((2, 3, 4, 4), (2, 5, 4, 4)), ((2, 3, 4, 4), (1, 3, 4, 4)), ((2, 3, 4), (2, 3, 4)), ((2, 3, 4, 4), (2, 3))],
)
def test_refuses_maps_that_cannot_be_compared(student, teacher):
    with pytest.raises(FeatureShapeError) as caught:
        build_loss("pkd")(torch.zeros(student), torch.zeros(teacher))
    assert isinstance(caught.value, ValueError)
    assert str(student) in caught.value.message
    assert str(teacher) in caught.value.message


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (0, 4, 3, 3), (2, 4, 0, 3)])
def test_one_position_or_none_is_zero_with_one_warning(name, shape):
    loss = build_loss(name)
    student = torch.randn(shape, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="its loss is zero"):
        value = loss(student, torch.randn(shape))
    assert value.item() == 0
    value.backward()
    assert not student.grad.any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(student, torch.randn(shape))


@pytest.mark.parametrize("name", STATISTICS)
def test_a_last_chunk_of_one_position_adds_nothing(name, maps):
    student, teacher = maps(3, 4, 1, 1)
    student.requires_grad_()
    with pytest.warns(RuntimeWarning, match="its loss is zero"):
        value = build_loss(name, stat_chunk=2)(student, teacher)
    expected = build_loss(name)(student[:2], teacher[:2]) * 2 / 3
    assert value.item() == pytest.approx(expected.item(), rel=1e-13)
    value.backward()
    assert not student.grad[2].any()
    assert student.grad[:2].isfinite().all()


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 1, 1)])
@pytest.mark.filterwarnings("ignore:.*its loss is zero")
def test_nan_and_infinity_are_not_hidden(name, bad, side, shape, maps):
    pair = maps(*shape)
    pair[side].view(-1)[1] = bad
    assert not build_loss(name)(*pair).isfinite()


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("spread", [0.0, 1e-7, 5e-5])
def test_near_constant_channels_keep_everything_finite(name, spread, maps, graded):
    student, teacher = maps(2, 3, 6, 6, dtype=torch.float32)
    for x in (student, teacher):
        flat, healthy = x.clone(), x.clone()
        flat[:, 1] = 0.5 + spread * flat[:, 1] / flat[:, 1].std()
        pair = (flat, teacher) if x is student else (student, flat)
        value, gradient = graded(build_loss(name), *pair)
        assert torch.tensor(value).isfinite()
        assert gradient.isfinite().all()
        # The guard is each channel's own affair.
        pair = (healthy, teacher) if x is student else (student, healthy)
        _, expected = graded(build_loss(name), *pair)
        torch.testing.assert_close(gradient[:, [0, 2]], expected[:, [0, 2]])


@pytest.mark.parametrize("name", STATISTICS)
def test_the_guard_changes_nothing_above_its_floor(name, maps, plain, graded, apart):
    student, teacher = maps(2, 3, 6, 6)
    student = student / student.transpose(0, 1).flatten(1).std(1)[:, None, None] * 1.01e-4
    value, gradient = graded(build_loss(name), student, teacher)
    expected, expected_gradient = graded(plain(name), student, teacher)
    assert value == pytest.approx(expected, rel=1e-11)
    assert apart(gradient, expected_gradient) < 1e-10


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(name, dtype, maps, graded, apart):
    # At an offset of 30, sums of 4,000 half-precision numbers would have no digit left.
    student, teacher = maps(2, 4, 40, 50, offset=30, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        value, gradient = graded(build_loss(name), student, teacher)
    expected, expected_gradient = graded(build_loss(name), student.float(), teacher.float())
    assert gradient.dtype == dtype
    assert value == pytest.approx(expected, rel=1e-6)
    exact = expected_gradient.to(dtype)
    assert apart(gradient, exact) < 1e-3


@pytest.mark.parametrize("name", FUSED)
def test_types_may_differ(name, maps):
    student, teacher = maps(2, 4, 5, 6)
    value = build_loss(name)(student.bfloat16().requires_grad_(), teacher.float())
    assert value.dtype == torch.float32
    assert build_loss(name)(student.float(), teacher).dtype == torch.float64


@pytest.mark.parametrize("name", FUSED)
def test_memory_layout_does_not_matter(name, maps, graded):
    student, teacher = maps(2, 4, 5, 6)
    value, gradient = graded(build_loss(name), student, teacher)
    last = torch.channels_last
    for s, t in (
        (student.to(memory_format=last), teacher.to(memory_format=last)),
        (student.to(memory_format=last), teacher),
        (student.transpose(2, 3).contiguous().transpose(2, 3), teacher),
        (torch.cat([student, student], 1)[:, :4], teacher[:, :, :, :1].expand(-1, -1, -1, 6) * 0 + teacher),
    ):
        other, other_gradient = graded(build_loss(name), s, t)
        assert other == pytest.approx(value, rel=1e-13)
        torch.testing.assert_close(other_gradient, gradient, rtol=1e-11, atol=1e-14)
    assert graded(build_loss(name), student.to(memory_format=last), teacher)[1].is_contiguous(memory_format=last)


@pytest.mark.parametrize("name", FUSED)
def test_a_second_derivative_is_refused(name, maps):
    student, teacher = maps(2, 3, 4, 5)
    student.requires_grad_()
    (gradient,) = torch.autograd.grad(build_loss(name)(student, teacher), student, create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative"):
        gradient.sum().backward()


@pytest.mark.parametrize("name", FUSED)
def test_compiles_into_one_graph(name, maps, graded):
    student, teacher = maps(2, 3, 4, 5)
    torch._dynamo.reset()  # it gives up on code that other tests have had compiled for several shapes
    compiled = torch.compile(build_loss(name), backend="aot_eager", fullgraph=True)
    value, gradient = graded(compiled, student, teacher)
    expected, expected_gradient = graded(build_loss(name), student, teacher)
    assert value == expected
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=0)


@pytest.mark.parametrize("name", FUSED)
def test_nothing_is_left_on_the_inputs_and_repeats_are_bit_equal(name, maps, graded):
    student, teacher = maps(2, 5, 30, 40, dtype=torch.float32)
    before = student.clone(), teacher.clone()
    first, second = (graded(build_loss(name), student, teacher) for _ in range(2))
    assert torch.equal(student, before[0])
    assert torch.equal(teacher, before[1])
    assert first[0] == second[0]
    assert torch.equal(first[1], second[1])
