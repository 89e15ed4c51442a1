"""`pkd train` and `pkd sweep` around a worker: what they print, write and leave with."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time

import pytest

from pkdcli.runs.store import read_json

TINY = ("--scale", "tiny", "--data")


@pytest.fixture
def plain(here):
    """Text without what differs from machine to machine: folders, and the hashes in runs' names."""

    def plain(text):
        text = re.sub(r"(s\d)-[0-9a-f]{8}", r"\1-########", text.replace(str(here.parent), "/tmp"))
        return "".join(line.rstrip() + "\n" for line in text.splitlines())

    return plain


def states(folder):
    """State and error of every run, by the beginning of its name."""
    found = {}
    for path in sorted(folder.glob("*/status.json")):
        status = read_json(path)
        found["__".join(path.parent.name.split("__")[:2])] = (
            status["state"],
            (status.get("error") or {}).get("message"),
        )
    return found


SWEEP = """\
own val, scale tiny, batch 8, seed 0

 method                schedule   mAP  AP50  AP75  AP_S  AP_M  AP_L   gain
 ─────────────────────────────────────────────────────────────────────────
 GFL-Res101 (teacher)            70.0  90.0  71.0        70.0  75.0
 FCOS-Res50 (student)  2x        20.0  40.0  21.0        20.0  25.0
 mse, weight 10        2x        31.0  51.0  32.0        31.0  36.0  +11.0
 mse, weight 30        2x        33.0  53.0  34.0        33.0  38.0  +13.0
 mse, weight 50        2x        35.0  55.0  36.0        35.0  40.0  +15.0

mse: mAP by loss weight, own val, scale tiny, batch 8, seed 0

 teacher     student     schedule  baseline  weight   mAP   gain
 ───────────────────────────────────────────────────────────────
 GFL-Res101  FCOS-Res50  2x            20.0      10  31.0  +11.0
 GFL-Res101  FCOS-Res50  2x            20.0      30  33.0  +13.0
 GFL-Res101  FCOS-Res50  2x            20.0      50  35.0  +15.0

"""


def test_a_sweep_ends_with_its_table_and_report_shows_the_same(type_, worker, own, plain):
    worker()
    said = type_("sweep", "--loss", "mse", "--weights", "10,30,50", *TINY, own)
    assert (said.code, plain(said.out)) == (0, SWEEP)
    assert (
        plain(said.err)
        == """\
4 runs train together, so that GFL-Res101 sees each image once:
  fcos50__baseline__2x__own-tiny__s0-########
  gfl101-fcos50__mse-w10__2x__own-tiny__s0-########
  gfl101-fcos50__mse-w30__2x__own-tiny__s0-########
  gfl101-fcos50__mse-w50__2x__own-tiny__s0-########
GFL-Res101, the teacher, is trained first, once: /tmp/cache/teachers/gfl101__teacher__own__own-tiny__s0-########
gfl101__teacher__own__own-tiny__s0-########: started
gfl101__teacher__own__own-tiny__s0-########: done, mAP 70.0
fcos50__baseline__2x__own-tiny__s0-########: started
gfl101-fcos50__mse-w10__2x__own-tiny__s0-########: started
gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: started
gfl101-fcos50__mse-w50__2x__own-tiny__s0-########: started
fcos50__baseline__2x__own-tiny__s0-########: done, mAP 20.0
gfl101-fcos50__mse-w10__2x__own-tiny__s0-########: done, mAP 31.0
gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: done, mAP 33.0
gfl101-fcos50__mse-w50__2x__own-tiny__s0-########: done, mAP 35.0
"""
    )
    assert plain(type_("report").out) == SWEEP


def test_a_sweep_shows_its_own_runs_only(type_, worker, own, plain):
    worker()
    type_("train", "--loss", "pkd", "--seed", "4", *TINY, own)
    type_("sweep", "--loss", "mse", "--weights", "10", *TINY, own)
    said = type_("sweep", "--loss", "mse", "--weights", "30,50", *TINY, own)
    assert "weight 10" not in said.out
    assert "pkd" not in said.out
    assert [line.split()[-1] for line in said.out.splitlines() if "mse, weight" in line] == ["+13.0", "+15.0"]


def test_a_failed_run_does_not_stop_the_others_and_is_shown_as_such(type_, worker, own, plain, here):
    worker(mse_w30="fails")
    said = type_("sweep", "--loss", "mse", "--weights", "10,30,50", *TINY, own)
    assert said.code == 1
    assert plain(said.out).splitlines()[-1] == (
        "failed: gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: the loss is NaN at step 3."
    )
    assert [line.split()[-1] for line in said.out.splitlines() if "mse, weight" in line] == ["+11.0", "+15.0"]
    assert """\
gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: failed
the loss is NaN at step 3.
Try a smaller --weight.
log: /tmp/here/runs/gfl101-fcos50__mse-w30__2x__own-tiny__s0-########/log.txt
""" in plain(said.err)
    worker()
    again = type_("sweep", "--loss", "mse", "--weights", "10,30,50", *TINY, own)
    assert (again.code, plain(again.out)) == (0, SWEEP)
    # Only what was missing ran.
    assert [line for line in plain(again.err).splitlines() if "started" in line] == [
        "gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: started"
    ]


