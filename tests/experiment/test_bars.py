"""Progress from Python: what the bars say of runs, exactly, and that damaged files are no reason to stop."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from pkdcli.experiment.bars import Bars, default_watcher, in_notebook
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.runs.store import write_json


class Bar:
    """What a bar of tqdm's is told."""

    def __init__(self, made, total, desc, unit, dynamic_ncols):
        self.total, self.desc, self.n, self.words, self.open = total, desc, 0, None, True
        made.append(self)

    def update(self, steps):
        assert self.open
        self.n += steps

    def set_postfix_str(self, words):
        self.words = words

    def close(self):
        self.open = False


@pytest.fixture
def bars(monkeypatch):
    """Every bar that is made, in order; and what is said beside them."""
    import tqdm.auto

    made, said = [], []

    def bar(**settings):
        return Bar(made, **settings)

    bar.write = lambda line, file: said.append(line)
    monkeypatch.setattr(tqdm.auto, "tqdm", bar)
    return made, said


@pytest.fixture
def job(tmp_path):
    return JobSpec("mse-1", ("true",), tmp_path / "mse-1")


def status(job, **fields):
    write_json(job.run_dir / "status.json", fields)


def test_a_bar_follows_training_and_evaluation(bars, job):
    made, said = bars
    watcher = Bars()
    watcher.on_plan({}, ["teacher-1"])
    watcher.on_start(job)
    status(job, phase="train", iter=30, iters=600, train_loss=1.5)
    watcher.on_tick(job)
    (bar,) = made
    assert (bar.desc, bar.n, bar.total, bar.words) == ("mse-1", 30, 600, "loss 1.500")
    status(job, phase="evaluate", phase_done=5, phase_total=40, iter=600, iters=600, train_loss=0.25)
    watcher.on_tick(job)
    assert (bar.n, bar.total, bar.words) == (5, 40, "evaluating, loss 0.250")
    status(job, phase="train", iter=601, iters=1200, train_loss=0.2)
    watcher.on_tick(job)
    assert (bar.n, bar.total, bar.words) == (601, 1200, "loss 0.200")
    write_json(job.run_dir / "result.json", {"metrics": {"mAP": 31.26}})
    watcher.on_end(job, Outcome(0))
    assert not bar.open
    assert said == ["teacher-1: done before", "mse-1: done, mAP 31.3"]


def test_a_run_that_is_started_again_has_one_bar(bars, job):
    made, said = bars
    watcher = Bars()
    watcher.on_start(job)
    watcher.on_retry(job, Outcome(1, died_by="SIGBUS"), 1)
    watcher.on_start(job)
    assert [bar.open for bar in made] == [False, True]
    assert said == ["mse-1: killed by SIGBUS; started again"]
    watcher.on_end(job, Outcome(1, died_by="SIGBUS"))
    assert not any(bar.open for bar in made)
    assert said[1:] == ["mse-1: killed by SIGBUS"]


def test_a_run_that_never_starts(bars, job):
    made, said = bars
    watcher = Bars()
    watcher.on_tick(job)
    watcher.on_end(job, Outcome(1, lacked="teacher-1"))
    assert (made, said) == ([], ["mse-1: not started, since teacher-1 failed"])


def test_a_failed_run_says_why(bars, job):
    _, said = bars
    write_json(job.run_dir / "result.json", {"metrics": {"mAP": 12.0}})  # of an older try
    status(job, state="failed", error={"message": "the loss is NaN at step 3.", "hint": "Lower it.", "code": 1})
    Bars().on_end(job, Outcome(1))
    status(job, state="failed", error={"message": "the loss is NaN at step 3.", "hint": "Lower it.", "code": 1})
    Bars().on_end(job, Outcome(1, died_by="SIGKILL"))
    assert said[0] == "mse-1: failed: the loss is NaN at step 3."
    assert said[1].startswith("mse-1: killed by SIGKILL; on Linux most often for want of memory")


