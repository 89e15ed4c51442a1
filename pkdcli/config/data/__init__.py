"""A data recipe and a detector's config -> mmdet data sets, pipelines and loaders."""

from pkdcli.config.data.loaders import GROUP, evaluator, split_of, train_dataloader, val_dataloader
from pkdcli.config.data.mixing import MIXING, refuse_mixing
from pkdcli.config.data.own_test import own_test_pipeline, own_test_size
from pkdcli.config.data.own_train import epoch_of_switch
from pkdcli.config.data.pipelines import (
    check_sides,
    evaluation_size,
    fit_augments,
    load_image,
    train_pipeline,
    val_pipeline,
    wants_masks,
)
from pkdcli.config.data.sizes import image_size, sides

__all__ = [
    "GROUP",
    "MIXING",
    "check_sides",
    "epoch_of_switch",
    "evaluation_size",
    "evaluator",
    "fit_augments",
    "image_size",
    "load_image",
    "own_test_pipeline",
    "own_test_size",
    "refuse_mixing",
    "sides",
    "split_of",
    "train_dataloader",
    "train_pipeline",
    "val_dataloader",
    "val_pipeline",
    "wants_masks",
]
