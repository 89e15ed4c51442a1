"""The numbers of Figures 4 to 8 against slow loops, numpy, scipy's formula and examples by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pkdcli.engine.analysis.activations import (
    BINS,
    REDUCTIONS,
    coverage,
    dominant_channels,
    histograms,
    noise,
    standardised,
    summary,
)
from pkdcli.engine.losses import build_loss


def maps(seed=0, shapes=((6, 5, 7), (6, 4, 9))):
    """Maps of two images, channels of very different mean and size."""
    generator = np.random.default_rng(seed)
    size = np.logspace(-1, 1, 6)[:, None, None]
    return [(generator.normal(size=shape) * size + size).astype(np.float32) for shape in shapes]


def counted(features):
    """The paper's formula, written out: number_i = sum over (u, v) of 1[argmax_c s(u, v, c) = i]."""
    channels, height, width = features.shape
    numbers = [0] * channels
    for v in range(height):
        for u in range(width):
            best = 0
            for c in range(1, channels):
                if features[c, v, u] > features[best, v, u]:
                    best = c
            numbers[best] += 1
    return numbers


@pytest.mark.parametrize("seed", range(5))
def test_dominant_channels_are_counted_as_the_formula_says(seed):
    for one in maps(seed):
        found = dominant_channels(one)
        assert found.tolist() == counted(one)
        assert found.sum() == one.shape[1] * one.shape[2]


@pytest.mark.parametrize("seed", range(5))
def test_so_they_are_after_normalisation(seed):
    for one in standardised(maps(seed)):
        assert dominant_channels(one).tolist() == counted(one)


def test_raw_signed_values_decide_not_magnitudes():
    features = np.array([[[-9.0, 1.0]], [[0.5, -7.0]], [[-1.0, 0.5]]])
    assert dominant_channels(features).tolist() == [1, 1, 0]


def test_of_equal_channels_the_first_counts_and_a_channel_that_never_dominates_is_there():
    assert dominant_channels(np.zeros((4, 2, 3))).tolist() == [6, 0, 0, 0]


def test_normalisation_is_channel_by_channel_over_all_positions_of_all_images():
    found = standardised(maps())
    for channel in range(6):
        values = [float(x) for one in maps() for x in one[channel].ravel()]
        mean = math.fsum(values) / len(values)
        std = math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1))
        for before, after in zip(maps(), found, strict=True):
            np.testing.assert_allclose(
                after[channel], (before[channel].astype(np.float64) - mean) / (std + 1e-6), rtol=1e-9
            )


def test_normalisation_is_that_of_the_loss_pkd():
    student, teacher = (np.stack(maps(seed, ((6, 5, 7), (6, 5, 7)))) for seed in (1, 2))
    z_s, z_t = (np.stack(standardised(list(one))) for one in (student, teacher))
    loss = build_loss("pkd")(torch.from_numpy(student).double(), torch.from_numpy(teacher).double()).item()
    assert ((z_s - z_t) ** 2).mean() / 2 == pytest.approx(loss, rel=1e-9)


def test_one_position_and_constant_channels_normalise_to_zero():
    assert standardised([np.array([[[3.0]], [[5.0]]])])[0].tolist() == [[[0.0]], [[0.0]]]
    assert standardised([np.full((2, 3, 3), 7.0)])[0].tolist() == np.zeros((2, 3, 3)).tolist()


def test_summary_is_numpy_s_and_skew_the_third_standardised_moment():
    flat = np.concatenate([one.ravel() for one in maps()]).astype(np.float64)
    found = summary(maps())
    third = math.fsum((x - flat.mean()) ** 3 for x in flat) / flat.size
    second = math.fsum((x - flat.mean()) ** 2 for x in flat) / flat.size
    expected = {
        **{"values": flat.size, "mean": flat.mean(), "std": flat.std(), "min": flat.min(), "max": flat.max()},
        **{"skew": third / second**1.5, "mean_square": (flat**2).mean()},
    }
    assert found == pytest.approx(expected, rel=1e-9)
    assert found["values"] == 6 * (35 + 36)


