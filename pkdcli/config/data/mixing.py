"""Transforms that mix images with others of the data set, and where they can't be served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import bare

MIXING = ("Mosaic", "MixUp", "CopyPaste", "CachedMosaic", "CachedMixUp")
"""Transforms that draw other images: of a data set that mmdet's MultiImageMixDataset hands them, or that they keep."""


def refuse_mixing(config: dict[str, Any]) -> None:
    """Refuse transforms that the training loader can't serve, which break in its processes otherwise.

    pkd's data set serves those that stand in its pipelines themselves.

    Raises:
        PkdError: Such a transform stands inside of another one, or in the pipeline of another data set.
    """
    dataset = (config.get("train_dataloader") or {}).get("dataset") or {}
    kind = bare(dataset)
    if kind == "MultiImageMixDataset":
        return
    pipelines = {"pipeline": dataset.get("pipeline") or []}
    for number, stage in enumerate(dataset.get("later") or []):
        pipelines[f"later.{number}.pipeline"] = stage.get("pipeline") or []
    for where, steps in pipelines.items():
        for index, step in enumerate(steps):
            for name, path in _mixing(step, (str(index),)):
                key = f"config.train_dataloader.dataset.{where}.{'.'.join(path)}"
                if len(path) > 1:
                    raise PkdError(
                        f"{key}: {name} stands inside of {bare(step)}, which hands it no other images.",
                        "Put it into the pipeline itself.",
                    )
                if kind != "PkdCocoDataset":
                    raise PkdError(
                        f"{key}: {name} needs other images of the data set, and {kind or 'this one'} hands it none.",
                        "Leave it out, or leave `type` as it is: pkd's own data set hands it some.",
                    )


def _mixing(step: Any, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The mixing transforms in a step, by name and place."""
    if isinstance(step, dict):
        if bare(step) in MIXING:
            yield bare(step), path
        for key, value in step.items():
            yield from _mixing(value, (*path, str(key)))
    elif isinstance(step, (list, tuple)):
        for index, value in enumerate(step):
            yield from _mixing(value, (*path, str(index)))
