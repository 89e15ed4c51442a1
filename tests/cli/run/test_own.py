"""Files of the user's own on the command line: found from any folder, proven before a teacher is trained, kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

DETECTOR = "name: {name}\ntitle: {name}\nkind: one-stage\nconfig: {config}\nlr: 0.01\n"
LOSS = "name: mine\ntitle: Mine\nsummary: s\ntype: {type}\nweight: {{default: 1}}\n"
HOOK = """\
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class TellHook(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        print("TOLD", runner.iter, flush=True)
"""


@pytest.fixture
def files(tmp_path) -> Path:
    """recipes/pair.yaml names own.yaml beside it, which names own.py and needs own_hooks.py."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "own.py").write_text('_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]\n')
    (folder / "own.yaml").write_text(DETECTOR.format(name="own18", config="own.py") + "imports: [own_hooks]\n")
    (folder / "own_hooks.py").write_text(HOOK)
    (folder / "pair.yaml").write_text("name: gfl101-own\nteacher: gfl101\nstudent: own.yaml\nschedule: 1x\n")
    return folder


def test_a_pair_names_files_beside_it_from_any_folder(type_, files, here):
    for pair in (files / "pair.yaml", Path("../recipes/pair.yaml")):
        answer = type_("train", "--pair", pair, "--scale", "tiny", "--dry-run")
        assert answer.code == 0, answer.err
        assert "gfl101-own__pkd-w10__1x__shapes-tiny__s0-" in answer.out.replace("\n", "")


def said(answer) -> str:
    """What a command said of the run, without what the check says of the data."""
    return "".join(line for line in answer.err.splitlines(keepends=True) if not line.startswith("warning: "))


def plan(type_, *words):
    answer = type_("train", "--scale", "tiny", *words, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_a_changed_network_is_not_answered_by_the_old_ones_run(type_, files, own, worker):
    worker()
    words = ("--pair", files / "pair.yaml", "--loss", "none", "--data", own)
    assert type_("train", "--scale", "tiny", *words, "-q").code == 0
    (done,) = plan(type_, *words)
    assert done["state"] == "done"
    config = files / "own.py"
    config.write_text(config.read_text() + "model = dict(backbone=dict(depth=34))\n")
    (changed,) = plan(type_, *words)
    assert changed["state"] == "to do"
    assert changed["run"] != done["run"]
    kept = yaml.safe_load((Path(done["dir"]) / "recipe.yaml").read_text())["student"]
    assert "'depth': 18" in kept["config_content"]
    assert "'depth': 34" in changed["recipe"]["student"]["config_content"]


def test_code_of_the_users_own_is_said_to_be_code_until_there_is_a_run(type_, files, own, worker):
    words = ("train", "--scale", "tiny", "--pair", files / "pair.yaml", "--loss", "none", "--data", own)
    lines = [
        f"note: {files}/own.py is Python, and was run to read it.",
        f"note: own_hooks, in {files}, is Python, and will be imported by the run.",
    ]
    for _ in range(2):
        assert [line for line in said(type_(*words, "--dry-run")).splitlines() if " is Python" in line] == lines
    worker()
    assert [line for line in said(type_(*words)).splitlines() if " is Python" in line] == lines
    assert " is Python" not in type_(*words).err
    assert " is Python" not in type_("train", "--scale", "tiny", "--loss", "none", "--data", own, "--dry-run").err


def test_a_changed_module_is_another_run_too(type_, files, own):
    words = ("--pair", files / "pair.yaml", "--loss", "none", "--data", own)
    (before,) = plan(type_, *words)
    (files / "own_hooks.py").write_text(HOOK + "# another\n")
    (after,) = plan(type_, *words)
    assert before["run"] != after["run"]


@pytest.mark.parametrize(
    "setting",
    ["imports=[own_hooks]", "config.custom_imports={imports: [own_hooks]}", "config.custom_imports.imports=own_hooks"],
)
def test_modules_that_are_set_are_those_of_the_working_folder(type_, files, here, monkeypatch, setting):
    monkeypatch.chdir(files)
    (record,) = plan(type_, "--loss", "none", "--set", setting)
    (one,) = record["recipe"]["imports"]
    assert (one["module"], one["folder"], len(one["sha256"])) == ("own_hooks", str(files), 64)
    assert record["recipe"]["config"] == {}


def test_what_is_no_module_is_refused_with_what_to_write(type_, files):
    detector = files / "own.yaml"
    detector.write_text(detector.read_text().replace("[own_hooks]", "[./own_hooks.py]"))
    answer = type_("train", "--pair", files / "pair.yaml", "--scale", "tiny", "--dry-run")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"error: {detector}: imports: './own_hooks.py' is not the name of a module, such as my_hooks or package.hooks: "
        "write own_hooks.\n"
    )


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_module_that_is_nowhere_is_refused_before_anything_is_made(type_, files, here, more):
    (files / "own_hooks.py").unlink()
    answer = type_("train", "--pair", files / "pair.yaml", "--scale", "tiny", *more)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "error: imports: there is no module own_hooks: not beside the recipe that names it, in the working folder or "
        "among what is installed.\nPut it beside the recipe, or its folder on PYTHONPATH.\n"
    )
    assert not (here.parent / "cache").exists()
    assert not (here / "runs").exists()


