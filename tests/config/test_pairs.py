"""Every pair against the paper's appendix A.2, its Tables 7 and 8 and mmdet's zoo; all numbers are written out here."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pkdcli.config import build, data, schedule, zoo
from pkdcli.config.detector import detector_model
from pkdcli.config.teacher import teacher_recipe
from pkdcli.folders import recipes_root
from pkdcli.recipe import library
from pkdcli.recipe.configs import config_path
from pkdcli.recipe.detectors.read import load_config
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.status import columns


@dataclass(frozen=True)
class Golden:
    """What a pair must resolve to: `lr` at 16 images a step, milestones in epochs."""

    teacher: str
    student: str
    schedule: str
    epochs: int
    milestones: list[float]
    lr: float
    alpha: float
    init: str


ONE, TWO = ("1x", 12, [8.0, 11.0]), ("2x", 24, [16.0, 22.0])
PAIRS = {
    "faster101-faster50": Golden("faster101", "faster50", *TWO, 0.02, 6, "inherit"),
    "fcosx101-retina50": Golden("fcosx101", "retina50", *ONE, 0.01, 10, "scratch"),
    "gfl101-fcos50": Golden("gfl101", "fcos50", *TWO, 0.01, 10, "scratch"),
    "gfl101-fcos50-plain": Golden("gfl101", "fcos50-plain", *ONE, 0.01, 10, "scratch"),
    "gfl101-gfl50": Golden("gfl101", "gfl50", *ONE, 0.01, 10, "inherit"),
    "maskswin-faster50": Golden("maskswin", "faster50", *TWO, 0.02, 6, "inherit"),
    "maskswin-fcos50": Golden("maskswin", "fcos50", *TWO, 0.01, 6, "scratch"),
    "maskswin-retina50": Golden("maskswin", "retina50", *TWO, 0.01, 6, "scratch"),
    "reppointsx101-reppoints50": Golden("reppointsx101", "reppoints50", *TWO, 0.01, 10, "inherit"),
    "retinax101-retina50": Golden("retinax101", "retina50", *TWO, 0.01, 10, "inherit"),
}

@dataclass(frozen=True)
class Beyond:
    """What a pair beyond the paper's must resolve to at scale paper: `lr` at 16 images a step."""

    teacher: str
    student: str
    schedule: str
    epochs: int
    lr: float
    alpha: float
    init: str = "scratch"
    training: str = "paper"


OWN = {"schedule": "own", "epochs": 300, "training": "own"}  # as RTMDet's and YOLOX's configs say
BEYOND = {
    "atss101-atss50": Beyond("atss101", "atss50", "1x", 12, 0.01, 10, init="inherit"),
    "cascade101-faster50": Beyond("cascade101", "faster50", "2x", 24, 0.02, 6),
    "dino50-gfl50": Beyond("dino50", "gfl50", "1x", 12, 0.01, 10),
    "gfl101-rtmdet-tiny": Beyond("gfl101", "rtmdet-tiny", lr=0.004 / 16, alpha=10, **OWN),
    "rtmdet-l-rtmdet-tiny": Beyond("rtmdet-l", "rtmdet-tiny", lr=0.004 / 16, alpha=10, **OWN),
    "rtmdet-l-yolox-tiny": Beyond("rtmdet-l", "yolox-tiny", lr=0.01 / 4, alpha=10, **OWN),
    "yolox-l-yolox-tiny": Beyond("yolox-l", "yolox-tiny", lr=0.01 / 4, alpha=10, **OWN),
}

