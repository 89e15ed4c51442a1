"""Requests for a bench so small that it takes seconds."""

from __future__ import annotations

import pytest

from pkdcli.data.prepare import facts
from pkdcli.recipe.resolve import Request, resolve


@pytest.fixture
def request_(tmp_path):
    """A factory of requests as `pkd bench` writes them: two pictures of 64 pixels a step, one round."""

    def make(**changes):
        recipe = resolve(Request(scale="tiny", batch_size=2, sets=("workers=0",)))
        recipe = recipe.model_copy(update={"data": facts(recipe.data, tmp_path)})
        usual = {"only": [], "image": [64, 64], "repeat": 1, "students": 2, "eval_images": 12, "runs": 3,
                 "coco_images": 30, "teacher": None, "epochs": 1, "threads": 1, "clock": "wall",
                 "shapes": [[2, 8, 12, 10], [2, 8, 6, 5]],
                 "predicted": 8, "operators": {"batch": 1, "channels": 4, "size": (6, 8), "boxes": 10}}  # fmt: skip
        return {"recipe": recipe.model_dump(mode="json"), **usual, **changes}

    return make
