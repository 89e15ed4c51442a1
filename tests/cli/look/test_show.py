"""`pkd show`: recipes as they stand in their files, and runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pkdcli.recipe import library
from pkdcli.runs.store import write_json


def test_show_prints_the_file_itself(type_):
    path = library.path_of("losses", "norm-kl")
    assert type_("show", "norm-kl").out == f"# {path}\n{path.read_text()}"


def test_show_of_a_run_by_its_beginning(type_, here):
    run = here / "runs" / "gfl101-fcos50__pkd-w10__x"
    status = {"pid": os.getpid(), "host": socket.gethostname()}
    status |= {"state": "running", "phase": "train", "epoch": 2, "epochs": 6, "iter": 30, "iters": 600}
    write_json(run / "status.json", {**status, "train_loss": 1.25, "it_per_s": 2.0, "eta_s": 3700.4})
    said = type_("show", "gfl101-fcos50__")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{run.name}: epoch 2/6, step 30/600, loss 1.250, 2.00 it/s, 1:01:40 left\n"
    write_json(run / "status.json", {"state": "failed", "error": {"message": "the loss is NaN.", "hint": None}})
    (run / "log.txt").write_text("x")
    assert type_("show", run.name).out == f"{run.name}: failed\n  the loss is NaN.\n  log      {run}/log.txt\n"


def test_show_of_a_finished_run(type_, worker, own):
    worker()
    folder = Path(type_("train", "--scale", "tiny", "--data", own).out.splitlines()[-1])
    said = type_("show", folder.name)
    assert (
        said.out
        == f"""\
{folder.name}: done
┏━━━━━━━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━┓
┃            ┃  mAP ┃ AP50 ┃ AP75 ┃ AP_S ┃ AP_M ┃ AP_L ┃
┡━━━━━━━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━┩
│ GFL-Res101 │ 70.0 │ 90.0 │ 71.0 │    - │ 70.0 │ 75.0 │
│ FCOS-Res50 │ 31.0 │ 51.0 │ 32.0 │    - │ 31.0 │ 36.0 │
└────────────┴──────┴──────┴──────┴──────┴──────┴──────┘
  recipe   {folder}/recipe.yaml
  config   {folder}/config.py
  log      {folder}/log.txt
  weights  {folder}/student.pth
"""
    )


def test_show_of_a_run_by_its_folder_and_by_a_file_in_it(type_, here):
    run = here.parent / "elsewhere" / "a"
    write_json(run / "status.json", {"state": "failed", "error": {"message": "the loss is NaN.", "hint": None}})
    shown = "a: failed\n  the loss is NaN.\n"
    assert type_("show", run).out == type_("show", run / "status.json").out == shown
    assert type_("show", "../elsewhere/a/").out == shown


def test_show_of_a_teacher_by_its_beginning(type_, here):
    teacher = here.parent / "cache" / "teachers" / "mine__teacher"
    write_json(teacher / "status.json", {"state": "interrupted"})
    (teacher / "teacher.pth").touch()
    assert type_("show", "mine__t").out == f"mine__teacher: interrupted\n  weights  {teacher}/teacher.pth\n"


def test_show_of_a_dead_run_says_what_status_says(type_, here):
    write_json(here / "runs" / "a" / "status.json", {"state": "running", "phase": "train"})
    assert type_("show", "a").out == "a: failed\n  its process is gone\n"


def test_show_of_a_file_of_ones_own(type_, here):
    (here / "mine.yaml").write_text("name: mine\nconfig: x.py\n")
    (here / "weights.pth").touch()
    assert type_("show", "mine.yaml").out == "# mine.yaml\nname: mine\nconfig: x.py\n"
    said = type_("show", "weights.pth")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: weights.pth is no recipe: those are YAML files.\n`pkd show` takes a recipe's ")


def test_show_of_nothing(type_):
    said = type_("show", "gfl101-fcos51")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: unknown recipe or run 'gfl101-fcos51'.\nDid you mean 'gfl101-fcos50'? Allowed: ")
