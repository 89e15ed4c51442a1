"""What a user can get wrong: the words, the exit code, and never a traceback."""

from __future__ import annotations

import errno
import json
import os

import pytest

from pkdcli.recipe.library import names

PAIRS, LOSSES = ", ".join(names("pairs")), ", ".join(names("losses"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "train --pair gfl101-fcos51",
            f"error: unknown pair 'gfl101-fcos51'.\nDid you mean 'gfl101-fcos50'? Allowed: {PAIRS}.\n",
        ),
        ("train --loss pdk", f"error: unknown loss 'pdk'.\nDid you mean 'pkd'? Allowed: {LOSSES}.\n"),
        (
            "sweep --weights 30..1",
            "error: --weights: '30..1' is not a finite number of 0 or more.\n"
            "Example: --weights 10. A range is what `pkd tune` searches: --weight 1..100\n",
        ),
        ("train --weight abc", "error: --weight: 'abc' is not a finite number of 0 or more.\nExample: --weight 10\n"),
        ("train --weight -1", "error: --weight: '-1' is not a finite number of 0 or more.\nExample: --weight 10\n"),
        ("train --weight nan", "error: --weight: 'nan' is not a finite number of 0 or more.\nExample: --weight 10\n"),
        ("train --weight=inf", "error: --weight: 'inf' is not a finite number of 0 or more.\nExample: --weight 10\n"),
        (
            "train --checkpoint-minutes -5",
            "error: --checkpoint-minutes: '-5' is not a finite number of 0 or more.\n"
            "Example: --checkpoint-minutes 10\n",
        ),
        ("train --temperature 5", "error: loss pkd has no temperature.\nLosses with one: cwd, norm-kl.\n"),
        (
            "train --loss norm-kl --temperature 0",
            "error: --temperature: '0' is not a finite number above 0.\nExample: --temperature 10\n",
        ),
        ("train --schedule 3x", "error: unknown schedule '3x'.\nDid you mean '2x'? Allowed: 1x, 2x, 2x+ms.\n"),
        ("train --scale tinny", "error: unknown scale 'tinny'.\nDid you mean 'tiny'? Allowed: paper, tiny.\n"),
        (
            "train --data cococo",
            "error: unknown data set 'cococo'.\nDid you mean 'coco'? Allowed: coco, shapes.\n",
        ),
        ("train --data no.yaml", "error: there is no recipe file no.yaml.\nIt should describe a data set.\n"),
        (
            "train --set sed=1",
            "error: --set sed: the recipe has no key 'sed'.\nDid you mean 'seed'? Keys of the recipe: accumulate, amp, "
            "batch, checkpoint_iters, checkpoint_minutes, config, data, deterministic, distill_until, imports, init, "
            "keep_predictions, loss, max_iters, pair, pretrained, role, scale, schedule, seed, student, teacher, "
            "teacher_checkpoint, teacher_seed, teacher_speed, trackers, training, val_images, val_interval, "
            "workers.\n",
        ),
        (
            "train --set seed=x",
            "error: the resolved recipe: seed: should be a valid integer, unable to parse string as an integer, "
            "not 'x'.\n",
        ),
        (
            "sweep --weights 10,abc",
            "error: --weights: 'abc' is not a finite number of 0 or more.\nExample: --weights 10\n",
        ),
        (
            "sweep --weights ,",
            "error: --weights: an empty list.\nLeave it out, or give some values with commas between them.\n",
        ),
        (
            "sweep --pair ,",
            "error: --pair: an empty list.\nLeave it out, or give some values with commas between them.\n",
        ),
        (
            "sweep --seeds 0,1.5",
            "error: --seeds: '0,1.5' has a number that is not whole.\nExample: --seeds 0,1,2\n",
        ),
        ("sweep --temperatures 10", "error: --temperatures: mse has no temperature.\nLosses with one: cwd, norm-kl.\n"),
        (
            "list pears",
            "error: unknown kind of thing 'pears'.\nDid you mean 'pairs'? Allowed: data, detectors, launchers, losses, "
            "pairs, runs, scales, schedules, tables.\n",
        ),
        ("report --where a", "error: --where 'a' is not of the form key=value.\nFor example: --where scale=tiny.\n"),
    ],
)  # fmt: skip
def test_a_wrong_word(type_, here, words, said):
    answer = type_(*words.split())
    assert (answer.out, answer.err, answer.code) == ("", said, 2)
    assert list(here.parent.rglob("*")) == [here]


