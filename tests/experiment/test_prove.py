"""What is built before a teacher is trained, so that whatever is wrong with it is told first."""

from __future__ import annotations

from pkdcli.experiment.prove import has_own
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve


def test_a_detector_that_pkd_does_not_ship_is_built_first():
    shipped = {library.load("detectors", name).config for name in library.names("detectors")}
    assert "foveabox/fovea_r50_fpn_4xb4-1x_coco.py" not in shipped
    for role in ("teacher", "student"):
        asked = {"teacher": "gfl101", "student": "fcos50"}
        assert not has_own(resolve(Request(scale="tiny", **asked)))
        assert has_own(resolve(Request(scale="tiny", **{**asked, role: "fovea_r50_fpn_4xb4-1x_coco"})))
