"""The detections that `pkd bench --only compare` compares: as many and as alike as those of COCO's detectors."""

from __future__ import annotations

import numpy as np

from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.data.scoring.metrics import evaluated, metrics_of, rows_of_kept
from pkdcli.engine.bench.inputs.coco_val import CLASSES, LEAST, MOST, OBJECTS, Drawn


def test_the_detections_are_as_many_and_as_good_as_those_of_a_detector_of_coco(tmp_path):
    drawn = Drawn(500)
    drawn.write(tmp_path / "val.json")
    truth = load_annotations(tmp_path / "val.json")
    assert abs(len(truth.annotations.bbox) / 500 - OBJECTS) < 1
    runs = [drawn.found(0), drawn.found(1, better=0.02)]
    metrics = []
    for found in runs:
        assert len(found.counts) == 500
        assert 70 < found.counts.mean() < 84
        assert found.counts.max() == MOST
        assert found.scores.min() >= np.float32(LEAST)
        assert len(np.unique(found.labels)) == CLASSES
        metrics.append(metrics_of(evaluated(truth, rows_of_kept(found, truth))))
        assert 25 < metrics[-1]["mAP"] < 50
        assert 50 < metrics[-1]["AP50"] < 75
    assert 0 < metrics[1]["mAP"] - metrics[0]["mAP"] < 4
    # Two seeds agree image by image: what is hard for one is so for the other.
    own = [np.add.reduceat(found.scores, np.cumsum(found.counts) - found.counts) for found in runs]
    assert np.corrcoef(own)[0, 1] > 0.9


def test_a_seed_draws_the_same_again():
    first, again, other = Drawn(20).found(3), Drawn(20).found(3), Drawn(20).found(4)
    assert np.array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.boxes[:5], other.boxes[:5])