# An empty word, as an unset variable of a script leaves it, is never a default in silence.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--set", "seed="), "--set seed: there is no value behind the =.\nWrite null for none, "),
        (("train", "--set", "config.x= "), "--set config.x: there is no value behind the =.\n"),
        (("train", "--pair", ""), "unknown pair ''.\n"),
        (("train", "--loss", ""), "unknown loss ''.\n"),
        (("train", "--schedule", ""), "unknown schedule ''.\n"),
        (("train", "--scale", ""), "unknown scale ''.\n"),
        (("train", "--data", ""), "unknown data set ''.\n"),
        (("train", "--init", ""), "unknown way to start (--init) ''.\n"),
        (("train", "--levels", ""), "the resolved recipe: loss.levels: should be index, stride, or student:teacher "),
        (("train", "--weight", ""), "--weight: '' is not a finite number"),
        (("train", "--teacher-checkpoint", "", "--scale", "tiny"), "--teacher-checkpoint: an empty name.\nLeave "),
        (("train", "--teacher", ""), "unknown detector ''.\nAllowed: "),
        (("train", "--student", "", "--scale", "tiny"), "unknown detector ''.\nAllowed: "),
        (("train", "--recipe", ""), "--recipe: an empty name.\nLeave it out, or give a path.\n"),
        (("data", "import", ""), "PATH: an empty name.\n"),
        (("unpack", ""), "FILE.tar.gz: an empty name.\n"),
        (("predict", "RUN", "a.jpg", "-o", ""), "--output: an empty name.\nLeave it out, or give a folder; "),
        (("data", "check", "shapes", "--html", ""), "--html: an empty name.\n"),
        (("report", "--plot-dir", ""), "--plot-dir: an empty name.\n"),
        (("report", "--import", ""), "--import: an empty name.\n"),
        (("verify", "--image", ""), "--image: an empty name.\n"),
        (("train", "--launcher", ""), "unknown launcher ''.\n"),
        (("train", "--devices", ""), "--devices: an empty list.\nLeave it out, or give some values with commas"),
        (("train", "--devices", " "), "--devices: an empty list.\n"),
        (("train", "--runs", "", "--scale", "tiny"), "--runs: an empty name.\nLeave it out, or give a folder; "),
        (("train", "--tracker", ""), "--tracker: unknown tracker ''.\n"),
        (("train", "--launcher", "slurm", "--partition", ""), "launcher slurm: partition: should be a word as Slurm"),
        (("sweep", "--seeds", ""), "--seeds: an empty list.\n"),
        (("reproduce", "table8", "--only", ""), "--only: table table8: unknown pair ''.\n"),
        (("report", "--format", ""), "unknown --format ''.\n"),
        (("eval", ""), "give a run or a checkpoint file: this is an empty word.\n`pkd list runs` shows the runs.\n"),
        (("show", ""), "unknown recipe or run ''.\n"),
        (("cancel", ""), "no run begins with ''.\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_empty_word(type_, here, words, said):
    answer = type_(*words)
    assert (answer.out, answer.code) == ("", 2)
    assert answer.err.startswith(f"error: {said}")
    assert list(here.parent.rglob("*")) == [here]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss.weight=null", "the resolved recipe: (the whole): loss.weight: a distilled run needs one"),
        (
            "student.set.neck.num_outs=null",
            "the student (FCOS): its neck (FPN) can't be built to find its levels: TypeError",
        ),
        ("config=null", "the resolved recipe: config: should be a mapping of keys to values"),
        ("config=3", "the resolved recipe: config: should be a mapping of keys to values"),
        ("imports=null", "the resolved recipe: imports: should be a list of names of modules, such as [my_hooks]"),
        ("imports=my_hooks", "the resolved recipe: imports: should be a list of names of modules, such as [my_hooks]"),
        ("student.config=null", "the resolved recipe: student.config: should be a valid string"),
        ("student.config_content=x", "--set student.config_content: it is what the detector's config says, so this"),
        ("adapters=null", "--set adapters: it follows from the levels that are compared, so this would change nothing"),
        ("config.optim_wraper=1", "config: optim_wraper: there is no key 'optim_wraper'.\nDid you mean 'optim_w"),
    ],
)
def test_a_value_that_is_none_of_its_key(type_, own, setting, said):
    answer = type_("train", "--scale", "tiny", "--data", own, "--set", setting, "--dry-run")
    assert (answer.out, answer.code) == ("", 2)
    assert answer.err.startswith(f"error: {said}")


