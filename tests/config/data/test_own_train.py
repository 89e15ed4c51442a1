"""What a config's own training makes of images, at other scales, lengths and data than the config is meant for."""

from __future__ import annotations

import pytest

from pkdcli.config import data
from pkdcli.config.build import build_config
from pkdcli.errors import PkdError
from pkdcli.recipe.configs import as_text
from pkdcli.recipe.detectors.read import load_config
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector

RTMDET = "rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
YOLOX = "yolox/yolox_tiny_8xb8-300e_coco.py"
LOAD = {"type": "PkdLoadImage", "backend_args": None}
BOXES = {"type": "LoadAnnotations", "with_bbox": True, "with_mask": False}
MASKS = {**BOXES, "with_mask": True}


def recipe(config: str, scale: str = "tiny", epochs: int = 300, masks: bool = False, **changes):
    """A baseline of a detector that is trained by its own config, on images of at most 192 pixels."""
    found = resolve(Request(loss="none", scale=scale, data="shapes"))
    student = Detector(name="own", title="Own", kind="one-stage", config=config, mask=changes.pop("mask", False))
    facts = {"image": 192, "train_images": 800, "classes": ["a", "b"], "masks": masks}
    return found.model_copy(
        update={
            "student": student,
            "training": "own",
            "data": found.data.model_copy(update=facts),
            "schedule": found.schedule.model_copy(update={"epochs": epochs}),
            **changes,
        }
    )


def dataset(*args, **kwargs) -> dict:
    return data.train_dataloader(recipe(*args, **kwargs))["dataset"]


def types(steps) -> list[str]:
    return [step["type"] for step in steps]


