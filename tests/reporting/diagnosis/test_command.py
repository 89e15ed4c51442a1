"""The command that trains a run again with something changed, from the one that made it or from its recipe."""

from __future__ import annotations

import pytest

from pkdcli.recipe.resolve import Request, resolve
from pkdcli.reporting.diagnosis.command import changed, data_of

OWN = "--pair gfl101-fcos50 --loss mse --weight 10 --schedule 2x --seed 0"


@pytest.mark.parametrize(
    ("typed", "options", "said"),
    [
        ("pkd train --loss mse --scale tiny", {"weight": "3"},
         "--pair gfl101-fcos50 --loss mse --schedule 2x --seed 0 --weight 3 --scale tiny"),
        ("pkd train --loss=mse --weight=7 --data 'my data.yaml' --quiet", {}, f"{OWN} --data 'my data.yaml'"),
        ("pkd sweep --loss mse,pkd --weights 1,10 --seeds 0,1 --no-baseline --scale tiny --jobs 2", {"epochs": "12"},
         f"{OWN} --epochs 12 --scale tiny --jobs 2"),
        ("pkd train --epochs 1 --set a.b=1 --set=c=2 --max-iters 5", {"epochs": "12", "set:c": None},
         f"{OWN} --epochs 12 --set a.b=1"),
        ("pkd train --set a.b=1 --levels index", {"set:a.b": "2", "levels": "stride"},
         f"{OWN} --levels stride --set a.b=2"),
        ("pkd train --teacher-checkpoint t.pth --scale tiny", {"teacher_checkpoint": None}, f"{OWN} --scale tiny"),
        ("pkdcli.train(loss='mse')", {}, f"{OWN} --scale tiny --data shapes"),
        (None, {"loss": "pkd", "weight": None},
         "--pair gfl101-fcos50 --schedule 2x --seed 0 --loss pkd --scale tiny --data shapes"),
        ("pkd train 'unclosed", {}, f"{OWN} --scale tiny --data shapes"),
    ],
)  # fmt: skip
def test_options_take_the_place_of_others(typed, options, said):
    assert changed(resolve(Request(scale="tiny", loss="mse")), typed, options) == f"pkd train {said}"


def test_a_pair_of_ones_own_is_named_by_its_detectors():
    recipe = resolve(Request(scale="tiny", loss="norm-kl", teacher="gfl101", student="retina50", batch_size=4))
    assert changed(recipe, None, {}) == (
        "pkd train --teacher gfl101 --student retina50 --loss norm-kl --weight 10 --temperature 50 --schedule 2x "
        "--seed 0 --scale tiny --data shapes --batch-size 4"
    )


def test_a_baseline_has_no_weight():
    recipe = resolve(Request(scale="tiny", loss="none"))
    assert changed(recipe, None, {}) == (
        "pkd train --pair gfl101-fcos50 --loss none --schedule 2x --seed 0 --scale tiny --data shapes"
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [("pkd train --data a.yaml", "a.yaml"), ("pkd train --data='a b.yaml'", "'a b.yaml'"), (None, "shapes")],
)
def test_what_names_the_data_set(typed, said):
    assert data_of(resolve(Request(scale="tiny", loss="mse")), typed) == said