def test_a_loss_with_a_temperature_has_one(type_, own):
    words = ("--loss", "norm-kl", "--data", own, "--set", "loss.temperature=null", "--dry-run")
    answer = type_("train", "--scale", "tiny", *words)
    assert answer.code == 2
    assert answer.err == (
        "error: --set loss.temperature: loss norm-kl needs one.\nExample: --set loss.temperature=50\n"
    )


@pytest.mark.parametrize("name", ["PKD_RUNS", "PKD_CACHE", "PKD_COCO"])
def test_an_empty_variable_counts_as_unset(here, monkeypatch, name):
    from pkdcli.folders import cache_root, runs_root
    from pkdcli.recipe.resolve import load_data

    monkeypatch.delenv(name, raising=False)
    unset = (runs_root(), cache_root(), load_data("coco"))
    monkeypatch.setenv(name, "")
    assert (runs_root(), cache_root(), load_data("coco")) == unset


@pytest.mark.parametrize(
    ("name", "what"), [("photos", "a folder"), ("train.json", "a file whose name does not end in .yaml")]
)
def test_data_that_is_no_recipe(type_, here, name, what):
    (here / "photos").mkdir()
    (here / "train.json").write_text("{}")
    answer = type_("train", "--data", name, "--dry-run")
    assert (answer.out, answer.code) == ("", 2)
    assert answer.err == (
        f"error: {name} is {what}.\nGive the name or the YAML file of a data set, which says where the images and "
        "annotations are:\nname: my-data\ntrain: {images: images/train/, annotations: train.json}\n"
        "val: {images: images/val/, annotations: val.json}\n"
    )


@pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n", "null\n"])
def test_an_empty_recipe(type_, here, text):
    (here / "pair.yaml").write_text(text)
    answer = type_("train", "--pair", "pair.yaml", "--dry-run")
    assert (answer.out, answer.code) == ("", 2)
    said = "error: pair.yaml: should be a mapping of keys to values.\n`pkd show NAME` prints one of any kind.\n"
    assert answer.err == said
    assert type_("show", "gfl101-fcos50").code == 0


def test_keys_without_a_value_in_a_recipe_are_all_told(type_, here):
    (here / "pair.yaml").write_text("name: x\nteacher:\nstudent: ''\nschedule: .yaml\ninit:\nteacher_checkpoint: ''\n")
    answer = type_("train", "--pair", "pair.yaml", "--dry-run")
    assert (answer.out, answer.code) == ("", 2)
    assert answer.err == (
        "error: pair.yaml: 4 problems:\n"
        "  teacher: should be a valid string\n"
        "  student: a name is lower-case letters, digits and . + _ -, at most 64 of them, not ''\n"
        "  init: should be 'scratch' or 'inherit'\n"
        "  teacher_checkpoint: should be the path of a file, not ''\n"
    )


USAGE = """\
Usage: pkd train [OPTIONS]
Try 'pkd train -h' for help.
╭─ Error ──────────────────────────────────────────────────────────────────────╮
│ No such option: --weihgt (Possible options: --set, --wait, --weight)         │
╰──────────────────────────────────────────────────────────────────────────────╯
"""


def test_a_wrong_option(type_):
    answer = type_("train", "--weihgt", "3")
    assert (answer.code, answer.out, answer.err) == (2, "", USAGE)


@pytest.mark.parametrize(
    "words",
    [
        *("trian", "train --seed x", "train --batch-size 0", "train --checkpoint-iters 0", "train --weight", "show"),
        "--foo",
    ],
)
def test_typers_own_errors_have_exit_code_2_and_a_box(type_, words):
    answer = type_(*words.split())
    assert (answer.code, answer.out) == (2, "")
    assert "╭─ Error " in answer.err