def test_a_killed_worker_is_told_with_its_signal_and_the_end_of_its_log(type_, worker, own, plain, here):
    worker(pkd_w10="dies")
    said = type_("train", *TINY, own)
    assert (said.code, said.out) == (1, "")
    cause = "killed by SIGKILL; on Linux most often for want of memory: try a smaller --batch-size or --workers 0"
    assert plain(said.err).endswith(f"""\
gfl101-fcos50__pkd-w10__2x__own-tiny__s0-########: failed
{cause}
  | the worker of gfl101-fcos50__pkd-w10__2x__own-tiny__s0-######## is dies
log: /tmp/here/runs/gfl101-fcos50__pkd-w10__2x__own-tiny__s0-########/log.txt
""")
    assert states(here / "runs") == {"gfl101-fcos50__pkd-w10": ("failed", cause)}


def test_a_student_whose_teacher_failed_is_not_started(type_, worker, own, plain, here):
    worker(teacher="fails")
    said = type_("sweep", "--loss", "mse", "--weights", "10,30", *TINY, own)
    assert said.code == 1
    # The baseline needs no teacher: it goes on without the others.
    lacking = "not started, since gfl101__teacher__own__own-tiny__s0-######## failed"
    assert plain(said.err).splitlines()[-4:] == [
        f"gfl101-fcos50__mse-w10__2x__own-tiny__s0-########: {lacking}",
        f"gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: {lacking}",
        "fcos50__baseline__2x__own-tiny__s0-########: started",
        "fcos50__baseline__2x__own-tiny__s0-########: done, mAP 20.0",
    ]
    assert plain(said.out).splitlines()[-2:] == [
        f"queued: gfl101-fcos50__mse-w10__2x__own-tiny__s0-########: {lacking}",
        f"queued: gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: {lacking}",
    ]
    assert {name: state for name, (state, _) in states(here / "runs").items()} == {
        "fcos50__baseline": "done",
        "gfl101-fcos50__mse-w10": "queued",
        "gfl101-fcos50__mse-w30": "queued",
    }


def test_what_the_machine_lacks_is_exit_code_3(type_, worker, own):
    worker(teacher="lacks")
    assert type_("train", *TINY, own).code == 3


TRAINED = """\
gfl101-fcos50__pkd-w10__2x__own-tiny__s0-########
┏━━━━━━━━━━━━━━━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┓
┃                    ┃  mAP ┃ AP50 ┃ AP75 ┃ AP_S ┃ AP_M ┃ AP_L ┃
┡━━━━━━━━━━━━━━━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━┩
│ teacher GFL-Res101 │ 70.0 │ 90.0 │ 71.0 │    - │ 70.0 │ 75.0 │
│ pkd FCOS-Res50     │ 31.0 │ 51.0 │ 32.0 │    - │ 31.0 │ 36.0 │
└────────────────────┴──────┴──────┴──────┴──────┴──────┴──────┘
"""


def test_train_ends_with_six_metrics_beside_the_teachers(type_, worker, own, plain):
    worker()
    folder = "/tmp/here/runs/gfl101-fcos50__pkd-w10__2x__own-tiny__s0-########\n"
    said = type_("train", *TINY, own)
    assert (said.code, plain(said.out)) == (0, TRAINED + folder)
    again = type_("train", *TINY, own)
    assert (again.code, plain(again.out)) == (0, TRAINED + folder)
    assert [line.split(": ")[1] for line in again.err.splitlines()] == ["done before", "done before"]


def test_quiet_prints_the_result_alone(type_, worker, own, plain):
    worker()
    said = type_("train", "--quiet", *TINY, own)
    assert (said.code, plain(said.out), said.err) == (0, TRAINED, "")


def test_quiet_still_says_why_a_run_failed(type_, worker, own):
    worker(pkd_w10="fails")
    said = type_("train", "-q", *TINY, own)
    assert (said.code, said.out) == (1, "")
    assert "the loss is NaN at step 3.\nTry a smaller --weight.\n" in said.err


