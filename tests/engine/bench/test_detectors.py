"""docs/detectors.md says what is stored, and what is stored is what is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pkdcli.engine.bench.detectors import measure, page

HERE = Path(__file__).parents[3]
STORED = json.loads(page.MEASURED.read_text(encoding="utf-8"))
CATALOG = {entry["config"]: entry for entry in measure.catalog()}
QUICK = "sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py"
REFUSED = "fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py"

SCRIPT = """
import json, sys
from pkdcli.engine.bench.detectors import measure
asked = json.loads(sys.argv[1])
said = []
if "jobs" in asked:
    found = [outcome for _, outcome in measure.measure(asked["jobs"])]
else:
    found = measure.measured(asked["entries"], 2, said.append)
print("\\n" + json.dumps({"found": found, "said": said}))
"""


def in_a_process_of_its_own(**asked):
    """What is measured: probes are forked, and this process may have threads of libraries that outlive no fork."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_page_is_made_from_what_is_stored():
    text = (HERE / "docs" / "detectors.md").read_text(encoding="utf-8")
    assert text == page.page(), f"{page.COMMAND} page"


def test_every_detector_of_the_catalog_is_stored_and_none_stands_twice():
    assert list(STORED) == list(CATALOG)
    assert len(CATALOG) == len(measure.catalog()) >= 60


def test_as_many_work_as_have_to():
    number = len(STORED)
    students, teachers = (page.counts(STORED, role) for role in ("student", "teacher"))
    assert students["works"] >= number * 57 / 60
    assert teachers["works"] >= number * 58 / 60
    assert students["fails"] == teachers["fails"] == 0
    for one in STORED.values():
        for role in ("student", "teacher"):
            assert one[role]["state"] == "works" or one[role]["reason"].endswith(".")


def test_a_row_of_the_page():
    text = page.page()
    row = "| ATSS | `atss/atss_r50_fpn_1x_coco` | yes | yes | 8/16/32/64/128 x 256 |  | paper |  |  |"
    assert row in text.splitlines()
    assert f"Of these {len(STORED)} configs" in text


def test_a_detector_is_tried_as_a_student_and_as_a_teacher():
    answer = in_a_process_of_its_own(entries=[CATALOG[QUICK], CATALOG[REFUSED]])
    found = answer["found"]
    assert found == {QUICK: STORED[QUICK], REFUSED: STORED[REFUSED]}
    assert found[QUICK]["student"] == found[QUICK]["teacher"] == {"state": "works"}
    assert found[REFUSED]["student"] == {
        "state": "refused",
        "reason": "detector fast-rcnn_r50_fpn_1x_coco: a FastRCNN can't be used here: it takes its region proposals "
        "from a file, which no data set here has.",
    }
    assert f"works student {QUICK}" in answer["said"]


def test_what_breaks_a_probe_is_told_and_no_other_is_lost():
    (outcome,) = in_a_process_of_its_own(jobs=[{"role": "student", "config": QUICK, "wrong": 1}])["found"]
    assert outcome["state"] == "fails"
    assert outcome["reason"].startswith("its process ended with 1: TypeError: ")


@pytest.mark.slow
def test_what_is_stored_is_what_is_measured():
    found = in_a_process_of_its_own(entries=list(CATALOG.values()))["found"]
    absent = "which is not installed."
    for config, one in found.items():
        stored = dict(STORED[config])
        if any(one[role].get("reason", "").endswith(absent) for role in ("student", "teacher")):
            assert one["packages"] == stored["packages"] != []  # it works where these are installed
            continue
        assert one == stored, config
    assert set(found) == set(STORED)
