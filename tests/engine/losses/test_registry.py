"""Names, parameters, a user's own loss, and the recipes that name losses."""

from __future__ import annotations

import sys

import pytest
import torch
import yaml
from torch import nn

from pkdcli.engine.losses import (
    FeatureLoss,
    available_losses,
    build_loss,
    register_loss,
    registry,
    takes_temperature,
)
from pkdcli.errors import PkdError
from pkdcli.folders import recipes_root

RECIPES = {path.stem: yaml.safe_load(path.read_text()) for path in (recipes_root() / "losses").glob("*.yaml")}
SHARED = ["weight", "stat_chunk"]


@pytest.fixture
def _own_names(monkeypatch):
    """Whatever a test registers is forgotten afterwards."""
    monkeypatch.setattr(registry, "_LOSSES", dict(registry._LOSSES))


def test_every_loss_has_a_recipe_and_every_recipe_a_loss():
    assert set(RECIPES) == {*available_losses(), "none"}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_and_registry_agree(name):
    recipe = RECIPES[name]
    assert recipe["name"] == recipe["type"] == name
    assert recipe["summary"]
    if name == "none":
        assert recipe["weight"] == {"default": 0}
        return
    facts = available_losses()[name]
    assert (recipe["title"], recipe["source"]) == (facts.title, facts.source)
    own = {key: p for key, p in facts.parameters.items() if key not in SHARED}
    rule = recipe.get("temperature")
    assert (rule is not None) == ("temperature" in own) == takes_temperature(name)
    if rule is not None:
        temperature = own.pop("temperature")
        assert rule == {
            "default": temperature.default,
            "minimum": temperature.minimum,
            "maximum": temperature.maximum,
        }
    assert recipe["params"] == {key: p.default for key, p in own.items()}
    weight = recipe["weight"]["default"]
    build_loss(name, weight=1.0 if weight == "by-teacher" else weight, **recipe["params"])


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_opens_with_its_command(name):
    first = (recipes_root() / "losses" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith(f"# pkd train --pair gfl101-fcos50 --loss {name}")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(PkdError) as caught:
        build_loss("nrom-kl")
    assert str(caught.value) == (
        "unknown loss 'nrom-kl'.\nDid you mean 'norm-kl'? "
        "Allowed: at, center-only, cwd, l1, l2, mgd, mse, norm-kl, norm-mse, pkd, std-only."
    )


def test_the_baseline_is_not_a_loss():
    with pytest.raises(PkdError, match="'none' is the baseline"):
        build_loss("none")


def test_an_unknown_parameter_is_answered_with_the_nearest():
    with pytest.raises(PkdError) as caught:
        build_loss("norm-kl", temprature=5)
    assert str(caught.value) == (
        "unknown parameter of loss norm-kl 'temprature'.\n"
        "Did you mean 'temperature'? Allowed: stat_chunk, temperature, weight."
    )
    with pytest.raises(PkdError, match="unknown parameter of loss pkd 'temperature'"):
        build_loss("pkd", temperature=50)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "10", None, True])
def test_refuses_other_weights(weight):
    with pytest.raises(PkdError) as caught:
        build_loss("pkd", weight=weight)
    assert caught.value.message == f"loss parameter 'weight' cannot be {weight!r}."
    assert caught.value.hint == "Allowed: a finite number, 0 or more."


@pytest.mark.parametrize("chunk", [0, -2, 1.5, "all", True])
def test_refuses_other_chunks(chunk):
    with pytest.raises(PkdError) as caught:
        build_loss("pkd", stat_chunk=chunk)
    assert caught.value.hint == 'Allowed: "batch" or a whole number of images, 1 or more.'


@pytest.mark.usefixtures("_own_names")
def test_a_users_loss_gets_weight_and_resizing():
    @register_loss("huber")
    class Huber(FeatureLoss):
        title = "Huber distance"
        statistics = False

        def __init__(self, weight=1.0, stat_chunk=None, delta=1.0):
            super().__init__(weight, stat_chunk)
            self.delta = delta

        def compare(self, student, teacher):
            return nn.functional.huber_loss(student, teacher, delta=self.delta)

    student, teacher = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 8)
    expected = nn.functional.huber_loss(nn.functional.interpolate(student, (4, 8), mode="bilinear"), teacher, delta=0.3)
    assert build_loss("huber", weight=5, delta=0.3)(student, teacher) == pytest.approx(5 * expected.item())
    facts = available_losses()["huber"]
    assert (facts.title, list(facts.parameters)) == ("Huber distance", ["weight", "stat_chunk", "delta"])
    assert facts.parameters["delta"].default == 1.0


@pytest.mark.usefixtures("_own_names")
def test_a_users_loss_has_statistics_over_chunks_unless_it_says_otherwise():
    @register_loss("range")
    class Range(FeatureLoss):
        """Compare the ranges."""

        def compare(self, student, teacher):
            return (student.max() - student.min()) - (teacher.max() - teacher.min())

    student, teacher = torch.randn(2, 5, 3, 4, 4)
    whole = build_loss("range")
    parts = [whole(student[i : i + 2], teacher[i : i + 2]).item() for i in (0, 2, 4)]
    expected = (2 * parts[0] + 2 * parts[1] + parts[2]) / 5
    assert build_loss("range", stat_chunk=2)(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert available_losses()["range"].title == "Compare the ranges."


def test_no_name_is_overwritten():
    with pytest.raises(PkdError, match="loss 'pkd' is already pkdcli"):
        register_loss("pkd")(nn.Identity)
    assert available_losses()["pkd"].title.startswith("one minus Pearson")


def test_a_dotted_path_names_a_users_module(tmp_path, monkeypatch):
    (tmp_path / "my_own_losses.py").write_text(
        "import torch\n"
        "class Gap(torch.nn.Module):\n"
        "    '''Largest difference.'''\n"
        "    def __init__(self, power=1):\n"
        "        super().__init__()\n"
        "        self.power, self.own = power, torch.nn.Parameter(torch.ones(()))\n"
        "    def forward(self, student, teacher):\n"
        "        return self.own * (student - teacher).abs().max() ** self.power\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    loss = build_loss("my_own_losses:Gap", weight=2, power=2)
    student, teacher = torch.zeros(1, 2, 3, 3), torch.full((1, 2, 3, 3), 3.0)
    assert loss(student, teacher).item() == 18
    assert [tuple(p.shape) for p in loss.parameters()] == [()]
    with pytest.raises(PkdError, match="unknown parameter of loss my_own_losses:Gap 'pwer'"):
        build_loss("my_own_losses:Gap", pwer=2)
    for wrong in ("my_own_losses:Gpa", "no_such_module:Gap", "my_own_losses:torch"):
        with pytest.raises(PkdError, match=f"loss '{wrong}' "):
            build_loss(wrong)
    sys.modules.pop("my_own_losses")
