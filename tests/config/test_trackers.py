"""Which trackers there are, what they need, and who may share a process with them."""

from __future__ import annotations

import pytest

from pkdcli.config import trackers
from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.groups import groups
from pkdcli.experiment.plan import PlannedRun
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_a_recipe_may_name_each_of_them(name):
    recipe = resolve(Request(scale="tiny", sets=(f"trackers=[{name}]",)))
    assert (recipe.trackers, trackers.plugin_of(name)) == ([name], None)


def test_a_name_that_a_recipe_sets_is_looked_up_before_anything_runs():
    recipe = resolve(Request(scale="tiny", sets=("trackers=[tensorbord]",)))
    with pytest.raises(PkdError) as caught:
        trackers.require(recipe.trackers)
    assert caught.value.message == "trackers: unknown tracker 'tensorbord'."
    assert caught.value.hint == (
        "Did you mean 'tensorboard'? Allowed: aim, clearml, dvclive, mlflow, neptune, tensorboard, wandb."
    )


def test_names_as_they_are_typed():
    assert trackers.named(["mlflow, tensorboard", "mlflow"]) == ["mlflow", "tensorboard"]
    with pytest.raises(PkdError) as caught:
        trackers.named(["tensorbord"])
    assert caught.value.message == "--tracker: unknown tracker 'tensorbord'."
    assert "Did you mean 'tensorboard'?" in caught.value.hint


def test_a_tracker_is_no_part_of_the_experiment():
    plain, tracked = resolve(Request(scale="tiny")), resolve(Request(scale="tiny", trackers=("mlflow",)))
    assert tracked.trackers == ["mlflow"]
    assert (run_id(plain), comparable(plain)) == (run_id(tracked), comparable(tracked))


def test_missing_packages_get_their_install_line(monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(PkdError) as caught:
        trackers.require(["mlflow", "wandb", "mlflow"])
    assert caught.value.message == "--tracker mlflow,wandb: their packages are not installed."
    assert caught.value.hint == "Type: python -m pip install mlflow-skinny wandb"
    assert caught.value.code == ExitCode.MISSING
    trackers.require([])


def test_most_trackers_keep_runs_apart(tmp_path):
    def sharing(*names):
        recipes = [resolve(Request(scale="tiny", loss="mse", weight=w, trackers=names)) for w in (10.0, 30.0)]
        return len(groups([PlannedRun(recipe, RunPaths(tmp_path / run_id(recipe))) for recipe in recipes]))

    assert sharing() == sharing("tensorboard") == 1
    assert sharing("mlflow") == sharing("tensorboard", "wandb") == 2