# detector: title, mmdet config, the checkpoint's file name in mmdet's metafile, its box AP there
DETECTORS = {
    "faster101": (
        "FasterRCNN-Res101", "faster_rcnn/faster-rcnn_r101_fpn_2x_coco.py",
        "faster_rcnn_r101_fpn_2x_coco_bbox_mAP-0.398_20200504_210455-1d2dac9c.pth", 39.8),
    "faster50": (
        "FasterRCNN-Res50", "faster_rcnn/faster-rcnn_r50_fpn_2x_coco.py",
        "faster_rcnn_r50_fpn_2x_coco_bbox_mAP-0.384_20200504_210434-a5d8aa15.pth", 38.4),
    "fcos50": (
        "FCOS-Res50", "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py",
        "fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_1x_coco-0a0d75a8.pth", 38.7),
    "fcos50-plain": (
        "FCOS-Res50 (plain)", "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
        "fcos_r50_caffe_fpn_gn-head_1x_coco-821213aa.pth", 36.6),
    "fcosx101": (
        "FCOS-ResX101", "fcos/fcos_x101-64x4d_fpn_gn-head_ms-640-800-2x_coco.py",
        "fcos_x101_64x4d_fpn_gn-head_mstrain_640-800_2x_coco-ede514a8.pth", 42.6),
    "gfl101": (
        "GFL-Res101", "gfl/gfl_r101_fpn_ms-2x_coco.py",
        "gfl_r101_fpn_mstrain_2x_coco_20200629_200126-dd12f847.pth", 44.7),
    "gfl50": (
        "GFL-Res50", "gfl/gfl_r50_fpn_1x_coco.py",
        "gfl_r50_fpn_1x_coco_20200629_121244-25944287.pth", 40.2),
    "maskswin": (
        "MaskRCNN-Swin", "swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py",
        "mask_rcnn_swin-s-p4-w7_fpn_fp16_ms-crop-3x_coco_20210903_104808-b92c91f1.pth", 48.2),
    "reppoints50": (
        "RepPoints-Res50", "reppoints/reppoints-moment_r50_fpn-gn_head-gn_2x_coco.py",
        "reppoints_moment_r50_fpn_gn-neck%2Bhead_2x_coco_20200329-91babaa2.pth", 38.6),
    "reppointsx101": (
        "RepPoints-ResX101-DCN", "reppoints/reppoints-moment_x101-dconv-c3-c5_fpn-gn_head-gn_2x_coco.py",
        "reppoints_moment_x101_fpn_dconv_c3-c5_gn-neck%2Bhead_2x_coco_20200329-f87da1ea.pth", 44.2),
    "retina50": (
        "Retina-Res50", "retinanet/retinanet_r50_fpn_2x_coco.py",
        "retinanet_r50_fpn_2x_coco_20200131-fdb43119.pth", 37.4),
    "retinax101": (
        "Retina-ResX101", "retinanet/retinanet_x101-64x4d_fpn_2x_coco.py",
        "retinanet_x101_64x4d_fpn_2x_coco_20200131-bca068ab.pth", 40.8),
}  # fmt: skip
MORE_DETECTORS = {
    "atss101": ("ATSS-Res101", "atss/atss_r101_fpn_1x_coco.py", "atss_r101_fpn_1x_20200825-dfcadd6f.pth", 41.5),
    "atss50": ("ATSS-Res50", "atss/atss_r50_fpn_1x_coco.py", "atss_r50_fpn_1x_coco_20200209-985f7bd0.pth", 39.4),
    "cascade101": (
        "CascadeRCNN-Res101", "cascade_rcnn/cascade-rcnn_r101_fpn_20e_coco.py",
        "cascade_rcnn_r101_fpn_20e_coco_bbox_mAP-0.425_20200504_231812-5057dcc5.pth", 42.5),
    "dino50": (
        "DINO-Res50", "dino/dino-4scale_r50_8xb2-12e_coco.py",
        "dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth", 49.0),
    "rtmdet-l": (
        "RTMDet-l", "rtmdet/rtmdet_l_8xb32-300e_coco.py",
        "rtmdet_l_8xb32-300e_coco_20220719_112030-5a0be7c4.pth", 51.3),
    "rtmdet-tiny": (
        "RTMDet-tiny", "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        "rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth", 40.9),
    "yolox-l": (
        "YOLOX-l", "yolox/yolox_l_8xb8-300e_coco.py", "yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth", 49.4),
    "yolox-tiny": (
        "YOLOX-tiny", "yolox/yolox_tiny_8xb8-300e_coco.py",
        "yolox_tiny_8x8_300e_coco_20211124_171234-b4047906.pth", 32.0),
}  # fmt: skip

# Table 8: pair, schedule, weights of mse
TABLE8 = [
    ("fcosx101-retina50", "1x", [5, 10, 20]),
    ("fcosx101-retina50", "2x", [5, 10, 20]),
    ("gfl101-fcos50", "1x", [50, 70]),
    ("gfl101-fcos50", "2x", [10, 30, 50, 70, 80]),
    ("retinax101-retina50", "2x", [5, 10, 15]),
    ("maskswin-faster50", "2x", [3, 5, 6, 10]),
]
TABLE7 = [("retinax101-retina50", "2x"), ("gfl101-gfl50", "1x")]


def paper(pair: str, **more):
    return resolve(Request(pair=pair, scale="paper", data="coco", **more))


def test_no_recipe_is_missing_and_none_is_untested():
    assert library.names("pairs") == sorted([*PAIRS, *BEYOND])
    assert (len(PAIRS), len(BEYOND)) == (10, 7)
    assert library.names("detectors") == sorted([*DETECTORS, *MORE_DETECTORS])
    assert (len(DETECTORS), len(MORE_DETECTORS)) == (12, 8)
    assert library.names("scales") == ["paper", "tiny"]
    assert {d for g in PAIRS.values() for d in (g.teacher, g.student)} == set(DETECTORS)
    used = {d for g in BEYOND.values() for d in (g.teacher, g.student)}
    assert used >= set(MORE_DETECTORS)
    assert used <= {*DETECTORS, *MORE_DETECTORS}


@pytest.mark.parametrize("pair", BEYOND)
def test_pair_beyond_the_papers_resolves(pair):
    golden, recipe = BEYOND[pair], paper(pair)
    assert (recipe.teacher.name, recipe.student.name) == (golden.teacher, golden.student)
    assert (recipe.training, recipe.schedule.name, recipe.schedule.epochs) == (
        golden.training, golden.schedule, golden.epochs,
    )  # fmt: skip
    assert recipe.student.lr == pytest.approx(golden.lr)
    assert (recipe.loss.weight, recipe.init) == (golden.alpha, golden.init)


@pytest.mark.parametrize("pair", BEYOND)
def test_its_notes_say_what_the_zoo_reports(pair):
    both, said = {**DETECTORS, **MORE_DETECTORS}, library.load("pairs", pair).notes
    teacher, student = (both[name][3] for name in (BEYOND[pair].teacher, BEYOND[pair].student))
    assert f"The zoo reports {teacher} for the teacher and {student} for the student." in said


@pytest.mark.parametrize("pair", PAIRS)
def test_pair_resolves_as_the_paper_says(pair):
    golden, recipe = PAIRS[pair], paper(pair)
    assert (recipe.teacher.name, recipe.student.name) == (golden.teacher, golden.student)
    assert (recipe.schedule.name, recipe.schedule.epochs) == (golden.schedule, golden.epochs)
    assert recipe.schedule.milestones == golden.milestones
    assert (recipe.schedule.gamma, recipe.schedule.momentum, recipe.schedule.weight_decay) == (0.1, 0.9, 0.0001)
    assert recipe.schedule.multi_scale is None
    assert (recipe.loss.name, recipe.loss.weight, recipe.loss.stat_chunk) == ("pkd", golden.alpha, 2)
    assert recipe.init == golden.init
    assert (recipe.data.name, recipe.batch, recipe.scale.image) == ("coco", 2, (1333, 800))


@pytest.mark.parametrize("pair", PAIRS)
def test_learning_rate_is_linear_in_the_batch(pair):
    lr = PAIRS[pair].lr
    assert schedule.learning_rate(paper(pair, batch_size=16)) == lr
    assert schedule.learning_rate(paper(pair, batch_size=2)) == {0.01: 0.00125, 0.02: 0.0025}[lr]
    assert schedule.learning_rate(paper(pair, batch_size=2, accumulate=8)) == lr


@pytest.mark.parametrize("pair", PAIRS)
def test_optimizer_and_steps_of_the_built_config(pair):
    at16, at2 = paper(pair, batch_size=16), paper(pair, batch_size=2)
    config = build.build_config(at16, "run", "teacher.pth")
    assert config["optim_wrapper"]["optimizer"] == {
        "type": "SGD", "lr": PAIRS[pair].lr, "momentum": 0.9, "weight_decay": 0.0001,
    }  # fmt: skip
    # 117,266 images: 7,330 steps of 16 an epoch, 58,633 of 2
    ends = {"1x": (87960, [58640, 80630]), "2x": (175920, [117280, 161260])}
    warmup, steps = config["param_scheduler"]
    assert (warmup["begin"], warmup["end"], warmup["by_epoch"]) == (0, 500, False)
    assert (steps["end"], steps["milestones"]) == ends[PAIRS[pair].schedule]
    assert config["train_cfg"]["max_epochs"] == PAIRS[pair].epochs
    ends2 = {"1x": (703596, [469064, 644963]), "2x": (1407192, [938128, 1289926])}
    warmup, steps = build.build_config(at2, "run", "teacher.pth")["param_scheduler"]
    assert warmup["end"] == 4000
    assert (steps["end"], steps["milestones"]) == ends2[PAIRS[pair].schedule]


@pytest.mark.parametrize("pair", PAIRS)
def test_the_four_official_levels_meet_by_index_with_one_weight(pair):
    distiller = build.build_config(paper(pair), "run", "teacher.pth")["model"]["distiller"]
    losses = distiller["distill_losses"]
    assert list(losses) == [f"loss_pkd_fpn{level}" for level in range(4)]
    assert {loss["loss_weight"] for loss in losses.values()} == {PAIRS[pair].alpha}
    assert [
        (mapping["preds_S"]["data_idx"], mapping["preds_T"]["data_idx"])
        for mapping in distiller["loss_forward_mappings"].values()
    ] == [(0, 0), (1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize(("pair", "name", "weights"), TABLE8)
def test_table_8(pair, name, weights):
    for weight in weights:
        recipe = paper(pair, schedule=name, loss="mse", weight=weight)
        assert (recipe.loss.name, recipe.loss.weight, recipe.schedule.name) == ("mse", weight, name)
        losses = build.build_config(recipe, "run", "t.pth")["model"]["distiller"]["distill_losses"]
        assert {loss["loss_weight"] for loss in losses.values()} == {weight}


@pytest.mark.parametrize(("pair", "name"), TABLE7)
def test_table_7(pair, name):
    recipe = paper(pair, loss="norm-kl")
    assert (recipe.schedule.name, recipe.loss.weight, recipe.loss.temperature) == (name, 10, 50)


def test_published_rows_are_those_of_the_tables():
    with open(recipes_root() / "published.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    mse = [(r["pair"], r["schedule"], float(r["weight"])) for r in rows if r["method"] == "mse"]
    assert mse == [(pair, name, weight) for pair, name, weights in TABLE8 for weight in weights]
    assert [(r["pair"], r["schedule"]) for r in rows if r["method"] == "norm-kl"] == TABLE7
    for row in rows:
        if row["method"] == "pkd":
            golden = PAIRS[row["pair"]]
            assert (row["schedule"], float(row["weight"])) == (golden.schedule, golden.alpha), row
    assert {row["pair"] for row in rows if row["pair"]} <= set(PAIRS)


def test_published_titles_are_the_detectors():
    titles = {title for title, *_ in DETECTORS.values()}
    with open(recipes_root() / "published.csv", encoding="utf-8") as file:
        named = {row[side] for row in csv.DictReader(file) for side in ("teacher", "student") if row[side]}
    # mmrazor's zoo calls the paper's MaskRCNN-Swin by its size
    assert named - titles == {"MaskRCNN-Swin-S"}


def test_multi_scale_is_mmdets():
    recipe = paper("gfl101-gfl50", schedule="2x+ms")
    assert (recipe.schedule.epochs, recipe.schedule.milestones) == (24, [16, 22])
    assert data.train_pipeline(recipe)[2] == {
        "type": "RandomResize", "scale": [(1333, 480), (1333, 800)], "keep_ratio": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", [*DETECTORS, *MORE_DETECTORS])
def test_detector_names_config_checkpoint_and_ap_of_one_model(name):
    """mmrazor's metafile lists Swin-T weights beside a Swin-S config; here the two come from one entry of mmdet's."""
    title, config, checkpoint, box_ap = {**DETECTORS, **MORE_DETECTORS}[name]
    recipe, entry = library.load("detectors", name), zoo.entry(config)
    assert (recipe.title, recipe.config) == (title, config)
    assert recipe.kind == ("two-stage" if name.startswith(("faster", "mask", "cascade")) else "one-stage")
    assert recipe.mask == (name == "maskswin")
    assert recipe.lr == (0.02 if name.startswith(("faster", "cascade")) else 0.01)
    assert config_path(config).is_file()
    assert (entry.weights.rsplit("/", 1)[1], entry.box_ap) == (checkpoint, box_ap)


@pytest.mark.parametrize("name", DETECTORS)
def test_checkpoint_has_the_backbone_of_its_config(name):
    """The backbone as built, not as named, appears in the checkpoint's name."""
    backbone = detector_model(library.load("detectors", name), library.load("scales", "paper"), 80)["backbone"]
    found = {
        "SwinTransformer": "swin-s" if backbone.get("depths") == [2, 2, 18, 2] else "swin-t",
        "ResNeXt": f"x{backbone.get('depth')}",
        "ResNet": f"r{backbone.get('depth')}",
    }[backbone["type"]]
    assert f"_{found}_" in DETECTORS[name][2].replace("swin-s-p4", "swin-s_p4").replace("swin-t-p4", "swin-t_p4")


def test_mmrazors_own_slip_is_real():
    root = Path(importlib.util.find_spec("mmrazor").submodule_search_locations[0])
    metafile = root / ".mim/configs/distill/mmdet/pkd/metafile.yml"
    models = yaml.safe_load(metafile.read_text(encoding="utf-8"))["Models"]
    (teacher,) = [m["Metadata"]["Teacher"] for m in models if m["Name"] == "pkd_fpn_mask-rcnn_swin_retina_r50_2x_coco"]
    assert "swin-s" in teacher["Config"]
    assert "swin-t" in teacher["Weights"]
    assert zoo.entry(DETECTORS["maskswin"][1]).weights != teacher["Weights"]


def test_the_zoo_provides_every_teacher_on_coco():
    for pair, golden in PAIRS.items():
        assert teacher_recipe(paper(pair)).weights.rsplit("/", 1)[1] == DETECTORS[golden.teacher][2]


def test_retina50_is_the_same_model_in_1x_and_2x():
    one, two = (load_config(f"retinanet/retinanet_r50_fpn_{name}_coco.py")["model"] for name in ("1x", "2x"))
    assert one == two


def test_fcos_has_its_tricks_and_plain_fcos_has_none():
    def parts(pair):
        config = build.build_config(paper(pair), "run", "t.pth")
        head = config["model"]["architecture"]["bbox_head"]
        tricks = [head.get(key, False) for key in ("norm_on_bbox", "centerness_on_reg", "center_sampling")]
        return tricks, head["loss_bbox"]["type"], config["optim_wrapper"], config["param_scheduler"][0]

    tricks, loss, wrapper, warmup = parts("gfl101-fcos50")
    assert (tricks, loss) == ([True, True, True], "GIoULoss")
    assert "clip_grad" not in wrapper
    assert warmup["type"] == "LinearLR"
    tricks, loss, wrapper, warmup = parts("gfl101-fcos50-plain")
    assert (tricks, loss) == ([False, False, False], "IoULoss")
    assert wrapper["clip_grad"] == {"max_norm": 35, "norm_type": 2}
    assert warmup["type"] == "ConstantLR"
    for pair in ("gfl101-fcos50", "gfl101-fcos50-plain"):
        assert parts(pair)[2]["paramwise_cfg"] == {"bias_lr_mult": 2.0, "bias_decay_mult": 0.0}


def test_reppoints_teacher_keeps_its_deformable_convolutions_at_every_scale():
    for scale in ("paper", "tiny"):
        teacher = library.load("detectors", "reppointsx101")
        backbone = detector_model(teacher, library.load("scales", scale), 8)["backbone"]
        assert backbone["type"] == "ResNeXt"
        assert backbone["dcn"]["type"] == "DCN"
        assert tuple(backbone["stage_with_dcn"]) == (False, True, True, True)


@pytest.mark.parametrize("name", DETECTORS)
def test_without_pretrained_weights_nothing_of_the_backbone_is_frozen(name):
    def backbone(pretrained):
        paper_scale = library.load("scales", "paper")
        return detector_model(library.load("detectors", name), paper_scale, 80, pretrained=pretrained)["backbone"]

    usual, scratch = backbone(True), backbone(False)
    assert usual["init_cfg"]["type"] == "Pretrained"
    assert scratch["init_cfg"] == ([] if name == "reppointsx101" else None)
    if name == "maskswin":
        assert scratch == {**usual, "init_cfg": None}
        return
    assert (usual["frozen_stages"], usual["norm_eval"]) == (1, True)
    assert (scratch["frozen_stages"], scratch["norm_eval"]) == (-1, False)
    assert usual["norm_cfg"]["requires_grad"] == (not name.startswith("fcos50"))
    assert scratch["norm_cfg"] == {"type": "BN", "requires_grad": True}


@pytest.mark.parametrize("pair", PAIRS)
def test_at_tiny_2x_is_exactly_twice_1x(pair):
    def shapes(name):
        recipe = resolve(Request(pair=pair, scale="tiny", schedule=name))
        known = {"train_images": 800, "classes": ["a"], "masks": True}
        return recipe.model_copy(update={"data": recipe.data.model_copy(update=known)})

    one, two = shapes("1x"), shapes("2x")
    assert schedule.total_iters(two) == 2 * schedule.total_iters(one)
    milestones = [schedule.param_scheduler(recipe)[1]["milestones"] for recipe in (one, two)]
    assert milestones[1] == [2 * step for step in milestones[0]]
    for recipe in (one, two):
        assert schedule.warmup_iters(recipe) <= schedule.total_iters(recipe) / 10


# The students of another number of channels than their teacher: levels, the student's channels, the teacher's.
ADAPTED = {
    ("gfl101-rtmdet-tiny", "paper"): (3, 96, 256),
    ("gfl101-rtmdet-tiny", "tiny"): (3, 48, 64),
    ("rtmdet-l-rtmdet-tiny", "paper"): (3, 96, 256),
    ("rtmdet-l-rtmdet-tiny", "tiny"): (3, 48, 64),
    ("rtmdet-l-yolox-tiny", "paper"): (3, 96, 256),
    ("rtmdet-l-yolox-tiny", "tiny"): (3, 48, 64),
    ("yolox-l-yolox-tiny", "paper"): (3, 96, 256),
    ("yolox-l-yolox-tiny", "tiny"): (3, 48, 64),
}


def test_every_pair_builds_its_config_at_every_scale_without_torch(tmp_path):
    code = """
import ast, sys
from pkdcli.config import build
from pkdcli.launch import request as asking
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve
built, adapted = 0, {}

def ask(module, request, what):  # in place of a process of the engine
    necks = [ast.literal_eval(one["model"])["neck"] for one in request["models"]]
    assert {neck["type"] for neck in necks} <= {"CSPNeXtPAFPN", "YOLOXPAFPN"}
    levels = [[[stride, neck["out_channels"]] for stride in (8, 16, 32)] for neck in necks]
    return {"found": [{"module": "neck", "single": False, "levels": one} for one in levels]}

asking.ask = ask
for pair in library.names("pairs"):
    for scale in library.names("scales"):
        recipe = resolve(Request(pair=pair, scale=scale))
        facts = {"train_images": 800, "classes": ["a", "b"], "masks": True}
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=facts)})
        recipe = build.with_adapters(recipe)
        config = build.build_config(recipe, "run", "teacher.pth")
        model = config["model"]
        student, teacher = (model[part]["neck"]["out_channels"] for part in ("architecture", "teacher"))
        if student != teacher:
            assert set(recipe.adapters.values()) == {(student, teacher)}
            adapted[pair, scale] = (len(recipe.adapters), student, teacher)
        else:
            assert not recipe.adapters
        built += 1
assert not {"torch", "mmdet", "mmrazor"} & set(sys.modules), "torch was imported"
print(built, adapted)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PKD_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == (f"34 {ADAPTED}", 0), done.stderr


class TestDataWithoutSegmentations:
    """BCCD has boxes only: a locally trained MaskRCNN-Swin has no mask head, and every record says so."""

    @staticmethod
    def recipe(masks: bool | None, classes=("rbc", "wbc"), pair="maskswin-faster50", **more):
        recipe = resolve(Request(pair=pair, scale="tiny", **more))
        facts = {"masks": masks, "classes": list(classes) if classes else None, "train_images": 205}
        return recipe.model_copy(update={"data": recipe.data.model_copy(update=facts)})

    def test_the_teacher_becomes_a_faster_rcnn(self):
        teacher = build.model(teacher_recipe(self.recipe(masks=False)))
        assert teacher["type"] == "FasterRCNN"
        assert set(teacher["roi_head"]) == {"type", "bbox_roi_extractor", "bbox_head"}
        assert data.train_pipeline(teacher_recipe(self.recipe(masks=False)))[1]["with_mask"] is False

    def test_with_segmentations_it_keeps_its_mask_head(self):
        own = teacher_recipe(self.recipe(masks=True))
        assert build.model(own)["type"] == "MaskRCNN"
        assert "mask_head" in build.model(own)["roi_head"]
        assert data.train_pipeline(own)[1]["with_mask"] is True

    @pytest.mark.parametrize(
        ("masks", "pair", "more", "expected"),
        [
            (False, "maskswin-faster50", {}, "dropped: the data has no segmentations"),
            (None, "maskswin-faster50", {}, "dropped: the data has no segmentations"),
            (True, "maskswin-faster50", {}, None),
            (False, "maskswin-faster50", {"loss": "none"}, None),
            (False, "gfl101-fcos50", {}, None),
        ],
    )
    def test_the_columns_say_so(self, masks, pair, more, expected):
        assert columns(self.recipe(masks, pair=pair, **more), "run")["mask_head"] == expected

    def test_the_teachers_own_columns_say_so(self):
        own = teacher_recipe(self.recipe(masks=False))
        assert columns(own, "run")["mask_head"] == "dropped: the data has no segmentations"

    def test_nothing_is_said_before_the_data_are_known(self):
        assert self.recipe(None, classes=None).mask_head is None
