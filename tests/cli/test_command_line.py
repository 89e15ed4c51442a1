"""Looking costs nothing: no torch, no writing, and what is shown is what there is."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from asking import card

from pkdcli.recipe import library

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


def test_a_look_at_coco_names_no_experiment(here):
    """Only an experiment can be had without it, so only there another is named."""
    code, _, said = card("data check coco", here)
    assert code == 3
    assert said.endswith(
        "Download train2017.zip, val2017.zip and annotations_trainval2017.zip from https://cocodataset.org/#download "
        "and unpack them there. Or set PKD_COCO to the folder where they are.\n"
    )


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
