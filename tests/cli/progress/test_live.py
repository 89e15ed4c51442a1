"""The live screen of a terminal."""

from __future__ import annotations

import io
import os
import re
import signal
import threading
import time

import pytest
from rich.console import Console

from pkdcli.cli.progress import choose
from pkdcli.cli.progress.live import Screen, labels
from pkdcli.experiment import plan as experiment
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json

TRAINING = {"phase": "train", "epoch": 2, "epochs": 6, "iter": 150, "iters": 600, "train_loss": 1.2345}
SPEED = {"it_per_s": 12.5, "eta_s": 36.0}


def plan(folder, *requests):
    found = {}
    for n, request in enumerate(requests):
        recipe = resolve(Request(**{"scale": "tiny", "loss": "mse", "weight": 10.0, **request}))
        found[f"r{n}"] = experiment.PlannedRun(recipe, RunPaths(folder / f"r{n}"))
    return found


@pytest.fixture
def screen(tmp_path):
    """A screen over runs r0, r1, ..., its text, and its jobs."""

    def make(*requests, width=110, height=25, done=()):
        console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)
        made = Screen(console)
        made.on_plan(plan(tmp_path, *requests), done)
        made.jobs = [JobSpec(run, ("x",), tmp_path / run) for run in made.planned]
        return made

    return make


def say(screen, run, **fields):
    write_json(screen.planned[run].paths.status, fields)


def drawn(screen):
    """What the screen shows now."""
    with screen.console.capture() as captured:
        screen.console.print(screen.render())
    return [line.rstrip() for line in captured.get().splitlines()]


WEIGHTS = [{"weight": float(weight)} for weight in (10, 30, 50, 70)]


def at_work(screen, squeeze=True):
    for job in screen.jobs[:3]:
        screen.on_start(job)
    say(screen, "r1", **TRAINING, **SPEED)
    say(screen, "r2", **{**TRAINING, "iter": 600, "phase": "evaluate"})
    return [" ".join(line.split()) for line in drawn(screen)] if squeeze else drawn(screen)


def test_a_line_a_run_and_one_for_the_whole(screen):
    assert at_work(screen(*WEIGHTS)) == [
        "mse w=10 0% starting",
        "mse w=30 ━━━━━━ 25% epoch 2/6 loss 1.234 12.50 it/s 0:36 left",
        "mse w=50 ━━━━━━━━━━━━━━━━━━━━━━━━ 100% epoch 2/6 loss 1.234 evaluating",
        "━━━━━━━╸ 31% 0 of 4 done, 1 waiting, about 0:36 left",
    ]
    lines = at_work(screen(*WEIGHTS), squeeze=False)[:3]
    assert len({line.index("%") for line in lines}) == 1  # in columns
    assert lines[1].index("0:36") == lines[2].index("evaluating")


def test_narrower_terminals_show_less_and_cut_no_number(screen):
    assert at_work(screen(*WEIGHTS, width=80)) == [
        "mse w=10 0% starting",
        "mse w=30 ━━━ 25% loss 1.234 0:36 left",
        "mse w=50 ━━━━━━━━━━━━ 100% loss 1.234 evaluating",
        "━━━╸ 31% 0 of 4 done, 1 waiting, about 0:36 left",
    ]
    assert at_work(screen(*WEIGHTS, width=50)) == [
        "mse w=10 0% starting",
        "mse w=30 25% loss 1.234 0:36 left",
        "mse w=50 100% loss 1.234 evaluating",
        "━━━╸ 31% 0 of 4 done, 1 waiting, about 0…",
    ]
    for width in (40, 30, 20, 10):
        assert all(len(line) <= width for line in at_work(screen(*WEIGHTS, width=width), squeeze=False))
    assert at_work(screen(*WEIGHTS, width=30))[1] == "mse w=30 25% 0:36 left"


def test_a_terminal_of_few_lines_says_how_many_more_there_are(screen):
    made = screen(*WEIGHTS, height=6)
    for job in made.jobs:
        made.on_start(job)
    assert [line.split("  ")[0] for line in drawn(made)[:3]] == ["mse w=10", "mse w=30", "… and 2 more"]