@pytest.mark.parametrize("content", ["[1, 2]", '"text"', "{half", '{"metrics": [1]}', '{"metrics": {"mAP": "high"}}'])
def test_damaged_files_stop_nobody(bars, job, content):
    made, said = bars
    job.run_dir.mkdir()
    for name in ("status.json", "result.json"):
        (job.run_dir / name).write_text(content)
    watcher = Bars()
    watcher.on_start(job)
    watcher.on_tick(job)
    watcher.on_end(job, Outcome(0))
    assert said == ["mse-1: done, mAP unknown"]
    assert not made[0].open


@pytest.mark.parametrize("wrong", [{"train_loss": "nan"}, {"iter": "3"}, {"iters": "x"}, {"iter": None, "iters": None}])
def test_a_status_of_other_types_moves_nothing(bars, job, wrong):
    made, _ = bars
    watcher = Bars()
    watcher.on_start(job)
    status(job, **{"phase": "train", "iter": 0, "iters": None, "train_loss": None, **wrong})
    watcher.on_tick(job)
    assert (made[0].n, made[0].total, made[0].words) == (0, None, "")


def test_data_that_is_drawn_has_a_bar_until_it_is_there(bars):
    made, _ = bars
    watcher = Bars()
    watcher.on_data("own", None, None)  # a check, which has no steps
    assert made == []
    for done in (0, 5, 8):
        watcher.on_data("shapes", done, 8)
    (bar,) = made
    assert (bar.desc, bar.total, bar.n, bar.open) == ("drawing shapes", 8, 8, False)
    watcher.on_data("more", 1, 2)  # whose drawing fails: the next has a bar of its own
    watcher.on_data("shapes", 1, 4)
    assert [(one.desc, one.open) for one in made[1:]] == [("drawing more", False), ("drawing shapes", True)]


def test_what_a_user_should_know_is_said(bars):
    _, said = bars
    watcher = Bars()
    watcher.on_warning("val.json: 3 boxes lie outside")
    watcher.on_note("this machine is busy")
    watcher.on_share(["a", "b"], "GFL-Res101")
    watcher.on_submit("a", "7_0", "submitted as 7_0")
    watcher.on_submit("b", None, "done before")
    watcher.on_submit("", None, "pkd status shows how far they are.")
    assert said == [
        "warning: val.json: 3 boxes lie outside",
        "note: this machine is busy.",
        "a and b train together, beside one GFL-Res101",
        "a: submitted as 7_0",
        "b: done before",
        "pkd status shows how far they are.",
    ]


# Where bars are shown


def shell(name):
    return type(name, (), {})()


@pytest.mark.parametrize(
    ("ipython", "there"),
    [
        (None, False),
        (SimpleNamespace(), False),  # half imported
        (SimpleNamespace(get_ipython=lambda: None), False),  # imported by a script
        (SimpleNamespace(get_ipython=lambda: shell("TerminalInteractiveShell")), False),
        (SimpleNamespace(get_ipython=lambda: shell("ZMQInteractiveShell")), True),
    ],
)
def test_bars_are_for_notebooks(monkeypatch, ipython, there):
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert in_notebook() is there
    assert type(default_watcher()) is (Bars if there else Watcher)


def test_the_bars_are_tqdms(job, capsys):
    watcher = Bars()
    with watcher:
        watcher.on_start(job)
        status(job, phase="train", iter=3, iters=6, train_loss=1.0)
        watcher.on_tick(job)
    out, err = capsys.readouterr()
    assert out == ""
    assert "mse-1:  50%|" in err
    assert "3/6" in err
    assert "loss 1.000" in err


def test_what_is_known_after_a_seed_is_a_line_for_each_method(bars):
    _, said = bars
    Bars().on_look(3, [{"text": "mse: +1.4 (+0.2 to +2.6), GO"}, {"text": "pkd: +0.1 (-1.0 to +1.2), INCONCLUSIVE"}])
    assert said == [
        "after 3 seeds: mse: +1.4 (+0.2 to +2.6), GO",
        "after 3 seeds: pkd: +0.1 (-1.0 to +1.2), INCONCLUSIVE",
    ]
