"""The study of a search: Optuna's own tools read it, and a damaged one is said to be."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

import optuna
import pytest

from pkdcli.errors import PkdError
from pkdcli.experiment.tuning.space import Choice, Range, Space
from pkdcli.experiment.tuning.storage import Study, suggest

SPACE = Space((Range("weight", 1.0, 100.0), Choice("loss.levels", ("index", "stride"))))


@dataclass
class Trial:
    run: str
    params: dict
    curve: dict[int, float] = field(default_factory=dict)
    failed: str | None = None
    found: int = 0


def trials() -> list[Trial]:
    return [
        Trial("a", {"weight": 10.0, "loss.levels": "index"}, {100: 5.0, 600: 35.0}),
        Trial("b", {"weight": 3.0, "loss.levels": "stride"}, {100: 4.0}, found=50),
        Trial("c", {"weight": 100.0, "loss.levels": "index"}, failed="the loss is nan"),
    ]


def test_a_study_is_read_back_in_its_order_and_by_optuna(tmp_path):
    path = tmp_path / "runs" / "tune" / "a.sqlite3"
    study = Study(path, "a", SPACE)
    made = trials()
    for one in made:
        study.add(one)
        study.note(one)
    study.seconds += 12.5
    study.start = 0.05
    again = Study(path, "a", SPACE)
    assert again.load() == [(one.params, one.found) for one in made]
    assert (again.seconds, again.start) == (12.5, 0.05)
    again.close(made, 600)
    found = optuna.load_study(study_name="a", storage=f"sqlite:///{path}")
    assert [one.state.name for one in found.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert found.best_params == {"weight": 10.0, "loss.levels": "index"}
    assert found.best_value == 35.0
    assert found.trials[0].intermediate_values == {100: 5.0, 600: 35.0}
    assert [one.user_attrs["run"] for one in found.trials] == ["a", "b", "c"]


def test_a_search_goes_on_by_what_it_was_begun_with(tmp_path):
    """Trials of a release that evaluated the weights as they were are not held against means."""
    path = tmp_path / "a.sqlite3"
    assert Study(path, "a", SPACE).compared == "rung"
    assert Study(path, "a", SPACE).compared == "rung"
    older = optuna.create_study(storage=f"sqlite:///{path}", study_name="older", direction="maximize")
    distributions = {"weight": optuna.distributions.FloatDistribution(1, 100, log=True)}
    older.add_trial(optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING, params={"weight": 3.0}, distributions=distributions,
        user_attrs={"run": "a", "found": 0}))  # fmt: skip
    assert Study(path, "older", SPACE).compared == "val"


def test_suggestions_are_the_same_again_and_none_was_made(tmp_path):
    made = trials()
    found = suggest(SPACE, made, 600, 3, seed=0)
    assert found == suggest(SPACE, made, 600, 3, seed=0)
    assert len(found) == 3
    assert all(one not in [other.params for other in made] for one in found)
    assert found != suggest(SPACE, made, 600, 3, seed=1)


def damaged(path):
    path.write_bytes(b"not a database" * 100)


def of_another_release(path):
    with sqlite3.connect(path) as base:
        base.execute("UPDATE alembic_version SET version_num = 'v99.0.a'")
    base.close()


@pytest.mark.parametrize("harm", [damaged, of_another_release])
def test_a_storage_that_cannot_be_used_is_named_with_its_remedy(tmp_path, harm):
    path = tmp_path / "my runs" / "a.sqlite3"
    Study(path, "a", SPACE).add(trials()[0])
    harm(path)
    with pytest.raises(PkdError) as error:
        Study(path, "a", SPACE).load()
    assert error.value.message.startswith(f"{path}: the search's storage can't be used: ")
    assert error.value.hint.splitlines()[0] == f"rm '{path}'"
    assert "No run is lost" in error.value.hint
    assert error.value.code == 2


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "tune").write_text("")
    with pytest.raises(PkdError) as error:
        Study(tmp_path / "tune" / "a.sqlite3", "a", SPACE)
    assert str(tmp_path / "tune") in error.value.message
    assert error.value.code == 3
