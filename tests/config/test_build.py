"""The whole mmengine config of a run, and its parts: data, schedule, teacher."""

from __future__ import annotations

import math

import pytest
from mmengine.config import Config

from pkdcli.config import data, schedule
from pkdcli.config.build import build_config
from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.prepare import facts
from pkdcli.errors import PkdError
from pkdcli.experiment import plan
from pkdcli.experiment import prepare as preparation
from pkdcli.recipe.resolve import Request, resolve


@pytest.fixture
def make(tmp_path):
    """A complete recipe on the embedded data, or on COCO where that is asked for."""

    def make(**changes):
        recipe = resolve(Request(**{"scale": "tiny", **changes}))
        recipe = recipe.model_copy(update={"data": facts(recipe.data, tmp_path)})
        if recipe.data.name == "coco":
            return recipe
        # The numbers below are for these, whatever the embedded data set has.
        return recipe.model_copy(update={"data": recipe.data.model_copy(update={"image": 192, "train_images": 800})})

    return make


# Data


@pytest.mark.parametrize("name", ["Mosaic", "MixUp", "CopyPaste", "CachedMosaic", "CachedMixUp"])
def test_a_transform_that_mixes_images_is_served_where_it_stands_in_the_pipeline_itself(make, tmp_path, name):
    recipe = make(sets=(f"config.train_dataloader.dataset.pipeline.3={{type: mmdet.{name}}}",))
    steps = build_config(recipe, tmp_path, tmp_path / "teacher.pth")["train_dataloader"]["dataset"]["pipeline"]
    assert steps[3] == {"type": f"mmdet.{name}"}

    inside = f"{{type: RandomApply, transforms: [{{type: {name}}}]}}"
    recipe = make(sets=(f"config.train_dataloader.dataset.pipeline.3={inside}",))
    with pytest.raises(PkdError) as caught:
        build_config(recipe, tmp_path, tmp_path / "teacher.pth")
    assert caught.value.message == (
        f"config.train_dataloader.dataset.pipeline.3.transforms.0: {name} stands inside of RandomApply, which hands it "
        "no other images."
    )
    assert caught.value.hint == "Put it into the pipeline itself."


def test_another_data_set_hands_them_no_images(make, tmp_path):
    recipe = make(
        sets=(
            "config.train_dataloader.dataset.pipeline.3={type: Mosaic}",
            "config.train_dataloader.dataset.type=CocoDataset",
        )
    )
    with pytest.raises(PkdError) as caught:
        build_config(recipe, tmp_path, tmp_path / "teacher.pth")
    assert caught.value.message == (
        "config.train_dataloader.dataset.pipeline.3: Mosaic needs other images of the data set, and CocoDataset hands "
        "it none."
    )
    assert caught.value.hint == "Leave it out, or leave `type` as it is: pkd's own data set hands it some."


def test_images_keep_their_size_unless_the_scale_enlarges(make):
    assert data.image_size(make()) == (192, 192)
    assert data.image_size(make(scale="paper", data="shapes")) == (1333, 800)
    assert data.image_size(make(data="coco", sets=("scale.image=[320, 240]",))) == (320, 240)


def test_a_picture_that_is_too_thin_for_the_scale_is_named(make):
    tiny, paper = make(), make(scale="paper")
    longest, shorter = data.image_size(tiny)
    thin = {"val": ["long.png", 3000.0, 4.0]}
    with pytest.raises(PkdError) as caught:
        data.check_sides(tiny, thin)
    assert caught.value.message == (
        f"data set shapes, val: long.png is 3000 x 4 pixels: resized to at most {longest} x {shorter}, nothing is left "
        "of its shorter side."
    )
    data.check_sides(paper, thin)  # 1333 x 2
    data.check_sides(tiny, {"train": thin["val"]})  # it is too small to be trained on
    data.check_sides(tiny, {"val": ["long.png", 4.0, 300.0]})


def test_multi_scale_shrinks_with_the_image(make):
    resize = data.train_pipeline(make(schedule="2x+ms"))[2]
    assert resize == {"type": "RandomResize", "scale": [(192, 115), (192, 192)], "keep_ratio": True}
    resize = data.train_pipeline(make(schedule="2x+ms", scale="paper"))[2]
    assert resize["scale"] == [(1333, 480), (1333, 800)]
    assert data.val_pipeline(make(schedule="2x+ms"))[1] == {"type": "Resize", "scale": (192, 192), "keep_ratio": True}


def test_masks_are_loaded_only_for_what_learns_from_them(make):
    recipe = make(pair="maskswin-fcos50")
    assert data.wants_masks(recipe) is False
    assert data.wants_masks(teacher_recipe(recipe)) is True
    without = recipe.model_copy(update={"data": recipe.data.model_copy(update={"masks": False})})
    assert data.wants_masks(teacher_recipe(without)) is False