def test_skew_has_the_sign_of_the_longer_tail():
    exponential = np.random.default_rng(0).exponential(size=(4, 100, 100))
    assert summary([exponential])["skew"] == pytest.approx(2, abs=0.1)
    assert summary([-exponential])["skew"] == pytest.approx(-2, abs=0.1)
    assert summary([np.full((2, 3, 3), 5.0)])["skew"] == 0


def test_histograms_share_their_bins_and_hold_every_value():
    ours, theirs = maps(0), [10 * one for one in maps(1)]
    edges, counts = histograms({"teacher": theirs, "student": ours})
    every = np.concatenate([one.ravel() for one in [*ours, *theirs]])
    assert (len(edges), edges[0], edges[-1]) == (BINS + 1, every.min(), every.max())
    for key, of in (("student", ours), ("teacher", theirs)):
        flat = np.concatenate([one.ravel() for one in of]).astype(np.float64)
        np.testing.assert_array_equal(counts[key], np.histogram(flat, edges)[0])
        assert counts[key].sum() == flat.size


def test_constant_features_have_a_histogram():
    edges, counts = histograms({"teacher": [np.zeros((2, 3, 3))]})
    assert (edges[0], edges[-1], counts["teacher"].sum()) == (0.0, 1.0, 18)


def test_reductions():
    features = np.array([[[3.0, -1.0]], [[-4.0, -2.0]]])
    assert REDUCTIONS["max"](features).tolist() == [[3.0, -1.0]]
    assert REDUCTIONS["mean"](features).tolist() == [[-0.5, -1.5]]
    assert REDUCTIONS["norm"](features)[0] == pytest.approx([5.0, math.sqrt(5)])


def test_coverage_by_hand():
    # 4 x 6 pixels at stride 2: the first box fills one position and half of its neighbour, the second a quarter.
    boxes = [[0, 0, 3, 2], [5, 3, 6, 4]]
    found = coverage(boxes, (4, 6), 2, (2, 3))
    assert found.tolist() == [[1.0, 0.5, 0.0], [0.0, 0.0, 0.25]]


def test_boxes_that_overlap_count_once():
    assert coverage([[0, 0, 2, 2], [0, 0, 2, 1]], (2, 4), 2, (1, 2)).tolist() == [[1.0, 0.0]]


def test_a_position_at_the_edge_counts_the_pixels_that_are_there():
    # 3 x 3 pixels at stride 2: the last row and column of positions lie half outside.
    assert coverage([[2, 2, 3, 3]], (3, 3), 2, (2, 2)).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert coverage([[0, 0, 9, 9]], (3, 3), 2, (2, 2)).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_coverage_without_boxes_is_nothing():
    assert coverage([], (4, 4), 2, (2, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_coverage_is_that_of_a_loop_over_pixels():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 40, (3, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(3, 20, (3, 2))], axis=1).tolist()
    found = coverage(boxes, (37, 50), 8, (5, 7))
    for v in range(5):
        for u in range(7):
            pixels = [
                (y + 0.5, x + 0.5) for y in range(8 * v, min(37, 8 * v + 8)) for x in range(8 * u, min(50, 8 * u + 8))
            ]
            inside = [any(a <= x < c and b <= y < d for a, b, c, d in boxes) for y, x in pixels]
            assert found[v, u] == pytest.approx(sum(inside) / len(pixels))


def test_noise_by_hand():
    # Norms 5, 5, 10, 0; the first position is covered, the second by half.
    features = np.array([[[3.0, -4.0], [6.0, 0.0]], [[4.0, 3.0], [8.0, 0.0]]])
    covered = np.array([[1.0, 0.5], [0.0, 0.0]])
    assert noise(features, covered) == {"share": (2.5 + 10) / 20, "area": 2.5 / 4}


def test_even_activation_has_the_share_of_the_area():
    found = noise(np.full((3, 4, 4), -2.0), coverage([[0, 0, 8, 4]], (8, 8), 2, (4, 4)))
    assert found == {"share": pytest.approx(0.5), "area": 0.5}


def test_no_activation_has_no_share():
    assert noise(np.zeros((3, 2, 2)), np.zeros((2, 2))) == {"share": None, "area": 1.0}
