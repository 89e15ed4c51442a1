"""By which settings runs were trained, and until when they were taught, has a column where it differs."""

from __future__ import annotations

import pytest

from pkdcli.reporting.select import mean_over_seeds
from pkdcli.reporting.tables.headings import differing
from pkdcli.runs.collect import collect


def found(run_folder) -> dict[str, dict]:
    return {one["run"]: one for one in collect(run_folder.root)}


def test_runs_from_before_are_the_papers(run_folder):
    run_folder.add("old", 31.5)
    run_folder.add("new", 32.5, training="paper")
    assert [one["training"] for one in found(run_folder).values()] == ["paper", "paper"]
    assert "training" not in differing(list(found(run_folder).values()))


def test_another_training_has_a_column_and_is_nobodys_baseline(run_folder):
    run_folder.add("base", 16.0, role="baseline", comparable="aa", training="own")
    run_folder.add("pkd-own", 31.5, comparable="aa", training="own")
    run_folder.add("pkd-paper", 33.5, comparable="bb", training="paper")
    runs = found(run_folder)
    assert (runs["pkd-own"]["gain"], runs["pkd-paper"]["gain"]) == (15.5, None)
    assert differing(list(runs.values()))["training"] == "training"


def test_who_is_taught_shorter_has_a_column(run_folder):
    run_folder.add("base", 16.0, role="baseline", comparable="aa")
    run_folder.add("whole", 31.5, comparable="aa")
    assert "distill_until" not in differing(list(found(run_folder).values()))
    run_folder.add("shorter", 32.5, comparable="aa", distill_until=0.9)
    runs = found(run_folder)
    assert (runs["whole"]["gain"], runs["shorter"]["gain"]) == (15.5, 16.5)
    assert differing(list(runs.values()))["distill_until"] == "taught until"


@pytest.mark.parametrize(("changes", "rows"), [({}, 1), ({"training": "own"}, 2), ({"distill_until": 0.5}, 2)])
def test_seeds_of_one_way_to_train_are_averaged(run_folder, changes, rows):
    run_folder.add("one", 31.5)
    run_folder.add("two", 32.5, seed=1, **changes)
    assert len(mean_over_seeds(list(found(run_folder).values()))) == rows