def test_loaders(make):
    recipe = make(batch_size=8, workers=0)
    loader = data.train_dataloader(recipe, devices=2)
    assert (loader["batch_size"], loader["num_workers"], loader["persistent_workers"]) == (4, 0, False)
    assert loader["dataset"]["filter_cfg"] == {"filter_empty_gt": True, "min_size": 32}
    assert loader["dataset"]["metainfo"] == {"classes": tuple(recipe.data.classes)}
    assert loader["batch_sampler"] == {"type": "PkdBatchSampler"}
    assert data.train_dataloader(make(scale="paper"))["batch_sampler"] == {"type": "PkdBatchSampler", "group": 2}
    assert data.train_dataloader(make(scale="paper", batch_size=3))["batch_sampler"]["group"] == 3
    assert "indices" not in data.val_dataloader(recipe, recipe.data.val)["dataset"]


def test_a_batch_that_can_not_be_shared_is_refused(make):
    with pytest.raises(PkdError) as caught:
        data.train_dataloader(make(batch_size=9), devices=2)
    assert str(caught.value) == (
        "batch: 9 images can't be shared evenly by 2 processes.\nGive --batch-size a multiple of 2."
    )


def test_a_smoke_run_sees_a_few_images_and_its_metric_knows(make):
    recipe = make(max_iters=3)
    config = build_config(recipe, "/runs/x")
    assert config["val_dataloader"]["dataset"]["indices"] == 8
    assert config["val_evaluator"]["partial"] is True
    assert (config["train_cfg"]["type"], config["train_cfg"]["max_iters"]) == ("PkdTrainLoop", 3)


def test_a_split_that_is_not_there(make):
    recipe = make()
    assert data.split_of(recipe, "test").annotations.endswith("test.json")
    with pytest.raises(PkdError, match="has no split 'foo'"):
        data.split_of(recipe, "foo")


# Schedule: the numbers of appendix A.2


def test_the_papers_schedule_at_the_papers_batch(make):
    recipe = make(scale="paper", batch_size=16)
    per_epoch = math.ceil(117266 / 16)
    assert schedule.iters_per_epoch(recipe) == per_epoch == 7330
    assert schedule.total_iters(recipe) == 24 * per_epoch
    assert schedule.learning_rate(recipe) == 0.01
    assert schedule.warmup_iters(recipe) == 500
    warmup, steps = schedule.param_scheduler(recipe)
    assert (warmup["begin"], warmup["end"], warmup["by_epoch"]) == (0, 500, False)
    assert steps["milestones"] == [16 * per_epoch, 22 * per_epoch]
    assert (steps["gamma"], steps["end"], steps["by_epoch"]) == (0.1, 24 * per_epoch, False)
    optimizer = schedule.optim_wrapper(recipe)["optimizer"]
    assert optimizer == {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0001}


def test_the_rate_is_linear_in_the_images_of_one_step(make):
    rates = [
        schedule.learning_rate(make(scale="paper", batch_size=batch, accumulate=accumulate))
        for batch, accumulate in ((16, 1), (8, 1), (8, 2), (2, 8), (32, 1))
    ]
    assert rates == pytest.approx([0.01, 0.005, 0.01, 0.01, 0.02])


def test_warm_up_sees_as_many_images_at_any_batch_and_at_most_its_share(make):
    assert schedule.warmup_iters(make(scale="paper", batch_size=4)) == 2000
    recipe = make(epochs=6, sets=("scale.warmup_share=0.1",), batch_size=8)
    assert schedule.warmup_iters(recipe) == 60
    assert schedule.warmup_iters(make(epochs=1, sets=("scale.warmup_share=0.001",))) == 1


def test_half_epochs_are_steps(make):
    recipe = make(epochs=6, batch_size=8)
    assert recipe.schedule.milestones == [4, 5.5]
    assert schedule.param_scheduler(recipe)[1]["milestones"] == [400, 550]


def test_amp_and_accumulation(make):
    wrapper = schedule.optim_wrapper(make(amp=True, accumulate=4))
    assert (wrapper["type"], wrapper["accumulative_counts"]) == ("PkdAmpOptimWrapper", 4)
    assert schedule.optim_wrapper(make())["type"] == "PkdOptimWrapper"


def test_what_the_paper_does_not_name_stays_as_in_the_students_config(make):
    from pkdcli.recipe.detectors.read import load_config

    recipe = make(scale="paper")
    own = load_config(recipe.student.config)["optim_wrapper"]
    assert schedule.optim_wrapper(recipe)["paramwise_cfg"] == own["paramwise_cfg"]


# Teacher


