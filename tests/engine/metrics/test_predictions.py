"""Predictions as growing arrays: every row as it came, each image once."""

from __future__ import annotations

import tracemalloc

import numpy as np

from pkdcli.data.scoring.metrics import rows_of
from pkdcli.engine.metrics.predictions import Predictions, joined


def boxes(random, count):
    return random.random((count, 6), dtype=np.float32).round(3) * [1, 1, 1, 1, 1, 0] + [0, 0, 0, 0, 0, count % 3]


def test_rows_are_those_of_each_image_once_in_order():
    random = np.random.default_rng(0)
    given = [(number, boxes(random, count).astype(np.float32)) for number, count in
             [(7, 3), (2, 0), (9, 200), (7, 5), (4, 1), (2, 4), (1, 64)]]  # fmt: skip
    found = Predictions()
    for number, array in given:
        found.add(number, array)
    numbers, spans = found.once()
    assert numbers.tolist() == [7, 2, 9, 4, 1]
    first = {}
    for number, array in given:
        first.setdefault(number, array)
    for number, (begin, end) in zip(numbers.tolist(), spans.tolist(), strict=True):
        assert np.array_equal(found.boxes[begin:end], first[number])
    rows = rows_of(found.boxes, numbers, spans, np.array([11, 12, 13]))
    expected = [
        [number, x, y, np.float64(right) - x, np.float64(low) - y, score, 11 + label]
        for number, array in first.items()
        for x, y, right, low, score, label in array.astype(np.float64).tolist()
    ]
    assert rows.tolist() == expected
    assert rows.dtype == np.float64


def test_those_of_several_processes_are_one():
    one, two = Predictions(), Predictions()
    one.add(1, np.ones((2, 6), np.float32))
    two.add(2, np.zeros((1, 6), np.float32))
    two.add(1, np.zeros((3, 6), np.float32))
    whole = joined((part.images, part.boxes) for part in (one, two, Predictions()))
    assert whole.images.tolist() == [[1, 2], [2, 1], [1, 3]]
    assert whole.boxes.sum() == 12
    assert whole.once()[0].tolist() == [1, 2]
    assert rows_of(*[Predictions().boxes, *Predictions().once()], np.array([1])).shape == (0, 7)


def test_five_thousand_images_hold_no_object_each():
    """What is held is the numbers, at most twice over, and nothing by the image."""
    array, found = np.ones((100, 6), np.float32), Predictions()
    tracemalloc.start()
    for number in range(5000):
        found.add(number, array)
    held, blocks = tracemalloc.get_traced_memory()[0], len(tracemalloc.take_snapshot().traces)
    tracemalloc.stop()
    assert found.boxes.nbytes == 12_000_000
    assert held < 2.2 * found.boxes.nbytes
    assert blocks < 100
