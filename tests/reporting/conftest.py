"""Records as `collect` makes them."""

from __future__ import annotations

import pytest

from pkdcli.runs.record import COLUMNS, METRICS


@pytest.fixture
def record():
    """A factory of records: a finished mse run unless told otherwise; `mAP` sets the other metrics too."""

    def make(run="run", mAP=30.0, **changes):
        blank = dict.fromkeys(
            (*COLUMNS, "epochs", "teacher_title", "student_title", "comparable", "experiment",
             *(f"teacher_{m}" for m in METRICS))
        )
        known = {
            **{"run": run, "role": "distill", "pair": "gfl101-fcos50", "teacher": "gfl101", "student": "fcos50"},
            **{"loss": "mse", "weight": 10.0, "schedule": "2x", "data": "shapes", "split": "val", "scale": "tiny"},
            **{"seed": 0, "batch": 8, "epoch": 6, "state": "done", "path": "/runs/" + run},
        }
        if mAP is not None:
            known |= {"mAP": mAP, "AP50": mAP + 20, "AP75": mAP + 1, "AP_M": mAP, "AP_L": mAP + 5}
        if changes.get("role") == "baseline":
            known |= {"loss": "none", "weight": None}
        return blank | known | changes

    return make