def test_the_module_of_a_loss(type_, files, here):
    loss = files / "loss.yaml"
    loss.write_text(LOSS.format(type="nowhere.losses:Mine"))
    answer = type_("train", "--loss", loss, "--scale", "tiny")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "error: loss mine: type: there is no module nowhere.losses: not beside the recipe, in the working folder or "
        "among what is installed.\nWrite module:Class; put the module beside the recipe, or its folder on PYTHONPATH.\n"
    )
    assert not (here.parent / "cache").exists()
    (files / "my_losses.py").write_text("x = 1\n")
    loss.write_text(LOSS.format(type="my_losses:Mine"))
    *_, record = plan(type_, "--loss", loss)
    (module,) = record["recipe"]["loss"]["imports"]
    assert (module["module"], module["folder"]) == ("my_losses", str(files))
    (files / "my_losses.py").write_text("x = 2\n")
    assert plan(type_, "--loss", loss)[-1]["run"] != record["run"]


def test_a_loss_that_can_not_be_imported_is_found_before_its_teacher_is_trained(pkd, files, micro, tmp_path):
    (files / "loss.yaml").write_text(LOSS.format(type="own_hooks:Mine"))
    answer = pkd("train", "--loss", files / "loss.yaml", "--scale", "tiny", "--data", micro)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"note: own_hooks, in {files}, is Python, and will be imported by the run.\n"
        "error: loss 'own_hooks:Mine' cannot be imported: module 'own_hooks' has no attribute 'Mine'.\n"
        "Write module:Class; the module must be on PYTHONPATH.\n"
    )
    assert not (tmp_path / "cache" / "teachers").exists()
    assert not (tmp_path / "runs").exists()


def test_mixed_precision_without_a_gpu(type_, own, monkeypatch):
    from pkdcli.cli import plan

    monkeypatch.setattr(plan, "no_gpu_here", lambda: True)
    answer = type_("train", "--scale", "tiny", "--data", own, "--amp", "--dry-run")
    assert answer.code == 0
    assert said(answer) == "note: --amp needs a GPU, and this machine has none: it would be refused here.\n"
    words = ("--launcher", "slurm", "--procs", "2", "--dry-run")
    answer = type_("train", "--scale", "tiny", "--data", own, "--amp", *words)
    assert (answer.code, answer.out) == (2, "")
    remedy = "Add --gpus-per-node 1, or more.\n"
    assert said(answer) == f"error: --amp needs a GPU, and the launcher asks for none.\n{remedy}"
    half = ("--set", "teacher_speed.precision=float16")
    answer = type_("train", "--scale", "tiny", "--data", own, *half, *words)
    refusal = "error: teacher_speed.precision=float16 needs a GPU, and the launcher asks for none.\n"
    assert said(answer).startswith(refusal)
    answer = type_("train", "--scale", "tiny", "--data", own, "--amp", "--launcher", "slurm", "--gpus-per-node", "1",
                   "--memory", "4G", "--dry-run")  # fmt: skip
    assert (answer.code, said(answer)) == (0, "")


def test_a_key_of_a_detector_that_does_nothing_is_said(type_, own, here):
    text = DETECTOR.format(name="small", config="retinanet/retinanet_r50_fpn_1x_coco.py")
    (here / "small.yaml").write_text(text + "set: {backbone.init_cfg.checkpoint: 'torchvision://resnet18'}\n")
    (here / "pair.yaml").write_text("name: gfl101-small\nteacher: gfl101\nstudent: small.yaml\nschedule: 1x\n")
    answer = type_("train", "--pair", "pair.yaml", "--data", own, "--no-pretrained", "--dry-run")
    assert answer.code == 0
    assert said(answer) == "note: small: set backbone.init_cfg.checkpoint is left out: nothing is pretrained here.\n"


def test_the_number_of_processes_is_no_part_of_a_tiny_runs_name(type_, own):
    one, two, four = (plan(type_, "--loss", "none", "--data", own, "--procs", n)[0] for n in (1, 2, 4))
    assert one["run"] == two["run"] == four["run"]
    assert one["recipe"]["batch"] == four["recipe"]["batch"] == 8
    answer = type_("train", "--loss", "none", "--scale", "tiny", "--data", own, "--procs", "3", "--dry-run")
    assert (answer.code, said(answer)) == (
        2, "error: batch: 8 images can't be shared evenly by 3 processes.\nGive --batch-size a multiple of 3.\n"
    )  # fmt: skip


def test_a_run_of_ones_own_files_goes_on_and_is_evaluated_from_anywhere(lab, files, tmp_path):
    """The whole way: a hook told in each step, in one process with another student, resumed, evaluated elsewhere."""
    knobs = ("--data", lab.data, "--scale", "tiny", "--epochs", "1", "--batch-size", "8", "--workers", "0",
             "--set", "scale.teacher.epochs=1")  # fmt: skip
    tell = ("--set", "config.default_hooks.tell={type: TellHook}")
    runs = tmp_path / "runs"
    words = ("--pair", files / "pair.yaml", *knobs, *tell, "--runs", runs)
    answer = lab.pkd("sweep", "--loss", "pkd", "--share-teacher", *words)
    assert answer.code == 0, answer.err
    folders = sorted(runs.glob("*own*"))
    assert [folder.name.split("__")[1] for folder in folders] == ["pkd-w10", "baseline"]
    for folder in folders:
        assert (folder / "log.txt").read_text().count("TOLD") == 2
        (folder / "result.json").unlink()
    shutil.rmtree(folders[0])
    shutil.rmtree(files)  # as on another machine
    runs = runs.rename(tmp_path / "moved")
    folders = [runs / folder.name for folder in folders]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    answer = lab.pkd("resume", "--all", "--runs", runs, cwd=elsewhere)
    assert answer.code == 0, answer.err
    copies = "modules that are not beside their recipes as they were: the run's own copies are used: own_hooks"
    assert copies in (folders[1] / "log.txt").read_text()
    answer = lab.pkd("eval", folders[1], "--json", cwd=elsewhere)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["metrics"] == json.loads((folders[1] / "result.json").read_text())["metrics"]
