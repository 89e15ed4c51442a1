"""Looking costs nothing: no torch, no writing, and what is shown is what there is."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pkdcli.recipe import library
from pkdcli.runs.store import write_json

HEAVY = ("torch", "torchvision", "mmdet", "mmrazor", "mmcv", "matplotlib")


def imported(pkd_words, here) -> set[str]:
    """The top-level packages that a command imports, as Python itself tells."""
    command = [sys.executable, "-X", "importtime", "-m", "pkdcli", *pkd_words]
    process = subprocess.run(command, cwd=here, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    lines = [line for line in process.stderr.splitlines() if line.startswith("import time:")]
    assert len(lines) > 100
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "train --help",
        "list",
        "list runs",
        "show gfl101-fcos50",
        "train --dry-run",
        "sweep --loss mse --weights 10,30,50 --scale tiny --dry-run",
        "report",
        "visualize --pair gfl101-fcos50 --scale tiny --untrained --dry-run",
    ],
)
def test_looking_imports_no_torch(words, here):
    found = imported(words.split(), here)
    assert found.isdisjoint(HEAVY)
    if words.endswith("--help"):
        # What keeps its processor time below 0.3 seconds. Typer itself imports pydantic for a command's help.
        assert found.isdisjoint({"pandas", "numpy", "yaml", "mmengine", "hotcoco"})
        assert words != "--help" or "pydantic" not in found


# The commands of the card, word for word, in an empty folder without COCO


def card(words, here):
    """Exit code, stdout and stderr of a command in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-m", "pkdcli", *words.split()],
        cwd=here,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize("words", ["train --pair gfl101-fcos50", "sweep --loss mse --weights 10,30,50"])
def test_without_coco_the_command_to_type_is_told(words, here):
    coco = here / "data" / "coco"
    assert card(words, here) == (
        3,
        "",
        "error: data set coco is not there; expected:\n"
        f"  {coco}/annotations/instances_train2017.json\n"
        f"  {coco}/train2017\n"
        f"  {coco}/annotations/instances_val2017.json\n"
        f"  {coco}/val2017\n"
        "Download train2017.zip, val2017.zip and annotations_trainval2017.zip from https://cocodataset.org/#download "
        "and unpack them there. Or set PKD_COCO to the folder where they are.\n"
        "Without COCO, the same experiment runs on this machine in minutes:\n"
        f"  pkd {words} --scale tiny\n",
    )
    assert list(here.iterdir()) == []
    assert not (here.parent / "cache").exists()


def test_the_cards_report_without_runs(here):
    line = f"No runs in {here}/runs yet. Start with: pkd sweep --loss mse --weights 10,30,50 --scale tiny\n"
    assert card("report", here) == (0, line, "")


def test_the_tiny_command_leaves_out_scale_and_data_and_keeps_the_rest(type_):
    said = type_("train", "--scale=paper", "--loss", "mse", "--data", "coco", "--weight", "30", "--set", "config.a=b c")
    assert said.code == 3
    assert said.err.splitlines()[-1] == "  pkd train --loss mse --weight 30 --set 'config.a=b c' --scale tiny"


def test_a_dry_run_without_coco_works(type_, here):
    said = type_("train", "--dry-run")
    assert said.code == 0
    assert "gfl101-fcos50__pkd-w10__2x__coco-paper__s0-" in said.out
    assert "\nclasses:" not in said.out
    assert "  - toothbrush\n" in said.out
    files = {path.relative_to(here.parent).parts[:2] for path in here.parent.rglob("*") if path.is_file()}
    assert files <= {("cache", "YAPF")}  # what a library of mmengine's keeps of its own


@pytest.mark.parametrize("words", ["train", "sweep --loss pkd", "reproduce table7 --only gfl101-gfl50"])
@pytest.mark.parametrize(
    ("typed", "saved"),
    [
        ("", (10.0, None)),
        ("--checkpoint-minutes 0", (0.0, None)),
        ("--checkpoint-minutes 0.5 --checkpoint-iters 200", (0.5, 200)),
    ],
)
def test_training_states_are_saved_as_often_as_typed(type_, monkeypatch, words, typed, saved):
    from pkdcli.experiment import execute as experiment

    seen, plan = [], experiment.plan
    monkeypatch.setattr(experiment, "plan", lambda *args: seen.extend(plan(*args)) or plan(*args))
    said = type_(*words.split(), "--scale", "tiny", "--dry-run", *typed.split())
    assert said.code == 0, said.err
    assert {one.recipe.role for one in seen} >= {"teacher", "distill"}
    assert {(one.recipe.checkpoint_minutes, one.recipe.checkpoint_iters) for one in seen} == {saved}


# list, show, doctor