def test_a_baseline_known_stands_beside(type_, worker, own):
    worker()
    type_("train", "--loss", "none", *TINY, own)
    rows = [line for line in type_("train", *TINY, own).out.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == [
        "teacher GFL-Res101",
        "baseline FCOS-Res50",
        "pkd FCOS-Res50",
    ]


def test_a_smoke_run_says_so_and_stands_beside_no_whole_run(type_, worker, own):
    worker()
    type_("train", "--loss", "none", *TINY, own)
    said = type_("train", "--max-iters", "2", "-q", *TINY, own)
    assert "baseline" not in said.out
    assert said.out.endswith(
        "a smoke run (2 steps, 8 images): these numbers show that the code runs, and nothing else\n"
    )


def test_json_is_one_object_a_line_and_nothing_else(type_, worker, own):
    worker(mse_w30="fails")
    said = type_("sweep", "--weights", "10,30", "--json", *TINY, own)
    assert said.code == 1
    events = [json.loads(line) for line in said.out.splitlines()]
    sharing = events.pop(0)
    assert sharing["event"] == "sharing"
    assert [run.split("__")[1] for run in sharing["runs"]] == ["baseline", "mse-w10", "mse-w30"]
    kinds = [(event["event"], event["run"].split("__")[1]) for event in events if event["event"] != "status"]
    assert kinds == [
        *(("began", "teacher"), ("ended", "teacher")),
        *(("began", "baseline"), ("began", "mse-w10"), ("began", "mse-w30")),
        *(("ended", "baseline"), ("ended", "mse-w10"), ("ended", "mse-w30")),
        *(("result", "baseline"), ("result", "teacher"), ("result", "mse-w10")),
    ]
    ended = {event["run"].split("__")[1]: event for event in events if event["event"] == "ended"}
    assert (ended["mse-w10"]["code"], ended["mse-w10"]["error"]) == (0, None)
    assert ended["mse-w30"]["code"] == 1
    assert ended["mse-w30"]["error"].startswith("the loss is NaN at step 3.\nTry a smaller --weight.\nlog: ")
    assert {e["run"].split("__")[1]: e["metrics"]["mAP"] for e in events if e["event"] == "result"} == {
        "baseline": 20.0,
        "teacher": 70.0,
        "mse-w10": 31.0,
    }
    assert said.err == ""


# Ctrl-C


def press_at_work(folder):
    """Press Ctrl-C as soon as a run there is at work."""

    def press():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any((read_json(path) or {}).get("phase") == "train" for path in folder.glob("*/status.json")):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    return thread


def test_ctrl_c_leaves_a_run_that_goes_on_later(type_, worker, own, plain, here):
    worker(mse_w10="waits")
    thread = press_at_work(here / "runs")
    said = type_("sweep", "--weights", "10,30", *TINY, own)
    thread.join()
    assert (said.code, said.out) == (130, "")
    assert plain(said.err).splitlines()[-3:] == [
        "gfl101-fcos50__mse-w10__2x__own-tiny__s0-########: stopped",
        "gfl101-fcos50__mse-w30__2x__own-tiny__s0-########: stopped",
        "stopped; type the same command again to go on.",
    ]
    assert {name: state for name, (state, _) in states(here / "runs").items()} == {
        "fcos50__baseline": "done",
        "gfl101-fcos50__mse-w10": "interrupted",
        "gfl101-fcos50__mse-w30": "interrupted",
    }
    worker()
    assert type_("sweep", "--weights", "10,30", *TINY, own).code == 0


def test_a_run_that_is_at_work_elsewhere_is_left_alone(type_, worker, own, here):
    worker()
    type_("train", "-q", *TINY, own)
    (run,) = (here / "runs").iterdir()
    (run / "result.json").unlink()
    status = read_json(run / "status.json")
    (run / "status.json").write_text(json.dumps({**status, "state": "running", "pid": os.getpid()}))
    said = type_("train", "-q", *TINY, own)
    assert said.code == 2
    assert said.err == (
        f"error: {run.name} is running already: process {os.getpid()} on {status['host']}.\n"
        "Wait for it, or stop it first.\n"
    )


# Students that share a teacher


def test_nobody_shares_where_it_is_refused(type_, worker, own, plain):
    worker()
    said = type_("sweep", "--loss", "mse", "--weights", "10,30", "--no-share-teacher", *TINY, own)
    assert said.code == 0
    assert "together" not in said.err
    starts = [line.split("__")[1] for line in said.err.splitlines() if line.endswith(": started")]
    assert starts == ["baseline", "teacher", "mse-w10", "mse-w30"]


def test_one_student_and_its_baseline_share_where_it_is_asked_for(type_, worker, own, plain):
    worker()
    words = ("sweep", "--loss", "pkd", *TINY, own, "--dry-run", "--json")
    alone, shared = (
        [json.loads(line) for line in type_(*words, *more).out.splitlines()] for more in ((), ("--share-teacher",))
    )
    assert [one["shared_with"] for one in alone] == [[], [], []]
    baseline, teacher, student = shared
    assert (baseline["shared_with"], student["shared_with"]) == ([student["run"]], [baseline["run"]])
    assert teacher["shared_with"] == []
    assert baseline["argv"] == student["argv"] == [*alone[0]["argv"][:-1], baseline["dir"], student["dir"]]


def test_a_dry_run_says_who_shares(type_, own, plain):
    said = type_("sweep", "--loss", "mse", "--weights", "10,30", "--dry-run", *TINY, own)
    assert (said.code, said.err) == (0, "")
    assert plain(said.out).startswith(
        "3 runs train together, so that GFL-Res101 sees each image once:\n"
        "  fcos50__baseline__2x__own-tiny__s0-########\n"
        "  gfl101-fcos50__mse-w10__2x__own-tiny__s0-########\n"
        "  gfl101-fcos50__mse-w30__2x__own-tiny__s0-########\n"
    )


def test_on_a_cluster_nobody_shares(type_, own):
    words = ("sweep", "--weights", "10,30", *TINY, own, "--launcher", "slurm", "--dry-run")
    said = type_(*words, "--share-teacher")
    assert said.code == 2
    assert said.err == (
        "error: --share-teacher: not for --launcher slurm, where each run is a task of its own.\nLeave it out.\n"
    )
    assert "together" not in type_(*words).out


def test_a_killed_group_is_started_again_without_those_that_have_ended(type_, worker, own, plain):
    worker(mse_w30="dies")
    said = type_("sweep", "--weights", "10,30", "--retries", "1", *TINY, own)
    assert said.code == 1
    news = [line for line in plain(said.err).splitlines() if "mse-w" in line or "baseline" in line]
    news = [line for line in news if not line.startswith("  ") and "log: " not in line]
    lost = "gfl101-fcos50__mse-w30__2x__own-tiny__s0-########"
    assert [line for line in news if line.startswith(lost)][1].endswith("started again, for the last time")
    assert len([line for line in news if line.endswith("baseline__2x__own-tiny__s0-########: started")]) == 1
    assert {name: state for name, (state, _) in states(own.parent.parent / "here" / "runs").items()} == {
        "fcos50__baseline": "done",
        "gfl101-fcos50__mse-w10": "done",
        "gfl101-fcos50__mse-w30": "failed",
    }


# A dry run


def test_a_dry_run_writes_nothing(type_, own, here):
    before = sorted(here.parent.rglob("*"))
    said = type_("sweep", "--weights", "10,30", "--dry-run", "--scale", "tiny")
    assert (said.code, said.err) == (0, "")
    assert sorted(here.parent.rglob("*")) == before


def test_a_dry_run_and_the_run_agree(type_, worker, own, here, plain):
    worker()
    said = type_("sweep", "--weights", "10,30", "--dry-run", "--json", *TINY, own)
    assert said.code == 0
    planned = [json.loads(line) for line in said.out.splitlines()]
    assert [one["state"] for one in planned] == ["to do"] * 4
    type_("sweep", "--weights", "10,30", "-q", *TINY, own)
    made = [path for folder in (here / "runs", here.parent / "cache" / "teachers") for path in folder.iterdir()]
    assert {one["dir"] for one in planned} == {str(path) for path in made}
    import yaml

    for one in planned:
        with open(f"{one['dir']}/recipe.yaml") as file:
            assert yaml.safe_load(file) == one["recipe"]
    again = type_("sweep", "--weights", "10,30", "--dry-run", "--json", *TINY, own)
    assert [json.loads(line)["state"] for line in again.out.splitlines()] == ["done"] * 4


def test_a_dry_run_as_a_table(type_, own, plain):
    knobs = ("--epochs", "6", "--set", "student.lr=0.01", "--set", "scale.lr_factor=4")
    knobs += ("--set", "scale.teacher.epochs=12", "--set", "scale.teacher.lr.SGD=0.01")
    said = type_("train", "--dry-run", *knobs, *TINY, own)
    table, recipe = plain(said.out).split("version: 1\n")
    assert (
        table
        == """\
2 runs
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━┳━━━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━┓
┃ run                                               ┃ role    ┃ epochs ┃ steps ┃ lr    ┃ state ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━╇━━━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━┩
│ gfl101__teacher__own__own-tiny__s0-########       │ teacher │ 12     │ 12    │ 0.005 │ to do │
│ gfl101-fcos50__pkd-w10__2x__own-tiny__s0-######## │ distill │ 6      │ 6     │ 0.02  │ to do │
└───────────────────────────────────────────────────┴─────────┴────────┴───────┴───────┴───────┘
"""
    )
    assert recipe.startswith("role: distill\n")
