"""What is known of families of detectors, and what plug-ins add to it."""

from __future__ import annotations

import pytest
from asking import refused

from pkdcli.config import families
from pkdcli.config.distill import check_heads
from pkdcli.config.families import Family, drop_masks, family_of, heads_of, parts_of, types_of
from pkdcli.config.levels import backbone_strides, neck_levels
from pkdcli.config.used_plugins import used_plugins
from pkdcli.plugins import GROUPS
from pkdcli.recipe.resolve import Request, resolve

MODULE = """
from pkdcli.config.families import Family
det = Family(heads=("query_head", "roi_head.box"), without_masks="ProbeBoxes", mask_parts=("query_head.masks",))
net = Family(strides=(2, 4, 8, 16), compiled_by_size=True)
none = {"heads": ["query_head"]}
"""


@pytest.fixture
def probe(install):
    def probe(**entries: str) -> None:
        values = {name: f"probe_families:{value}" for name, value in entries.items()}
        install({GROUPS["families"]: values}, {"probe_families.py": MODULE})

    return probe


def test_what_pkd_knows():
    assert family_of("ResNet") == family_of(None) == Family()
    assert family_of("mmdet.MaskRCNN").without_masks == "FasterRCNN"
    assert heads_of(["GFL", "ResNet"]) == ("bbox_head", "rpn_head", "roi_head.bbox_head")
    assert types_of({"type": "GFL", "backbone": {"type": "mmdet.ResNet"}}) == ["GFL", "mmdet.ResNet"]
    assert types_of({"type": "GFL"}) == ["GFL"]


@pytest.mark.parametrize(
    ("kind", "becomes"), [("MaskRCNN", "FasterRCNN"), ("mmdet.MaskRCNN", "FasterRCNN"), ("CascadeRCNN", "CascadeRCNN")]
)
def test_a_mask_head_goes_with_what_feeds_it(kind, becomes):
    model = {"type": kind, "roi_head": {"bbox_head": 1, "mask_head": 2, "mask_roi_extractor": 3}}
    drop_masks(model)
    assert model == {"type": becomes, "roi_head": {"bbox_head": 1}}


def test_a_plug_in_adds_what_it_knows_of_a_type(probe):
    probe(ProbeDet="det", ProbeNet="net")
    assert heads_of(["ProbeDet"]) == (*families.HEADS, "query_head", "roi_head.box")
    assert parts_of(["ProbeDet"]) == (*families.PARTS, "query_head")
    model = {"type": "probe.ProbeDet", "query_head": {"type": "Q", "masks": 1}}
    drop_masks(model)
    assert model == {"type": "ProbeBoxes", "query_head": {"type": "Q"}}
    assert backbone_strides({"type": "ProbeNet"}) == [2, 4, 8, 16]
    neck = {"num_outs": 3, "out_channels": 8}
    levels = neck_levels({"backbone": {"type": "ProbeNet", "out_indices": (2, 3)}, "neck": neck}, "student")
    assert [level.stride for level in levels] == [8, 16, 32]
    assert family_of("ProbeNet").compiled_by_size
    error = refused(check_heads, {"type": "ProbeDet", "query_head": {"type": "Q"}}, {"type": "ProbeDet"})
    assert error.message.startswith("init: inherit: the student's query_head is a Q, the teacher has none")


def test_one_that_a_run_uses_is_noted_down(probe):
    probe(RetinaNet="none", ResNet="net")
    (used,) = used_plugins(resolve(Request(scale="tiny", loss="none")))  # of an FCOS
    assert (used.kind, used.name) == ("families", "ResNet")


def test_a_broken_one_is_told_where_its_type_stands_and_nowhere_else(probe):
    probe(ProbeDet="none", MaskRCNN="det")
    source = "of the plug-in pkd-probe 0.1 (entry point ProbeDet = probe_families:none of pkdcli.detector_families)"
    assert refused(family_of, "ProbeDet").message == (
        f"detector family 'ProbeDet' {source}: probe_families:none is no pkdcli.config.families.Family."
    )
    assert refused(family_of, "MaskRCNN").message == (
        "detector family 'MaskRCNN' is not clear: these have that name:\n  pkdcli itself\n"
        "  pkd-probe 0.1 (entry point MaskRCNN = probe_families:det of pkdcli.detector_families)"
    )
    assert family_of("FasterRCNN") == Family()
