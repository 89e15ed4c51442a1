"""A teacher and a student that are given by name, file or config, without a recipe of their pair."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import refused as refused_by

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.configs import from_text
from pkdcli.recipe.detectors.given import LONGEST, config_names, near_configs, pair_name, short
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.sweep import Grid, expand

RTMDET = "rtmdet_tiny_8xb32-300e_coco"
MASK = "mask-rcnn_r50_fpn_1x_coco"


def asked(**more):
    return resolve(Request(**{"scale": "tiny", **more}))


def refused(**more) -> PkdError:
    return refused_by(lambda: asked(**more))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """nets/mine.py is an own config, pairs/pair.yaml names it; commands are typed elsewhere."""
    for name in ("pairs", "nets", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "nets/mine.py").write_text('_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]\n')
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


# What a word names


@pytest.mark.parametrize(
    "word",
    [RTMDET, f"{RTMDET}.py", f"rtmdet/{RTMDET}", f"rtmdet/{RTMDET}.py", f"mmdet::rtmdet/{RTMDET}.py"],
)
def test_a_config_of_mmdets_with_and_without_its_folder(word):
    detector = library.load("detectors", word)
    assert (detector.name, detector.title, detector.kind) == (RTMDET, RTMDET, "one-stage")
    assert (detector.config, detector.config_content, detector.mask) == (f"rtmdet/{RTMDET}.py", None, False)


@pytest.mark.parametrize(
    ("word", "kind", "title", "lr", "mask"),
    [
        (MASK, "two-stage", MASK, 0.02, True),
        ("faster-rcnn_r50_fpn_2x_coco", "two-stage", "faster-rcnn_r50_fpn_2x_coco", 0.02, False),
        ("solo_r50_fpn_1x_coco", "one-stage", "solo_r50_fpn_1x_coco", 0.01, True),
        ("yolov3_d53_8xb8-ms-608-273e_coco", "one-stage", "yolov3_d53_mstrain-608_273e_coco", 0.001 * 16 / 64, False),
        ("deformable-detr_r50_16xb2-50e_coco", "one-stage", "deformable-detr_r50_16xb2-50e_coco", 0.01, False),
        ("retinanet_regnetx-3.2GF_fpn_1x_coco", "one-stage", "retinanet_regnetx-3.2GF_fpn_1x_coco", 0.02, False),
    ],
)
def test_kind_title_mask_and_rate_are_read_from_the_config(word, kind, title, lr, mask):
    detector = library.load("detectors", word)
    assert (detector.kind, detector.title, detector.mask, detector.name) == (kind, title, mask, word.lower())
    assert detector.lr == pytest.approx(lr)
    assert Path(detector.config).stem == word


def test_alpha_is_by_the_kind_of_a_given_teacher():
    assert asked(teacher=MASK, student="retina50").loss.weight == 6
    assert asked(teacher=RTMDET, student="retina50").loss.weight == 10


def test_a_file_of_ones_own_relative_to_where_it_is_typed(folder):
    recipe = asked(teacher="gfl101", student="../nets/mine.py")
    assert (recipe.pair, recipe.student.title) == ("gfl101-mine", "mine")
    assert recipe.student.config == str(folder / "nets/mine.py")
    assert from_text(recipe.student.config_content)["model"]["type"] == "RetinaNet"
    assert run_id(asked(teacher="gfl101", student=str(folder / "nets/mine.py"))) == run_id(recipe)


def test_a_pairs_recipe_names_configs_relative_to_itself(folder):
    pair = folder / "pairs/pair.yaml"
    pair.write_text(f"name: two\nteacher: {RTMDET}\nstudent: ../nets/mine.py\nschedule: 1x\n")
    recipe = asked(pair="../pairs/pair.yaml")
    assert (recipe.pair, recipe.teacher.name, recipe.student.config) == ("two", RTMDET, str(folder / "nets/mine.py"))
    pair.write_text(f"name: two\nteacher: rtmdet/{RTMDET}.py\nstudent: {folder}/nets/mine.py\nschedule: 1x\n")
    assert asked(pair="../pairs/pair.yaml") == recipe
    pair.write_text("name: two\nteacher: gfl101\nstudent: mine.py\nschedule: 1x\n")
    error = refused(pair="../pairs/pair.yaml")
    assert error.message == (
        f"../pairs/pair.yaml: student: unknown detector '{folder}/pairs/mine.py' (there is no such file)."
    )


def test_a_recipe_of_a_detector_names_its_config_by_the_bare_name(folder):
    mine = folder / "nets/mine.yaml"
    mine.write_text(f"name: mine\ntitle: Mine\nkind: one-stage\nconfig: {RTMDET}\n")
    assert library.load("detectors", str(mine)).config == f"rtmdet/{RTMDET}.py"


# Which pair it is


def test_two_detectors_of_a_pair_that_has_a_recipe_are_that_pair():
    for one in library.load_all("pairs"):
        assert run_id(asked(teacher=one.teacher, student=one.student)) == run_id(asked(pair=one.name)), one.name


def test_one_of_them_takes_the_place_of_the_pairs():
    assert (asked(teacher="gfl50").pair, asked(teacher="gfl50").student.name) == ("gfl50-fcos50", "fcos50")
    assert run_id(asked(student="gfl50")) == run_id(asked(pair="gfl101-gfl50"))
    assert run_id(asked(pair="maskswin-retina50", teacher="fcosx101")) == run_id(asked(pair="fcosx101-retina50"))
    recipe = asked(pair="maskswin-retina50", student=RTMDET)
    assert (recipe.pair, recipe.training, recipe.init) == (f"maskswin-{RTMDET}", "own", "scratch")


def test_a_student_is_trained_alike_under_every_teacher(folder):
    """So that its baseline serves them all."""
    baselines = {run_id(asked(teacher=one, student="fcos50", loss="none")) for one in ("gfl101", "gfl50", RTMDET)}
    assert baselines == {run_id(asked(pair="gfl101-fcos50", loss="none"))}
    assert asked(teacher="gfl50", student="gfl50").schedule.name == "1x"


@pytest.mark.parametrize(
    ("student", "more", "schedule", "epochs", "lr"),
    [
        ("retinanet_r50_fpn_1x_coco", {}, "1x", 12, 0.01),
        ("retinanet_r50_fpn_2x_coco", {}, "2x", 24, 0.01),
        ("faster-rcnn_r50_fpn_1x_coco", {}, "1x", 12, 0.02),
        (RTMDET, {"training": "paper"}, "2x", 24, 0.01),
        ("fcos50", {"training": "own"}, "own", 12, 0.01),
    ],
)
def test_schedule_and_rate_follow_from_the_config(student, more, schedule, epochs, lr):
    recipe = asked(scale="paper", teacher="gfl101", student=student, **more)
    assert (recipe.schedule.name, recipe.schedule.epochs, recipe.student.lr) == (schedule, epochs, pytest.approx(lr))
    assert recipe.training == ("own" if schedule == "own" else "paper")


def test_what_a_pair_says_of_the_other_detector_stays(folder):
    pair = folder / "pairs/pair.yaml"
    (folder / "pairs/hooks.py").write_text("A = 1\n")
    pair.write_text(
        "name: mine\nteacher: gfl101\nstudent: ../nets/mine.py\nschedule: 2x\nteacher_checkpoint: t.pth\n"
        "imports: [hooks]\n"
    )
    other_student = asked(pair=str(pair), student=RTMDET)
    assert other_student.teacher_checkpoint == str(folder / "pairs/t.pth")
    assert [one.module for one in other_student.teacher.imports] == ["hooks"]
    other_teacher = asked(pair=str(pair), teacher="gfl50")
    assert (other_teacher.teacher_checkpoint, other_teacher.schedule.name) == (None, "2x")
    assert [one.module for one in other_teacher.student.imports] == ["hooks"]


# Names


def test_names_of_pairs_are_whole_or_cut_with_a_hash():
    assert pair_name("gfl101", RTMDET) == f"gfl101-{RTMDET}"
    long = "mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco"
    name = pair_name(long, "faster-rcnn_r50_fpn_1x_coco")
    assert name == "mask-rcnn_swin-s-p4-w7_fpn_am-faster-rcnn_r50_fpn_1x_coco-ce633e"
    assert len(name) <= LONGEST
    assert pair_name(long, "faster-rcnn_r50_fpn_2x_coco") != name
    assert len(pair_name(long, long)) <= LONGEST
    assert pair_name(long, "a").startswith(f"{long}-a")
    for one in config_names():
        assert len(short(one.lower())) <= LONGEST


def test_two_detectors_of_one_name_are_two_runs(folder):
    (folder / "elsewhere/mine.py").write_text('_base_ = ["mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"]\n')
    one, other = asked(student="../nets/mine.py"), asked(student="mine.py")
    assert one.pair == other.pair == "gfl101-mine"
    assert run_id(one) != run_id(other)
    assert comparable(one) != comparable(other)


# Sweeps


def test_a_sweep_combines_teachers_and_students():
    grid = Grid(losses=["pkd"], teachers=["gfl101", "gfl50"], students=["fcos50", "retina50"])
    found = [(one.role, one.pair) for one in expand(Request(scale="tiny"), grid)]
    assert found == [
        ("baseline", "gfl101-fcos50"),
        ("distill", "gfl101-fcos50"),
        ("baseline", "gfl101-retina50"),
        ("distill", "gfl101-retina50"),
        ("distill", "gfl50-fcos50"),
        ("distill", "gfl50-retina50"),
    ]


def test_a_sweeps_baselines_take_no_notice_of_what_only_a_teacher_is_for():
    base = Request(scale="tiny", tap=("neck",), distill_until=0.5)
    baseline, student = expand(base, Grid(losses=["pkd"]))
    assert (student.taps, student.distill_until) == (("neck", "neck"), 0.5)
    assert (baseline.student.tap, baseline.distill_until) == (None, None)
    assert run_id(baseline) == run_id(asked(loss="none"))


# Taps


@pytest.mark.parametrize(
    ("tap", "taps"),
    [
        (("backbone",), ("backbone", "backbone")),
        (("student=neck.0",), ("neck.0", None)),
        (("teacher=backbone", "student=neck"), ("neck", "backbone")),
        (("backbone", "student=neck"), ("neck", "backbone")),
    ],
)
def test_taps_of_both_or_of_one(tap, taps):
    recipe = asked(tap=tap)
    assert recipe.taps == taps  # the student's, the teacher's
    assert run_id(recipe) != run_id(asked())
    assert comparable(recipe) == comparable(asked())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tap": ("pupil=neck",)}, "--tap: 'pupil=neck' names no module."),
        ({"tap": ("student=",)}, "--tap: 'student=' names no module."),
        ({"tap": ("neck", "backbone")}, "--tap: 'neck' and 'backbone': one module for both detectors is compared."),
        (
            {"tap": ("student=a", "student=b")},
            "--tap: 'a' and 'b': one module of the student is compared.",
        ),
        ({"tap": ("neck",), "loss": "none"}, "loss none is the baseline: it has no teacher."),
        ({"distill_until": 0.5, "loss": "none"}, "loss none is the baseline: it has no teacher."),
        ({"distill_until": 1.5}, "--distill-until: 1.5 is no share of the run."),
        ({"training": "won"}, "unknown way to train (--training) 'won'."),
    ],
)
def test_what_is_no_tap_share_or_training(more, message):
    error = refused(**more)
    assert error.message == message
    assert error.hint


def test_the_whole_run_is_no_share():
    assert run_id(asked(distill_until=1.0)) == run_id(asked())


# What is no detector


@pytest.mark.parametrize(
    ("word", "guess"),
    [
        ("gfl11", "gfl101"),
        ("rtmdet_x_8xb32", "rtmdet_x_8xb32-300e_coco"),
        ("rtmdet/rtmdet_tinny_8xb32-300e_coco.py", RTMDET),
        ("yolox_s_8xb8-300e", "yolox_s_8xb8-300e_coco"),
    ],
)
def test_a_wrong_name_gets_the_nearest_of_recipes_and_configs(word, guess):
    error = refused(teacher=word)
    assert error.message.startswith(f"unknown detector {word!r}")
    assert error.hint.startswith(f"Did you mean '{guess}'")
    assert "the name of one of mmdet's configs, or a file (.yaml, .py)." in error.hint


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-mot20train_test-mot20test",
         "is no config of a detector: its `model` is a ByteTrack around one, its `detector`."),
        ("rpn_r50_fpn_1x_coco", "is no config of a detector: its `model`, a RPN, only proposes regions."),
        ("reid_r50_8xb32-6e_mot15train80_test-mot15val20",
         "is no config of a detector: its `model`, a BaseReID, has no head that finds objects."),
        ("_base_/models/faster-rcnn_r50_fpn.py",
         "is no config of a detector: it is a part that mmdet's configs are made of."),
    ],
)  # fmt: skip
def test_a_config_that_is_no_detectors_is_told_so(word, says):
    error = refused(student=word)
    assert error.message.startswith("--student: ")
    assert error.message.endswith(says)
    assert error.hint


def test_a_syntax_error_is_told_with_file_and_line(folder):
    (folder / "nets/mine.py").write_text("model = dict(\n    type='ATSS'\nx = 1\n")
    error = refused(teacher="../nets/mine.py")
    assert error.message == f"--teacher: can't read {folder}/nets/mine.py, line 1: SyntaxError: '(' was never closed."


# Completion


def test_names_for_the_shell():
    names = library.offered("detectors")
    assert {"gfl101", RTMDET, "yolox_s_8xb8-300e_coco"} <= set(names)
    assert not {"rtmdet_tta"} & set(names)
    assert not [name for name in names if name.startswith(("bytetrack", "qdtrack", "_base_"))]
    assert f"rtmdet/{RTMDET}" in library.offered("detectors", "rtmdet/")
    assert library.offered("pairs") == library.names("pairs")


def test_configs_that_are_near():
    assert near_configs("rtmdet_tiny") == [RTMDET]
    assert near_configs("qqqqq") == []