def test_list_names_what_the_folders_hold(type_):
    said = type_("list", "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    found = {kind: [row["name"] for row in rows if row["list"] == kind] for kind in {row["list"] for row in rows}}
    folders = {"data": "datasets"}
    assert found == {
        kind: library.names(folders.get(kind, kind))
        for kind in ("pairs", "detectors", "losses", "schedules", "data", "scales", "tables", "launchers")
    }
    detectors = {row["name"]: row["box AP on COCO"] for row in rows if row["list"] == "detectors"}
    assert {row["kind"] for row in rows if row["list"] == "detectors"} == {"one-stage", "two-stage"}
    assert (detectors["gfl101"], detectors["fcos50"]) == (44.7, 38.7)


def test_list_of_losses_and_of_those_that_no_recipe_can_name(type_):
    named, said = type_("list", "losses", "--json"), type_("list", "losses", "--all", "--json")
    assert said.out.startswith(named.out)
    others = [json.loads(line) for line in said.out[len(named.out) :].splitlines()]
    assert {row["name"]: row["why"] for row in others} == library.unavailable_losses()
    assert "CRDLoss" in type_("list", "losses", "--all").out
    refused = type_("list", "pairs", "--all")
    assert (refused.code, refused.err) == (
        2,
        "error: --all: there is no more to say of pairs.\nIt belongs to: pkd list losses.\n",
    )


def test_list_of_one_kind(type_):
    said = type_("list", "schedules")
    assert (said.code, said.err) == (0, "")
    assert (
        said.out
        == """\
schedules
┏━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━┓
┃ name  ┃ epochs ┃ milestones ┃ multi_scale ┃
┡━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━┩
│ 1x    │     12 │ 8, 11      │ -           │
│ 2x    │     24 │ 16, 22     │ -           │
│ 2x+ms │     24 │ 16, 22     │ 480, 800    │
└───────┴────────┴────────────┴─────────────┘
"""
    )


def test_list_of_runs(type_, here):
    assert type_("list", "runs").out.endswith("no runs yet: pkd train --pair gfl101-fcos50 --scale tiny\n")
    write_json(here / "runs" / "a" / "status.json", {"state": "failed"})
    assert type_("list", "runs", "--json").out == '{"list": "runs", "run": "a", "state": "failed", "mAP": null}\n'
    assert type_("list", "runs", "--json", "--runs", "elsewhere").out == ""


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


def test_doctor_tells_what_is_there_and_what_is_not(type_, engine):
    line = '{"what": "torch", "found": "2.9", "ok": true, "remedy": ""}'
    engine("pkdcli.engine.worker.doctor", f"print({line!r}); print('noise')")
    findings = {f["what"]: f for f in map(json.loads, type_("doctor", "--json").out.splitlines())}
    assert findings["torch"] == {"what": "torch", "found": "2.9", "ok": True, "remedy": ""}
    assert findings["data coco"]["ok"] is None
    assert "cocodataset.org" in findings["data coco"]["remedy"]
    assert findings["mmdet"]["found"] == "3.3.0"
    assert type_("doctor").code == 0
    engine("pkdcli.engine.worker.doctor", "import sys; sys.exit('Traceback\\nImportError: libc')")
    said = type_("doctor", "--json")
    assert said.code == 3
    assert json.loads(said.out.splitlines()[-1]) == {
        "what": "torch",
        "found": "the stack does not start",
        "ok": False,
        "remedy": "ImportError: libc",
    }


def test_doctor_with_the_real_stack(here):
    code, out, err = card("doctor --json", here)
    assert (code, err) == (0, "")
    findings = {finding["what"]: finding for finding in map(json.loads, out.splitlines())}
    assert {"python", "torch", "cache", "runs", "data shapes", "data coco"} <= findings.keys()
    assert findings["mmcv operators"]["ok"] is findings["mmdet and mmrazor"]["ok"] is True


# Terminals, pipes, shells


def test_no_colour_where_none_is_wanted(type_):
    for words in (["list"], ["train", "--loss", "x"], ["train", "--dry-run"]):
        said = type_(*words)
        assert "\x1b" not in said.out + said.err


def test_piped_output_is_not_folded(type_, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    said = type_("train", "--dry-run", "--scale", "tiny")
    assert re.search(r"│ gfl101-fcos50__pkd-w10__\S+-[0-9a-f]{8} ", said.out)


def test_a_reader_that_goes_away_is_no_error(here):
    """`pkd list --json | head -1`"""
    command = f"{sys.executable} -m pkdcli list --json | head -1"
    process = subprocess.run(command, cwd=here, shell=True, capture_output=True, text=True, check=True)
    assert json.loads(process.stdout)["list"] == "pairs"
    assert process.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(type_, shell, monkeypatch):
    # Otherwise Typer asks which shell started this process, and under a test runner that may be none.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    said = type_("--show-completion", shell)
    assert said.code == 0
    assert "_PKD_COMPLETE" in said.out


def test_completion_of_names(here, monkeypatch, type_):
    monkeypatch.setenv("_PKD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "pkd train --pair gfl101-f")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert type_().out.split() == [name for name in library.names("pairs") if name.startswith("gfl101-f")]


def test_version(type_):
    from pkdcli import __version__

    said = type_("--version")
    assert (said.code, said.out) == (0, f"{__version__}\n")
