"""Two runs over one small data set, the second with better boxes."""

from __future__ import annotations

import json

import pytest
from drawn_detections import data_set, detections

from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.reporting.compare.scored import Scored


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The data set's content, and both runs as they are scored on it."""
    content = data_set(40)
    path = tmp_path_factory.mktemp("two") / "val.json"
    path.write_text(json.dumps(content))
    truth = load_annotations(path)
    return content, *(Scored(f"run-{n}", None, "val", truth, detections(content, noise, n))
                      for n, noise in ((1, 9.0), (2, 5.0)))  # fmt: skip
