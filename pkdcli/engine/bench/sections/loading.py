"""Section `data`: what becomes of an image before the model sees it, and what a batch of them takes."""

from __future__ import annotations

import copy
from typing import Any

from mmdet.registry import DATASETS
from mmengine.dataset import pseudo_collate

from pkdcli.config import data
from pkdcli.engine.bench.measure import Section, interleaved
from pkdcli.recipe.schema import Recipe


def loading(recipe: Recipe, repeat: int) -> Section:
    """Time decoding, resizing, flipping and packing of one image, and the collation of a batch.

    Args:
        recipe: Of the run whose pipeline is timed.
        repeat: Rounds.
    """
    width, height = recipe.scale.image
    section = Section("data", f"Loading of one image of {height}x{width}, and collation of {recipe.batch}")
    dataset = DATASETS.build(copy.deepcopy(data.train_dataloader(recipe)["dataset"]))
    pipeline = dataset.pipeline_of(0)
    state: dict[str, Any] = {}

    def first() -> None:
        state["now"] = dataset.get_data_info(0)

    def take(place: int, transform: Any) -> Any:
        def run() -> None:
            mixing = hasattr(pipeline, "step")
            state["now"] = pipeline.step(state["now"], place) if mixing else transform(state["now"])

        return run

    names = {"PkdLoadImage": "decode", "LoadAnnotations": "annotations", "Resize": "resize", "RandomResize": "resize",
             "RandomFlip": "flip", "PackDetInputs": "pack"}  # fmt: skip
    steps = {"look up": first}
    for place, transform in enumerate(pipeline.transforms):
        steps[names.get(type(transform).__name__, type(transform).__name__)] = take(place, transform)
    whole = {"whole image": lambda: dataset[(0, 0)]}
    items = [dataset[(index % len(dataset), 0)] for index in range(recipe.batch)]
    section.time(interleaved({**steps, **whole, f"collate {recipe.batch}": lambda: pseudo_collate(items)}, repeat))
    return section
