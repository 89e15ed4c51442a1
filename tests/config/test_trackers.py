"""Which trackers there are, what they need, and who may share a process with them."""

from __future__ import annotations

import typing

import pytest

from pkdcli.config import trackers
from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.groups import groups
from pkdcli.experiment.plan import PlannedRun
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths


def test_recipes_know_the_same_names():
    (of_recipes,) = typing.get_args(Recipe.model_fields["trackers"].annotation)
    assert list(typing.get_args(of_recipes)) == list(trackers.TRACKERS)


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
