"""`import pkdcli` as other libraries use it: pickled, copied, reloaded, from many threads at once."""

from __future__ import annotations

import copy
import importlib
import pickle
import subprocess
import sys
import threading

import pytest

import pkdcli
from pkdcli.api import verbs
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.run import Run
from pkdcli.runs.run_list import RunList

SKIPPED = ("__version__",)


@pytest.fixture
def forgotten():
    """The names of the package, not yet looked up; afterwards they are what they were."""
    before = {name: vars(pkdcli)[name] for name in pkdcli.__all__ if name in vars(pkdcli)}

    def forget():
        for name in pkdcli.__all__:
            if name not in SKIPPED:
                vars(pkdcli).pop(name, None)

    forget()
    yield
    forget()
    vars(pkdcli).update(before)


@pytest.mark.parametrize("name", [name for name in pkdcli.__all__ if name not in SKIPPED])
def test_a_name_travels_to_another_process_and_is_the_same_there(name):
    found = getattr(pkdcli, name)
    assert pickle.loads(pickle.dumps(found)) is found
    assert copy.deepcopy(found) is copy.copy(found) is found


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("name", ["train", "sweep", "Run", "PkdError"])
def test_threads_that_look_a_name_up_at_once_find_one_thing(monkeypatch, name):
    meet = threading.Barrier(8)
    real = verbs.function

    def function(wanted):
        made = real(wanted)
        meet.wait(10)  # all have made one before any has put it down
        return made

    monkeypatch.setattr(verbs, "function", function)
    found = []

    def look():
        if name not in verbs.VERBS:
            meet.wait(10)
        found.append(getattr(pkdcli, name))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len({id(one) for one in found}) == 1
    assert pickle.loads(pickle.dumps(found[0])) is getattr(pkdcli, name)


@pytest.mark.usefixtures("forgotten")
def test_a_reloaded_package_catches_the_errors_it_raises():
    train = pkdcli.train
    again = importlib.reload(pkdcli)
    assert again is pkdcli
    for function in (train, again.train):
        with pytest.raises(again.PkdError):
            function(wieght=1)


def test_what_begins_with_underscores_is_not_looked_for():
    for name in ("__path_hooks__", "_ipython_display_", "__wrapped__", "_repr_html_"):
        assert not hasattr(pkdcli, name)
        with pytest.raises(AttributeError, match=f"module 'pkdcli' has no attribute '{name}'"):
            getattr(pkdcli, name)


def test_submodules_are_no_verbs():
    from pkdcli.api import train as module

    assert module is not pkdcli.train
    assert callable(pkdcli.train)
    assert callable(module.train)


def test_everything_is_imported_with_a_star():
    script = "from pkdcli import *; import pkdcli; print(all(vars(pkdcli)[n] is globals()[n] for n in pkdcli.__all__))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_list_of_runs_stays_one_when_it_is_copied_and_pickled(run_folder):
    runs = pkdcli.list_runs(runs=run_folder.sweep().root)
    assert type(runs) is RunList
    assert [run.id for run in runs] == ["base", "mse-10", "mse-30", "mse-50"]
    for again in (pickle.loads(pickle.dumps(runs)), copy.copy(runs), copy.deepcopy(runs)):
        assert type(again) is RunList
        assert again == runs
        assert again.frame().equals(runs.frame())
        assert again._repr_html_() == runs._repr_html_()
        again.pop()
    assert len(runs) == 4


def test_a_copied_run_is_equal_and_reads_its_own_files(run_folder):
    run = pkdcli.load_run("mse-30", runs=run_folder.sweep().root)
    for again in (pickle.loads(pickle.dumps(run)), copy.copy(run), copy.deepcopy(run)):
        assert type(again) is Run
        assert (again, hash(again), again.metrics["mAP"]) == (run, hash(run), 33.26)
    assert len({run, copy.copy(run)}) == 1
    with pytest.raises(AttributeError):
        run.state = "failed"


@pytest.mark.parametrize("error", [PkdError("a", "b", ExitCode.MISSING), PkdError("a")])
def test_an_error_travels_whole(error):
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is PkdError
        assert (again.message, again.hint, again.code, str(again)) == (
            error.message,
            error.hint,
            error.code,
            str(error),
        )


def test_an_interruption_travels_whole():
    from pkdcli.errors import Interrupted

    again = pickle.loads(pickle.dumps(Interrupted("stopped.")))
    assert (type(again), again.message, str(again)) == (Interrupted, "stopped.", "stopped.")


def test_a_watcher_may_be_empty(here):
    class Empty(pkdcli.Watcher):
        """One that has a length, and none so far."""

        notes: list[str]

        def __init__(self):
            self.notes = []

        def __len__(self):
            return len(self.notes)

        def on_warning(self, text):
            self.notes.append(text)

    seen = []
    real = verbs._watcher
    verbs._watcher = lambda: seen.append(1) or real()
    try:
        pkdcli.train(loss="none", scale="tiny", dry_run=True, watcher=Empty())
    finally:
        verbs._watcher = real
    assert seen == []
