"""A run's detector alone is built as the run built it: what was set in the config stays, where it means something."""

from __future__ import annotations

import pytest

from pkdcli.config.build import model_as_set
from pkdcli.recipe.alone import alone, on_other_data
from pkdcli.recipe.resolve import Request, resolve

CLASSES = ["a", "b"]


def recipe(loss: str, *sets: str):
    found = resolve(Request(loss=loss, scale="tiny", sets=sets))
    return found.model_copy(update={"data": found.data.model_copy(update={"classes": CLASSES})})


def test_of_a_baseline_everything_that_builds_and_measures_stays():
    given = {"model.bbox_head.stacked_convs": 1, "val_cfg.fp16": True, "val_dataloader.batch_size": 3}
    sets = [f"config.{key}={value}" for key, value in given.items()]
    more = ("config.default_hooks.ema={type: EMAHook}", "config.train_dataloader.num_workers=0", "config.resume=false")
    found = alone(recipe("none", *sets, *more, "config.optim_wrapper.optimizer.lr=1", "config.test_pipeline=[]"))
    assert found.config == given
    assert model_as_set(found)["bbox_head"]["stacked_convs"] == 1


def test_of_a_distilled_run_the_students_own_is_moved_to_where_it_is_alone():
    found = alone(
        recipe(
            "pkd",
            "config.model.architecture.bbox_head.stacked_convs=1",
            "config.model.data_preprocessor.student.pad_size_divisor=64",
            "config.model.teacher.backbone.depth=18",
            "config.model.distiller.connectors={}",
        )
    )
    assert found.config == {"model.bbox_head.stacked_convs": 1, "model.data_preprocessor.pad_size_divisor": 64}
    model = model_as_set(found)
    assert (model["bbox_head"]["stacked_convs"], model["data_preprocessor"]["pad_size_divisor"]) == (1, 64)


OWN = ("dataset.ann_file", "dataset.data_prefix.img", "dataset.indices")


@pytest.mark.parametrize("key", [*(f"val_dataloader.{one}" for one in OWN), "val_evaluator.ann_file"])
def test_files_of_the_runs_own_data_are_not_those_of_others(key):
    found = alone(recipe("none", f"config.{key}=1", "config.val_dataloader.batch_size=3"))
    assert found.config == {key: 1, "val_dataloader.batch_size": 3}
    assert on_other_data(found).config == {"val_dataloader.batch_size": 3}