def test_a_teacher_comes_from_the_zoo_on_coco_at_full_size(make):
    teacher = teacher_recipe(make(scale="paper"))
    assert teacher.weights.startswith("https://download.openmmlab.com/")
    config = build_config(teacher, "/cache/t")
    assert config["load_from"] is config["train_dataloader"] is config["optim_wrapper"] is config["train_cfg"] is None


@pytest.mark.parametrize(
    "changes", [{}, {"scale": "paper", "data": "shapes"}, {"scale": "paper", "pretrained": False}, {"data": "coco"}]
)
def test_a_teacher_is_trained_everywhere_else(make, changes):
    teacher = teacher_recipe(make(**changes))
    assert (teacher.role, teacher.weights, teacher.teacher) == ("teacher", None, None)
    config = build_config(teacher, "/cache/t")
    assert config["model"]["type"] == "GFL"
    assert config["train_dataloader"] is not None


def test_on_ones_own_data_at_full_size_it_starts_from_the_zoos_weights(make):
    teacher = teacher_recipe(make(scale="paper", data="shapes"))
    assert build_config(teacher, "/cache/t")["load_from"].startswith("https://download.openmmlab.com/")
    teacher = teacher_recipe(make(scale="paper", data="shapes", pretrained=False))
    assert build_config(teacher, "/cache/t")["load_from"] is None
    assert build_config(teacher_recipe(make()), "/cache/t")["load_from"] is None


def test_a_teacher_is_trained_with_its_own_configs_optimizer(make):
    recipe = make(pair="maskswin-fcos50")
    optimizer = schedule.optim_wrapper(teacher_recipe(recipe))["optimizer"]
    assert optimizer["type"] == "AdamW"
    assert schedule.optim_wrapper(recipe)["optimizer"]["type"] == "SGD"


def test_a_baseline_has_no_teacher(make):
    with pytest.raises(PkdError, match="a baseline has no teacher"):
        teacher_recipe(make(loss="none"))


# The whole


def test_a_distilled_run_is_an_mmrazor_algorithm(make):
    config = build_config(make(loss="mse", weight=30), "/runs/x", "/cache/t/teacher.pth")
    model = config["model"]
    assert (model["type"], model["teacher_ckpt"]) == ("PkdDistill", "/cache/t/teacher.pth")
    assert (model["architecture"]["type"], model["teacher"]["type"]) == ("FCOS", "GFL")
    assert [loss["loss_weight"] for loss in model["distiller"]["distill_losses"].values()] == [30] * 4
    preprocessor = model["data_preprocessor"]
    # Each sees the image as its own config says: FCOS from caffe in BGR, GFL in RGB.
    assert preprocessor["student"]["bgr_to_rgb"] is False
    assert preprocessor["teacher"]["bgr_to_rgb"] is True


def test_a_baseline_is_mmdets_detector_alone(make):
    assert build_config(make(loss="none"), "/runs/x")["model"]["type"] == "FCOS"


def test_config_keys_are_set_last_and_wrong_ones_refused(make):
    config = build_config(make(sets=("config.optim_wrapper.optimizer.lr=0.5", "config.log_level=ERROR")), "/runs/x")
    assert (config["optim_wrapper"]["optimizer"]["lr"], config["log_level"]) == (0.5, "ERROR")
    with pytest.raises(PkdError, match=r"config: optim_wraper.lr: there is no key 'optim_wraper'"):
        build_config(make(sets=("config.optim_wraper.lr=0.5",)), "/runs/x")


def test_config_py_is_what_stock_mmengine_reads(make, tmp_path):
    (student,) = [one for one in plan.plan([make()], tmp_path / "runs", tmp_path) if one.teacher]
    path = tmp_path / "config.py"
    path.write_text(preparation.config_py(student))
    read = Config.fromfile(str(path)).to_dict()
    built = build_config(student.recipe, student.paths.root, student.teacher.paths.teacher)
    assert read == Config(built).to_dict()
    assert read["model"]["teacher_ckpt"] == str(student.teacher.paths.teacher)


def test_two_devices_share_a_batch(make):
    config = build_config(make(batch_size=8), "/runs/x", "/t.pth", devices=2)
    assert (config["train_dataloader"]["batch_size"], config["launcher"]) == (4, "pytorch")


def test_the_config_for_stock_mmdet_starts_no_weights_in_a_way_of_ours(make):
    from pkdcli.config.stock import stock_config

    teacher = teacher_recipe(make(pair="fcosx101-retina50"))
    config = build_config(teacher, "/cache/t")
    ours = [one["type"] for one in config["model"]["backbone"]["init_cfg"]]
    assert ours == ["Kaiming", "Constant", "PkdZeroResidual"]
    stock = stock_config(teacher, list("abcdef"), config)
    assert [one["type"] for one in stock["model"]["backbone"]["init_cfg"]] == ["Kaiming", "Constant"]
    assert "Pkd" not in repr(stock)