def test_the_time_left_is_that_of_all_runs_at_the_speed_of_those_at_work(screen):
    made = screen(*WEIGHTS)
    steps = 0
    for one in made.planned.values():
        data = one.recipe.data.model_copy(update={"train_images": 800})
        made.planned[one.run] = experiment.PlannedRun(one.recipe.model_copy(update={"data": data}), one.paths)
        recipe = made.planned[one.run].recipe
        steps = -(-800 // recipe.batch) * recipe.schedule.epochs
    assert steps == 600
    assert "left" not in drawn(made)[-1]  # no speed is known yet
    for job in made.jobs[:2]:
        made.on_start(job)
        say(made, job.name, **TRAINING, **SPEED)
    # Two at 12.5 steps a second have 450 steps each, two wait with 600.
    assert drawn(made)[-1].endswith("about 1:24 left")
    made.on_end(made.jobs[0], Outcome(0))
    made.on_end(made.jobs[1], Outcome(1))
    made.on_start(made.jobs[2])
    # Between two runs the last known speed counts.
    assert drawn(made)[-1].endswith("1 of 4 done, 1 failed, 1 waiting, about 0:24 left")


def test_a_run_that_was_stopped_is_seen_to_stop(screen):
    made = screen(*WEIGHTS[:1])
    made.on_start(made.jobs[0])
    say(made, "r0", state="interrupted", phase=None, iter=30, iters=600)
    assert drawn(made)[0].endswith("5%                                      stopped")


@pytest.mark.parametrize(
    ("requests", "names"),
    [
        ([{}], ["FCOS-Res50 mse w=10"]),
        ([{"loss": "none", "weight": None}, {}], ["baseline", "mse w=10"]),
        ([{"seed": 0}, {"seed": 1}], ["mse w=10 seed 0", "mse w=10 seed 1"]),
        ([{"schedule": "1x"}, {"loss": "norm-kl"}], ["mse w=10 1x", "norm-kl w=10 T=50 2x"]),
        (
            [{"pair": "gfl101-fcos50"}, {"pair": "retinax101-retina50"}],
            ["FCOS-Res50 mse w=10 gfl101-fcos50", "Retina-Res50 mse w=10 retinax101-retina50"],
        ),
    ],
)
def test_names_say_what_differs(tmp_path, requests, names):
    assert list(labels(plan(tmp_path, *requests)).values()) == names


def test_news_scroll_by_above(screen):
    made = screen(*WEIGHTS[:2], done=["r1"])
    with made:
        made.on_start(made.jobs[0])
        say(made, "r0", **TRAINING, warnings=["a [red]loss[/red] of 0"])
        made.on_tick(made.jobs[0])
        write_json(made.planned["r0"].paths.result, {"metrics": {"mAP": 31.25}})
        made.on_end(made.jobs[0], Outcome(0))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", made.console.file.getvalue())
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    said = [line for line in lines if line.startswith("r")]
    assert said == ["r1: done before", "r0: warning: a [red]loss[/red] of 0", "r0: done, mAP 31.2"]
    # The cursor is hidden while the screen is drawn, and shown again.
    assert made.console.file.getvalue().count("\x1b[?25l") == made.console.file.getvalue().count("\x1b[?25h") == 1


# Which watcher it is


@pytest.mark.parametrize(
    ("env", "words", "kind"),
    [
        ({}, {}, "Lines"),
        ({"FORCE_COLOR": "1"}, {}, "Screen"),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, {}, "Lines"),
        ({"FORCE_COLOR": "1"}, {"quiet": True}, "Watch"),
        ({"FORCE_COLOR": "1"}, {"json": True}, "JsonLines"),
    ],
)
def test_the_watcher_that_fits(monkeypatch, env, words, kind):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert type(choose.watcher(**{"json": False, "quiet": False, **words})).__name__ == kind


# Whole sweeps, in a terminal as far as they can tell

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3|9)\d")  # the codes of a foreground; bold is none


def typed(type_, monkeypatch, own, *words, color=False):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    if color:
        monkeypatch.delenv("NO_COLOR")
    return type_("sweep", "--weights", "10,30", "--scale", "tiny", "--data", own, "--no-share-teacher", *words)


@pytest.mark.parametrize("words", [(), ("--jobs", "3")])
def test_a_sweep_on_the_screen(type_, worker, own, here, monkeypatch, words):
    worker(mse_w30="fails", teacher="shows")
    said = typed(type_, monkeypatch, own, *words)
    assert said.code == 1
    assert not COLOUR.search(said.err)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.err).replace("\r", "\n")
    for pattern in (r"__mse-w10__\S+: done, mAP 31\.0\n", r"__mse-w30__\S+: failed\n", r"the loss is NaN at step 3\."):
        assert len(re.findall(pattern, text)) == 1, pattern
    assert re.search(r"\d of 4 done, \d waiting", text)
    assert "GFL-Res101 teacher" in text


def test_colours_are_there_unless_one_says_no(type_, worker, own, here, monkeypatch):
    worker()
    assert COLOUR.search(typed(type_, monkeypatch, own, color=True).err)


def test_ctrl_c_on_the_screen(type_, worker, own, here, monkeypatch):
    worker(mse_w10="waits")

    def press():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any((read_json(path) or {}).get("phase") == "train" for path in (here / "runs").glob("*/status.json")):
                time.sleep(0.5)  # long enough for a few pictures
                return os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        return None

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    said = typed(type_, monkeypatch, own)
    thread.join()
    assert said.code == 130
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.err).replace("\r", "\n")
    assert "mse w=10" in text
    assert "1:01:40 left" in text
    assert said.err.endswith("stopped; type the same command again to go on.\n")
    assert said.err.count("\x1b[?25l") == said.err.count("\x1b[?25h")  # the cursor is back