def test_rtmdet_at_scale_tiny():
    found = dataset(RTMDET, epochs=30)
    assert found["pipeline"] == [
        LOAD,
        BOXES,
        {"type": "CachedMosaic", "img_scale": (192, 192), "pad_val": 114.0, "max_cached_images": 20,
         "random_pop": False},
        {"type": "RandomResize", "scale": (384, 384), "ratio_range": (0.5, 2.0), "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (192, 192)},
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Pad", "size": (192, 192), "pad_val": {"img": (114, 114, 114)}},
        {"type": "CachedMixUp", "img_scale": (192, 192), "ratio_range": (1.0, 1.0), "max_cached_images": 10,
         "random_pop": False, "pad_val": (114, 114, 114), "prob": 0.5},
        {"type": "PackDetInputs"},
    ]  # fmt: skip
    (later,) = found["later"]
    assert later["epoch"] == 28
    assert types(later["pipeline"]) == [
        "PkdLoadImage", "LoadAnnotations", "RandomResize", "RandomCrop", "YOLOXHSVRandomAug", "RandomFlip", "Pad",
        "PackDetInputs",
    ]  # fmt: skip
    assert later["pipeline"][2]["scale"] == (192, 192)
    assert "partner_steps" not in found
    assert found["filter_cfg"] == {"filter_empty_gt": True, "min_size": 32}
    assert "group" not in data.train_dataloader(recipe(RTMDET))["batch_sampler"]


def test_yolox_at_scale_tiny():
    found = dataset(YOLOX, epochs=30)
    # Its test images have 416 pixels: 192 is 6/13 of them, and 640 becomes 295, of which 288 is a multiple of 32.
    assert found["pipeline"] == [
        LOAD,
        BOXES,
        {"type": "Mosaic", "img_scale": (288, 288), "pad_val": 114.0},
        {"type": "RandomAffine", "scaling_ratio_range": (0.5, 1.5), "border": (-144, -144)},
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Resize", "scale": (288, 288), "keep_ratio": True},
        {"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0, 114.0, 114.0)}},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False},
        {"type": "PackDetInputs"},
    ]
    assert found["partner_steps"] == 2
    assert [(one["epoch"], types(one["pipeline"])) for one in found["later"]] == [
        (27, types(step for step in found["pipeline"] if step["type"] not in ("Mosaic", "RandomAffine")))
    ]


@pytest.mark.parametrize("config", [RTMDET, YOLOX])
def test_at_scale_paper_nothing_changes(config):
    content = load_config(config)
    found = dataset(config, "paper")
    section = content["train_dataloader"]["dataset"]
    whole = [*section.get("dataset", {}).get("pipeline", []), *section["pipeline"]]
    assert found["pipeline"][2:] == whole[2:]
    assert found["later"][0]["epoch"] == (280 if config == RTMDET else 284)
    if config == RTMDET:
        assert found["later"][0]["pipeline"][2:] == content["custom_hooks"][1]["switch_pipeline"][2:]
    model = build_config(recipe(config, "paper"), "run")["model"]
    assert model["data_preprocessor"]["batch_augments"] == content["model"]["data_preprocessor"]["batch_augments"]


def test_batch_augments_shrink_along(tmp_path):
    model = build_config(recipe(YOLOX), tmp_path)["model"]
    assert model["data_preprocessor"]["batch_augments"] == [
        {"type": "BatchSyncRandomResize", "random_size_range": (160, 288), "size_divisor": 32, "interval": 10}
    ]


@pytest.mark.parametrize(
    ("config", "epochs", "expected"),
    [
        # 20 of RTMDet's 300 epochs, and 15 and one of YOLOX's: the same share, at least one epoch of either.
        *((RTMDET, *pair) for pair in [(300, 280), (600, 560), (75, 70), (12, 11), (2, 1), (1, None)]),
        *((YOLOX, *pair) for pair in [(300, 284), (600, 569), (75, 70), (12, 10), (2, 1), (1, None)]),
    ],
)
def test_the_epoch_of_the_switch_keeps_its_share_of_the_run(config, epochs, expected):
    later = dataset(config, epochs=epochs).get("later") or [{"epoch": None}]
    assert [one["epoch"] for one in later] == [expected]
    whole = recipe(config)
    hooks = load_config(config)["custom_hooks"]
    begins = [data.epoch_of_switch(whole.student, hook, epochs) for hook in hooks]
    assert [begin for begin in begins if begin is not None] == ([expected] if expected else [])


def test_wrappers_are_looked_through_and_grouping_is_kept():
    found = data.train_dataloader(recipe("atss/atss_r101_fpn_8xb8-amp-lsj-200e_coco.py", "paper"))
    assert types(found["dataset"]["pipeline"]) == [
        "PkdLoadImage", "LoadAnnotations", "RandomResize", "RandomCrop", "FilterAnnotations", "RandomFlip",
        "PackDetInputs",
    ]  # fmt: skip
    assert "group" not in found["batch_sampler"]  # it has none
    grouped = data.train_dataloader(recipe("detr/detr_r50_8xb2-150e_coco.py", "paper"))
    assert grouped["batch_sampler"]["group"] == 2


PASTE = "simple_copy_paste/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-scp-90k_coco.py"


@pytest.mark.parametrize(
    ("data_has", "learns", "load", "by_box"),
    [
        (True, True, MASKS, None),
        (True, False, MASKS, None),  # pasted by their outlines, whatever is learned
        (False, True, BOXES, True),
    ],
)
def test_objects_are_pasted_by_their_masks_where_there_are_some(data_has, learns, load, by_box):
    found = dataset(PASTE, "paper", masks=data_has, mask=learns)
    assert found["pipeline"][1] == load
    (paste,) = [step for step in found["pipeline"] if step["type"] == "CopyPaste"]
    assert paste.get("paste_by_box") is by_box
    assert found["partner_steps"] == types(found["pipeline"]).index("CopyPaste")


MASK2FORMER = "mask2former/mask2former_r50_8xb2-lsj-50e_coco.py"


@pytest.mark.parametrize("masks", [True, False])
def test_nothing_is_chosen_or_padded_by_masks_that_are_not_loaded(masks, tmp_path):
    whole = recipe(MASK2FORMER, masks=masks, mask=True)
    steps = {step["type"]: step for step in data.train_pipeline(whole)}
    assert steps["FilterAnnotations"]["by_mask"] is masks
    model = {"data_preprocessor": load_config(MASK2FORMER)["model"]["data_preprocessor"]}
    data.fit_augments(whole, model)
    (augment,) = model["data_preprocessor"]["batch_augments"]
    assert (augment["size"], augment["pad_mask"], augment["pad_seg"]) == ((256, 256), masks, False)


@pytest.mark.parametrize(
    ("masks", "mask", "expected"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_masks_are_loaded_only_where_they_are_learned_from(masks, mask, expected):
    name = "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py"
    found = dataset(name, masks=masks, mask=mask)
    for steps in (found["pipeline"], found["later"][0]["pipeline"]):
        (load,) = [step for step in steps if step["type"] == "LoadAnnotations"]
        assert load == {**BOXES, "with_mask": expected, "poly2mask": False}


@pytest.mark.parametrize(
    ("transform", "what"),
    [
        ({"type": "LoadProposals"}, "proposals from a file"),
        ({"type": "mmdet.MultiBranch"}, "images without annotations"),
        ({"type": "RandomChoice", "transforms": [[{"type": "RandomSamplingNegPos"}]]}, "texts"),
    ],
)
def test_what_needs_more_than_images_with_boxes_is_refused(transform, what):
    content = load_config(RTMDET)
    content["train_dataloader"]["dataset"]["pipeline"].insert(1, transform)
    whole = recipe(RTMDET)
    student = whole.student.model_copy(update={"config_content": as_text(content, "config")})
    with pytest.raises(PkdError) as caught:
        data.train_dataloader(whole.model_copy(update={"student": student}))
    name = "RandomSamplingNegPos" if what == "texts" else transform["type"].rpartition(".")[2]
    assert caught.value.message == (
        f"detector own: its training pipeline has {name}, which needs {what}; data sets here have images with boxes "
        "and masks."
    )
    assert caught.value.hint == "Give --training paper to train it as appendix A.2 does."


def test_a_config_without_a_training_pipeline_is_refused(tmp_path):
    lines = [
        'model = dict(type="RetinaNet", backbone=dict(type="ResNet"))',
        'optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01))',
        "train_cfg = dict(max_epochs=1)",
        "param_scheduler = []",
    ]
    (tmp_path / "own.py").write_text("\n".join(lines))
    with pytest.raises(PkdError) as caught:
        dataset(str(tmp_path / "own.py"))
    assert caught.value.message == (
        "detector own: its config has no training pipeline (train_dataloader.dataset.pipeline)."
    )


def test_images_are_evaluated_as_the_config_tests():
    pad = {"type": "Pad", "size": (192, 192), "pad_val": {"img": (114, 114, 114)}}
    pack = {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")}
    resize = {"type": "Resize", "scale": (192, 192), "keep_ratio": True}
    own = recipe(RTMDET)
    assert data.val_pipeline(own) == [LOAD, resize, pad, pack]
    assert data.val_pipeline(own.model_copy(update={"training": "paper"})) == [LOAD, resize, pack]
    square = {"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0, 114.0, 114.0)}}
    assert data.val_pipeline(recipe(YOLOX)) == [LOAD, resize, square, pack]
    at_full_size = [LOAD, {**resize, "scale": (640, 640)}, {**pad, "size": (640, 640)}, pack]
    assert data.val_pipeline(recipe(RTMDET, "paper")) == at_full_size
    assert (data.evaluation_size(own), data.evaluation_size(recipe(YOLOX, "paper"))) == ((192, 192), (416, 416))


def test_an_image_of_which_nothing_is_left_at_the_configs_own_size_is_refused():
    paper = recipe(RTMDET, "paper")
    thin = {"val": ("thin.png", 2000, 1)}
    data.check_sides(paper.model_copy(update={"training": "paper"}), thin)
    with pytest.raises(PkdError, match="resized to at most 640 x 640, nothing is left of its shorter side"):
        data.check_sides(paper, thin)