def test_a_bare_pkd_shows_its_help(type_):
    answer = type_()
    assert answer.code == 2
    assert "Usage: pkd [OPTIONS] COMMAND [ARGS]..." in answer.out


def test_debug_adds_the_traceback(type_):
    answer = type_("--debug", "train", "--loss", "pdk")
    assert answer.code == 2
    assert answer.err.startswith("Traceback (most recent call last):\n")
    assert "\nerror: unknown loss 'pdk'.\n" in answer.err


# Data


def broken(own, text, split="train"):
    file = own.parent / f"{split}.json"
    file.write_text(text)
    return file


def refused(type_, own, code=2):
    answer = type_("train", "--scale", "tiny", "--data", own)
    assert (answer.code, answer.out) == (code, "")
    assert "Traceback" not in answer.err
    return answer.err


def test_empty_json(type_, own):
    file = broken(own, "")
    assert refused(type_, own) == (
        f"error: data set own, train: {file} is empty.\n"
        "Its download or conversion was probably interrupted: fetch or make it again.\n"
    )


def test_unreadable_json(type_, own):
    file = broken(own, '{"images": [', "val")
    assert refused(type_, own) == (
        f"error: data set own, val: {file} stops too early: line 1, column 13: Expecting value.\n"
        "Its download or conversion was probably interrupted: fetch or make it again.\n"
    )


def test_annotations_that_name_missing_images(type_, own):
    (own.parent / "images" / "3.jpg").unlink()
    folder = own.parent / "images"
    assert refused(type_, own) == (
        f"error: data set own, train: {own.parent / 'train.json'}: 1 of 8 image files are not in {folder}: 3.jpg.\n"
        "`images` in a data recipe names the folder that the `file_name`s in the JSON are relative to: check it, and "
        "that the images were all copied there.\n"
    )


def test_a_data_set_without_annotations(type_, own):
    content = json.loads((own.parent / "train.json").read_text())
    file = broken(own, json.dumps({**content, "annotations": []}))
    assert refused(type_, own) == (
        f"error: data set own, train: {file}: annotations is an empty list.\n"
        "Nothing can be learned from images without boxes, or measured on them: label them, or name another file.\n"
    )


def test_boxes_without_area_are_left_out_with_a_warning(type_, own, worker):
    worker()
    content = json.loads((own.parent / "train.json").read_text())
    content["annotations"][0]["bbox"] = [4, 4, 0, 20]
    file = broken(own, json.dumps(content))
    answer = type_("train", "--scale", "tiny", "--data", own, "-q")
    assert answer.code == 0
    assert answer.err == (
        f"warning: {file}: 1 of 8 boxes have a side below one pixel or no area and are ignored.\n"
        f"warning: {file}: 1 of 8 images have annotations but no usable box, and are trained on as background, the "
        "first is 1.jpg.\n"
    )


def test_only_boxes_without_area(type_, own):
    content = json.loads((own.parent / "train.json").read_text())
    for item in content["annotations"]:
        item["bbox"] = [4, 4, 0, 20]
    file = broken(own, json.dumps(content))
    assert refused(type_, own).startswith(
        f"error: data set own, train: {file}: none of its 8 annotations is a usable box.\n"
    )


def test_a_wrong_path_in_the_recipe(type_, own):
    (own.parent / "val.json").unlink()
    assert refused(type_, own) == (
        f"error: data set own is not there; expected:\n  {own.parent / 'val.json'}\n"
        "Correct the paths in the data recipe: they are relative to its own folder.\n"
    )


def test_a_wrong_key_in_the_recipe(type_, own):
    own.write_text(own.read_text() + "clases: [cat]\n")
    assert refused(type_, own) == (
        f"error: {own}: clases: unknown key; did you mean 'classes'?\n"
        "Allowed keys there: accept, background, classes, exif, fingerprint, generator, get, image, map, masks, "
        "name, notes, pixel_range, root, test, train, train_images, val, warnings.\n"
    )


