"""The study of a search: Optuna's own tools read it, and a damaged one is said to be."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pytest

from pkdcli.errors import PkdError
from pkdcli.experiment.tuning.space import Choice, Range, Space
from pkdcli.experiment.tuning.storage import Study, check, suggest

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


def garbage(path):
    path.write_bytes(b"not a database" * 100)


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_folder(path):
    path.unlink()
    (path / "of somebody").mkdir(parents=True)


def of_another_search(path):
    path.unlink()
    levels = Space((Choice("loss.levels", ("index", "stride")),))
    Study(path, "a", levels).add(Trial("a", {"loss.levels": "index"}))


def of_another_release(path):
    with sqlite3.connect(path) as base:
        base.execute("UPDATE alembic_version SET version_num = 'v99.0.a'")
    base.close()


def everything_in(folder):
    return {
        str(one.relative_to(folder)): (one.read_bytes() if one.is_file() else None, one.stat().st_mtime_ns)
        for one in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (garbage, "file is not a database"),
        (cut_off, "database disk image is malformed"),
        (a_folder, "it is a folder"),
        (of_another_search, "its trials differ in loss.levels, this search's in loss.levels, weight"),
        (of_another_release, ""),
    ],
)
def test_a_storage_that_cannot_be_used_is_named_with_its_remedy(tmp_path, harm, reason):
    """By the search, and by a dry run that leaves everything as it is; the remedy works when it is typed."""
    path = tmp_path / "my runs? 50%" / "a.sqlite3"
    Study(path, "a", SPACE).add(trials()[0])
    harm(path)
    before = everything_in(tmp_path)
    with pytest.raises(PkdError) as dry:
        check(path, "a", SPACE)
    assert everything_in(tmp_path) == before
    with pytest.raises(PkdError) as error:
        Study(path, "a", SPACE).load()
    told = [(one.value.message, one.value.hint, one.value.code) for one in (dry, error)]
    assert told[0] == told[1]
    message, hint, code = told[0]
    assert message.startswith(f"{path}: the search's storage can't be used: {reason}")
    assert hint.splitlines()[0] == f"rm{' -r' if harm is a_folder else ''} '{path}'"
    assert "No run is lost" in hint
    assert code == 2
    subprocess.run(hint.splitlines()[0], shell=True, check=True, stdin=subprocess.DEVNULL)
    check(path, "a", SPACE)
    assert Study(path, "a", SPACE).load() == []


def test_a_dry_run_leaves_a_storage_as_it_is_and_makes_none(tmp_path):
    path = tmp_path / "runs" / "a.sqlite3"
    check(path, "a", SPACE)
    assert everything_in(tmp_path) == {}
    Study(path, "a", SPACE).add(trials()[0])
    before = everything_in(tmp_path)
    check(path, "a", SPACE)
    check(path, "of another search", SPACE)
    assert everything_in(tmp_path) == before


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "tune").write_text("")
    path = tmp_path / "tune" / "a.sqlite3"
    for refused in (Study, check):
        with pytest.raises(PkdError) as error:
            refused(path, "a", SPACE)
        assert error.value.message == f"{path}: {tmp_path / 'tune'} is no folder."
        assert error.value.code == 3


@pytest.mark.parametrize("closed", ["the folder", "the folder above", "the file"])
def test_a_storage_that_cannot_be_written_to_is_not_called_damaged(tmp_path, monkeypatch, closed):
    """To remove it would be no remedy."""
    path = tmp_path / "runs" / "tune" / "a.sqlite3"
    if closed == "the folder above":
        path.parent.parent.mkdir()
    else:
        Study(path, "a", SPACE)
    only_read = {"the folder": path.parent, "the folder above": tmp_path / "runs", "the file": path}[closed]
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda where, mode: Path(where) != only_read and allowed(where, mode))
    with pytest.raises(PkdError) as caught:
        Study(path, "a", SPACE)
    assert str(caught.value) == f"{path}: Permission denied.\nGive another folder with --runs."
    assert caught.value.code == 3
