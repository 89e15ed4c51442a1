"""Pairing levels: by index, by stride, as given; adapters between different channels; what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pkdcli.config.build import with_adapters
from pkdcli.config.detector import detector_model
from pkdcli.config.distill import distill_model
from pkdcli.config.levels import Level, Outputs, at_other_strides, backbone_strides, neck_levels, pairing
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import LossUse, TeacherSpeed
from pkdcli.recipe.sweep import Grid, expand


def model(start=1, outs=5, channels=256, backbone=None):
    return {
        "type": "Detector",
        "backbone": backbone or {"type": "ResNet", "depth": 50, "out_indices": (0, 1, 2, 3)},
        "neck": {"type": "FPN", "start_level": start, "num_outs": outs, "out_channels": channels},
        "data_preprocessor": {},
    }


ONE_STAGE, TWO_STAGE = model(start=1), model(start=0)
SWIN = model(start=0, backbone={"type": "SwinTransformer", "out_indices": (0, 1, 2, 3)})


def strides(section):
    return [level.stride for level in neck_levels(section, "student")]


def test_strides_follow_from_backbone_and_neck():
    assert strides(ONE_STAGE) == [8, 16, 32, 64, 128]
    assert strides(TWO_STAGE) == strides(SWIN) == [4, 8, 16, 32, 64]
    assert strides(model(start=0, outs=3)) == [4, 8, 16]
    assert strides(model(start=0, backbone={"type": "ResNet", "out_indices": (1, 2, 3)})) == [8, 16, 32, 64, 128]
    dilated = {"type": "ResNet", "strides": (1, 2, 2, 1), "out_indices": (0, 1, 2, 3)}
    assert strides(model(start=0, outs=4, backbone=dilated)) == [4, 8, 16, 16]
    assert strides(model(backbone={"type": "Darknet"})) == [None] * 5
    ended = model(start=0, outs=4)
    ended["neck"]["end_level"] = 1
    assert strides(ended) == [4, 8, 16, 32]


@pytest.mark.parametrize(("family", "first"), [("ResNeXt", 4), ("Res2Net", 4), ("SwinTransformer", 4)])
def test_every_known_family_starts_at_stride_four(family, first):
    assert backbone_strides({"type": family}) == [first, 2 * first, 4 * first, 8 * first]


@pytest.mark.parametrize(
    ("levels", "student", "teacher", "pairs"),
    [
        ("index", ONE_STAGE, ONE_STAGE, [(0, 0), (1, 1), (2, 2), (3, 3)]),
        ("index", ONE_STAGE, TWO_STAGE, [(0, 0), (1, 1), (2, 2), (3, 3)]),  # P3-P6 meet P2-P5, the official way
        ("index", ONE_STAGE, model(outs=3), [(0, 0), (1, 1), (2, 2)]),
        ("stride", ONE_STAGE, ONE_STAGE, [(0, 0), (1, 1), (2, 2), (3, 3)]),
        ("stride", ONE_STAGE, SWIN, [(0, 1), (1, 2), (2, 3), (3, 4)]),  # P3-P6 meet P3-P6
        ("stride", TWO_STAGE, ONE_STAGE, [(1, 0), (2, 1), (3, 2), (4, 3)]),
        ("0:1,4:4", ONE_STAGE, TWO_STAGE, [(0, 1), (4, 4)]),
    ],
)
def test_pairs(levels, student, teacher, pairs):
    assert pairing(levels, student, teacher).pairs == pairs


def test_a_level_without_a_partner_is_named():
    short = pairing("index", ONE_STAGE, model(outs=3))
    assert short.alone_student == [3, 4]
    assert short.alone_teacher == []
    assert len(short.warnings) == 1  # the fifth level has none in the official configs either
    assert "the student's level 3 (stride 64) has no partner among the teacher's 3 levels" in short.warnings[0]
    by_stride = pairing("stride", TWO_STAGE, ONE_STAGE)
    assert by_stride.alone_student == [0]
    assert by_stride.alone_teacher == [4]
    assert "level 0 (stride 4)" in by_stride.warnings[0]
    official = pairing("index", ONE_STAGE, TWO_STAGE)
    assert (official.alone_student, official.alone_teacher, official.warnings) == ([4], [4], [])


@pytest.mark.parametrize(
    ("levels", "teacher", "words"),
    [
        ("0:5", ONE_STAGE, "the teacher has no level 5; it has levels 0 to 4, of strides 8, 16, 32, 64, 128"),
        ("7:0", ONE_STAGE, "the student has no level 7"),
        ("0:0,0:1", ONE_STAGE, "the student's level 0 stands twice"),
        ("stride", model(start=0, outs=1), "the student's strides are 8, 16, 32, 64, 128, the teacher's 4"),
        ("stride", model(backbone={"type": "Darknet"}), "strides of the teacher's backbone are not known"),
        ("index", {"type": "DETR", "neck": {"type": "ChannelMapper"}}, "the teacher (DETR) has no feature pyramid"),
        ("index", {"type": "SSD"}, "the teacher (SSD) has no feature pyramid"),
    ],
)
def test_what_can_not_be_paired_is_refused(levels, teacher, words):
    with pytest.raises(PkdError) as error:
        pairing(levels, ONE_STAGE, teacher)
    assert words in error.value.message
    assert error.value.hint


def test_adapters_are_written_into_the_recipe_and_change_no_name():
    narrow = recipe(sets=("student.set.neck.out_channels=48", "student.set.bbox_head.in_channels=48"), levels="0:0,2:1")
    known = with_adapters(narrow)
    assert known.adapters == {0: (48, 64), 2: (48, 64)}
    assert run_id(known) == run_id(narrow)
    assert with_adapters(recipe()).adapters == with_adapters(recipe(loss="none")).adapters == {}


def test_the_last_of_several_necks_gives_the_levels():
    several = model()
    several["neck"] = [several["neck"], {"type": "DyHead", "in_channels": 256}]
    assert len(neck_levels(several, "student")) == 5


def recipe(**options):
    made = resolve(Request(scale="tiny", **options))
    return made.model_copy(update={"data": made.data.model_copy(update={"classes": ["a", "b"]})})


def test_other_channels_get_a_1x1_adapter_and_equal_ones_none():
    section = distill_model(recipe(levels="0:1,1:1"), model(channels=64), model(channels=96), "teacher.pth")
    adapter = {"type": "mmrazor.ConvModuleConnector", "in_channel": 64, "out_channel": 96, "act_cfg": None}
    assert section["distiller"]["connectors"] == {"adapter0": adapter, "adapter1": adapter}
    assert section["distiller"]["loss_forward_mappings"]["loss_pkd_fpn1"] == {
        "preds_S": {"from_student": True, "recorder": "fpn", "data_idx": 1, "connector": "adapter1"},
        "preds_T": {"from_student": False, "recorder": "fpn", "data_idx": 1},
    }
    plain = distill_model(recipe(), model(), model(), "teacher.pth")
    assert plain["distiller"]["connectors"] == {}
    assert "connector" not in plain["distiller"]["loss_forward_mappings"]["loss_pkd_fpn0"]["preds_S"]


@pytest.mark.parametrize(
    ("given", "canonical"), [([[0, 1], [1, 2]], "0:1,1:2"), (" 0:1, 1:2", "0:1,1:2"), ("stride", "stride")]
)
def test_levels_have_one_spelling(given, canonical):
    assert LossUse(name="pkd", type="pkd", levels=given).levels == canonical


@pytest.mark.parametrize("wrong", ["strid", "", [], "0", "0:1:2", "a:b", "-1:0", [[0]], [[True, 0]], 3, None])
def test_other_words_for_levels_are_refused(wrong):
    with pytest.raises(ValidationError, match="should be index, stride, or student:teacher levels such as 0:1,1:2"):
        LossUse(name="pkd", type="pkd", levels=wrong)


def test_flags_reach_the_recipe_and_its_name():
    assert recipe().loss.levels == "index"
    assert recipe(levels="stride").loss.levels == "stride"
    assert recipe(sets=("loss.levels=[[0, 0]]",)).loss.levels == "0:0"
    assert recipe(pair="gfl101-gfl50").init == "inherit"
    assert recipe(pair="gfl101-gfl50", init="scratch").init == "scratch"
    sweep = expand(Request(scale="tiny", pair="gfl101-gfl50", init="inherit", levels="stride"), Grid())
    assert [(one.role, one.init, one.loss.levels) for one in sweep] == [
        ("baseline", "scratch", "index"),
        ("distill", "inherit", "stride"),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"init": "inherti"}, "unknown way to start (--init) 'inherti'"),
        ({"levels": "strid"}, "loss.levels: should be index, stride, or student:teacher levels"),
        ({"loss": "none", "init": "inherit"}, "the baseline: it never inherits"),
        ({"loss": "none", "levels": "stride"}, "compares no levels"),
        ({"loss": "none", "sets": ("init=inherit",)}, "a baseline has no teacher to inherit from"),
    ],
)
def test_wrong_words_are_refused_before_anything_runs(options, words):
    with pytest.raises(PkdError) as error:
        resolve(Request(scale="tiny", **options))
    assert words in str(error.value)


def section(name):
    return detector_model(library.load("detectors", name), library.load("scales", "paper"), 80)


@pytest.mark.parametrize("pair", [pair.name for pair in library.load_all("pairs") if pair.init == "inherit"])
def test_every_pair_that_inherits_by_default_may(pair):
    one = library.load("pairs", pair)
    made = recipe(pair=pair)
    distilled = distill_model(made, section(one.student), section(one.teacher), None)
    assert distilled["inherit"] is True


@pytest.mark.parametrize("pair", ["gfl101-fcos50", "fcosx101-retina50", "maskswin-retina50", "maskswin-fcos50"])
def test_heads_of_other_types_are_refused_before_the_teacher_is_trained(pair):
    one = library.load("pairs", pair)
    with pytest.raises(PkdError, match=r"bbox_head is a .*Head, the teacher has (a .*Head|none):"):
        distill_model(recipe(pair=pair, init="inherit"), section(one.student), section(one.teacher), None)


TAPPED = Outputs([Level(16, 64)], "backbone.layer3.0.conv1", single=True)


def tapped(**more):
    """The section of a run whose detectors both have a tap, and their one level."""
    made = recipe()
    taps = {part: getattr(made, part).model_copy(update={"tap": TAPPED.module}) for part in ("student", "teacher")}
    made = made.model_copy(update={**taps, **more})
    return distill_model(made, model(), model(), "teacher.pth", lambda models: [TAPPED for _ in models])


def test_what_a_tap_puts_out_is_recorded_and_its_norm_is_not_folded_into_it():
    """Behind a convolution that has taken its norm over stands what the norm would put out."""
    section = tapped()
    for who in ("student", "teacher"):
        recorder = section["distiller"][f"{who}_recorders"]["fpn"]
        assert recorder == {"type": "mmrazor.PkdSingleOutput", "source": "backbone.layer3.0.conv1"}
    assert section["teacher_speed"]["fold"] is False
    assert distill_model(recipe(), model(), model(), "teacher.pth")["teacher_speed"]["fold"] is True


def test_a_compiled_teacher_tells_nothing_from_inside():
    with pytest.raises(PkdError) as caught:
        tapped(teacher_speed=TeacherSpeed(compile=True))
    assert caught.value.message == (
        "teacher_speed.compile: what the teacher's backbone.layer3.0.conv1 (--tap) puts out can't be had from inside "
        "of a compiled module."
    )
    assert caught.value.hint.startswith("Leave out --set teacher_speed.compile=true")


@pytest.mark.parametrize(
    ("student", "teacher", "said"),
    [
        (ONE_STAGE, TWO_STAGE, "8, 16, 32, 64 meet the teacher's of strides 4, 8, 16, 32"),
        (TWO_STAGE, ONE_STAGE, "4, 8, 16, 32 meet the teacher's of strides 8, 16, 32, 64"),
        (ONE_STAGE, ONE_STAGE, None),
    ],
)
def test_strides_that_differ_by_index_are_told(student, teacher, said):
    assert at_other_strides(student, teacher) == (said and f"the student's levels of strides {said}")