@pytest.mark.parametrize("name", ["$(touch pwned)", "`touch pwned`", "a; touch pwned", "../pwned", "a b", "a\nb"])
def test_a_name_in_a_recipe_that_a_shell_would_read(type_, own, here, name):
    own.write_text(own.read_text().replace("name: own", f"name: {json.dumps(name)}"))
    answer = type_("train", "--scale", "tiny", "--data", own, "--dry-run")
    assert (answer.code, answer.out) == (2, "")
    assert f"{own}: name: a name is lower-case letters, digits and . + _ -, at most 64 of them, not " in answer.err
    assert not list(here.parent.rglob("pwned"))


def test_a_folder_whose_name_a_shell_would_read(type_, own, worker, here):
    worker()
    folder = here / "$(touch pwned) `touch pwned`; touch 'pwned' & \"%a\""
    assert type_("train", "--loss", "none", "--scale", "tiny", "--data", own, "--runs", folder).code == 0
    assert [path.name.split("__")[1] for path in folder.iterdir()] == ["baseline"]
    assert not list(here.parent.rglob("pwned"))


def test_brackets_in_a_path_are_shown_as_they_are(type_, here):
    answer = type_("train", "--data", "[bold]no[/bold].yaml")
    assert answer.err.startswith("error: there is no recipe file [bold]no[/bold].yaml.\n")


# The machine


def test_a_wrong_checkpoint_path(type_, own):
    answer = type_("train", "--scale", "tiny", "--data", own, "--teacher-checkpoint", "no.pth")
    assert answer.code == 2
    assert answer.err == (
        f"error: --teacher-checkpoint: there is no file {os.getcwd()}/no.pth.\n"
        "Give a checkpoint of the teacher's architecture, such as the teacher.pth of another run.\n"
    )


def test_no_space_left(type_, own, monkeypatch, here):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = refused(type_, own, code=3)
    monkeypatch.undo()
    assert error.startswith("error: no space left to write ")
    assert error.endswith(
        "Free some space, or choose other folders with --runs DIR and the environment variable PKD_CACHE; then type "
        "the same command again: it goes on where it stopped.\n"
    )
    assert not [path for path in here.parent.rglob("*") if ".part" in path.name]


def test_a_read_only_runs_folder(type_, own):
    """A folder of the system, since root may write into those whose permissions forbid it."""
    answer = type_("train", "--scale", "tiny", "--data", own, "--runs", "/sys/pkd-runs")
    assert answer.code == 3
    assert answer.err.startswith("error: can't write /sys/pkd-runs/")
    assert "\nCheck the folder's permissions, or choose another with --runs DIR" in answer.err
    assert "Traceback" not in answer.err


def test_a_file_above_the_runs_folder(type_, own, here):
    (here / "file").write_text("")
    answer = type_("train", "--scale", "tiny", "--data", own, "--runs", "file/runs")
    assert answer.code == 3
    assert answer.err.splitlines()[0].endswith("/recipe.yaml: a file stands where a folder should be.")


def test_a_defect_is_told_as_one_without_a_traceback(type_, monkeypatch):
    from pkdcli.recipe import library

    def broken(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(library, "load", broken)
    answer = type_("train")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "error: unforeseen ZeroDivisionError: division by zero\n"
        "This is a defect of pkd; `pkd --debug ...` shows where.\n"
    )


def test_a_file_that_cannot_be_read_is_named(type_, monkeypatch):
    from pkdcli.recipe import library

    def broken(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "/secret")

    monkeypatch.setattr(library, "load", broken)
    answer = type_("train")
    assert (answer.code, answer.err) == (3, "error: /secret: Permission denied.\n")


def test_ctrl_c_before_anything_runs(type_, monkeypatch):
    from pkdcli.recipe import library

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "load", interrupted)
    answer = type_("train")
    assert answer.code == 130
    assert "Traceback" not in answer.err


def test_a_tracker_without_its_package_is_refused_before_anything_is_made(type_, own, here, monkeypatch):
    from pkdcli.config import trackers

    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    said = type_("train", "--scale", "tiny", "--data", own, "--tracker", "wandb")
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "error: --tracker wandb: its package is not installed.\nType: python -m pip install wandb\n"
    )
    assert not (here / "runs").exists()
