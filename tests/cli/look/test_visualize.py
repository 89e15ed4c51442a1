"""`pkd visualize` as the user sees it: which weights and images it takes, what it prints and writes, its errors."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer
from asking import KILLED, process
from typer.testing import CliRunner

from pkdcli.api.visualize import visualize
from pkdcli.cli.look import visualize as visualize_command
from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.prepare import facts
from pkdcli.errors import PkdError
from pkdcli.experiment.prepare import recipe_yaml
from pkdcli.launch import request as ask_module
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.sweep import baseline_of
from pkdcli.reporting.paper_figures import write as write_module
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.status import columns
from pkdcli.runs.store import write_json, write_text


class Desk:
    """The command in-process, with folders of its own and the measurement replaced."""

    def __init__(self, folder, monkeypatch, measured):
        self.runs, self.cache, self.asked = folder / "runs", folder / "cache", []
        monkeypatch.setenv("PKD_RUNS", str(self.runs))
        monkeypatch.setenv("PKD_CACHE", str(self.cache))
        monkeypatch.setenv("COLUMNS", "200")

        def ask(module, request, what):
            assert module == "pkdcli.engine.analysis.features"
            self.asked.append(request)
            measured(request).write(Path(request["output"]))
            return {}

        monkeypatch.setattr(visualize, "ask", ask)
        self.draws = False  # most tests look at what is measured
        real = write_module.write
        monkeypatch.setattr(write_module, "write", lambda *given: real(*given) if self.draws else [Path("a.png")])

    def __call__(self, *words):
        app = typer.Typer()
        app.command()(visualize_command.command)
        answer = CliRunner().invoke(app, [str(word) for word in words])
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        assert answer.exit_code == 0, answer.output
        return answer

    def fails(self, *words):
        with pytest.raises(PkdError) as caught:
            self(*words)
        return caught.value

    def finish(self, recipe, root, **more):
        """A finished run of a recipe, with its teacher where it has one; returns its files."""
        paths = RunPaths(root / run_id(recipe))
        write_text(paths.recipe, recipe_yaml(recipe))
        write_json(paths.result, {**columns(recipe, paths.run), "split": "val", "metrics": {"mAP": 20.0}, **more})
        write_text(paths.weights(recipe.role), "")
        return paths

    def trained(self, data, schedule=None, seed=0, pair="gfl101-fcos50", **more):
        """Finished teacher, baseline and distilled run on a data set."""
        request = Request(pair=pair, scale="tiny", data=str(data), schedule=schedule, seed=seed, **more)
        known = {"data": facts(resolve(request).data, self.cache)}
        distilled = resolve(request).model_copy(update=known)
        teacher = self.finish(teacher_recipe(distilled), teachers_root(self.cache))
        baseline = self.finish(baseline_of(request).model_copy(update=known), self.runs)
        student = self.finish(distilled, self.runs)
        write_json(student.job, {"teacher": str(teacher.root)})
        return teacher, baseline, student


@pytest.fixture
def desk(tmp_path, monkeypatch, measured_features):
    return Desk(tmp_path, monkeypatch, measured_features)


TINY = ("--scale", "tiny", "--pair", "gfl101-fcos50")


def test_the_finished_teacher_and_the_baseline_give_the_weights(desk, micro):
    teacher, baseline, _ = desk.trained(micro)
    desk.trained(micro, seed=1)
    desk(*TINY, "--data", micro, "--figure", "4", "--format", "png")
    (asked,) = desk.asked
    assert [one["key"] for one in asked["detectors"]] == ["teacher", "student"]
    assert [one["weights"] for one in asked["detectors"]] == [str(teacher.teacher), str(baseline.student)]
    assert [one["source"] for one in asked["detectors"]] == [f"run {teacher.run}", f"baseline run {baseline.run}"]
    assert [one["recipe"]["student"]["name"] for one in asked["detectors"]] == ["gfl101", "fcos50"]
    assert not any(one["recipe"]["pretrained"] for one in asked["detectors"])


def test_the_baseline_is_the_seed_s_and_the_pair_s_schedule_comes_first(desk, micro):
    _, usual, _ = desk.trained(micro)
    desk.trained(micro, schedule="1x")
    _, other, _ = desk.trained(micro, schedule="1x", seed=5)
    for seed, expected in ((0, usual), (5, other)):
        desk(*TINY, "--data", micro, "--figure", "4", "--format", "png", "--seed", seed)
        assert desk.asked[-1]["detectors"][1]["weights"] == str(expected.student)


def test_a_baseline_with_other_settings_is_not_taken_but_named(desk, micro):
    _, other, _ = desk.trained(micro, batch_size=4)
    error = desk.fails(*TINY, "--data", micro, "--figure", "4")
    where = f"on micro at scale tiny, seed 0, in {desk.runs}"
    assert error.message == f"there is no finished baseline of FCOS-Res50 {where}."
    assert error.hint.splitlines()[:4] == [
        "Type:",
        f"  pkd train --pair gfl101-fcos50 --scale tiny --data {micro} --loss none",
        "or take a baseline with other settings:",
        f"  --student {other.run}",
    ]
    assert error.code == 3


def test_without_any_run_everything_that_is_missing_is_said_with_its_commands(desk, micro):
    error = desk.fails("--scale", "tiny", "--data", micro, "--figure", "5,6")
    assert [line.split(" is not trained")[0] for line in error.message.splitlines()[::2]] == [
        "GFL-Res101", "MaskRCNN-Swin",
    ]  # fmt: skip
    assert [line for line in error.hint.splitlines() if line.startswith("  ")] == [
        f"  pkd train --pair {pair} --scale tiny --data {micro}{more}"
        for pair in ("gfl101-fcos50", "maskswin-faster50")
        for more in ("", " --loss none")
    ]
    assert "--untrained" in error.hint
    assert not desk.runs.exists()


def test_untrained_detectors_are_called_so(desk, micro):
    desk(*TINY, "--data", micro, "--figure", "4", "--untrained", "--seed", "3", "--format", "png")
    (asked,) = desk.asked
    assert [one["title"] for one in asked["detectors"]] == ["GFL-Res101 (untrained)", "FCOS-Res50 (untrained)"]
    assert [one["weights"] for one in asked["detectors"]] == [None, None]
    assert asked["seed"] == 3


def test_each_figure_is_of_its_own_pair_unless_one_is_named(desk, micro):
    desk("--scale", "tiny", "--data", micro, "--untrained", "--format", "png", "--quiet")
    assert [one["pair"] for one in desk.asked] == [
        "fcosx101-retina50", "gfl101-fcos50", "maskswin-faster50", "retinax101-retina50",
    ]  # fmt: skip
    desk(*TINY, "--data", micro, "--untrained", "--format", "png", "--quiet")
    assert [one["pair"] for one in desk.asked[4:]] == ["gfl101-fcos50"]


def test_a_distilled_run_says_pair_scale_data_and_whose_features_stand_beside(desk, micro):
    teacher, baseline, student = desk.trained(micro, seed=2)
    desk("--distilled", student.run[:30], "--figure", "5", "--format", "png")
    (asked,) = desk.asked
    assert (asked["pair"], asked["scale"], asked["data"], asked["seed"]) == ("gfl101-fcos50", "tiny", "micro", 2)
    assert [one["title"] for one in asked["detectors"]] == ["GFL-Res101", "FCOS-Res50", "FCOS-Res50, pkd"]
    weights = [str(teacher.teacher), str(baseline.student), str(student.student)]
    assert [one["weights"] for one in asked["detectors"]] == weights
    assert len(asked["images"]) == 2


def test_a_distilled_run_of_other_settings_has_its_own_baseline_and_teacher(desk, micro):
    sets = ("scale.teacher.epochs=1",)
    teacher, baseline, student = desk.trained(micro, batch_size=4, sets=sets)
    desk("--distilled", student.root, "--figure", "4", "--format", "png")
    weights = [str(teacher.teacher), str(baseline.student), str(student.student)]
    assert [one["weights"] for one in desk.asked[0]["detectors"]] == weights


def test_checkpoints_are_taken_as_they_are(desk, micro, tmp_path):
    for name in ("t", "s", "d"):
        (tmp_path / f"{name}.pth").write_bytes(b"")
    given = [f"--{who}={tmp_path / who[0]}.pth" for who in ("teacher", "student", "distilled")]
    desk(*TINY, "--data", micro, "--figure", "4", "--format", "png", *given)
    assert [one["weights"] for one in desk.asked[0]["detectors"]] == [str(tmp_path / f"{n}.pth") for n in "tsd"]
    assert desk.asked[0]["detectors"][2]["title"] == "FCOS-Res50, distilled"
    error = desk.fails("--student", tmp_path / "s.pth", "--scale", "tiny")
    assert error.message == f"{tmp_path / 's.pth'}: of which pair is it?"


def test_a_teacher_can_be_named_by_its_run(desk, micro):
    teacher, _, student = desk.trained(micro)
    for word in (teacher.run, teacher.root, student.run):
        desk(*TINY, "--data", micro, "--figure", "4", "--format", "png", "--teacher", word)
        assert desk.asked[-1]["detectors"][0]["weights"] == str(teacher.teacher)


def test_the_zoo_gives_weights_at_scale_paper_without_coco(desk, tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_COCO", str(tmp_path / "nowhere"))
    image = tmp_path / "a.png"
    image.write_bytes(b"")
    desk("--pair", "gfl101-fcos50", "--figure", "4", "--image", image, "--student", "zoo", "--format", "png")
    (asked,) = desk.asked
    assert [one["weights"].rpartition("/")[2] for one in asked["detectors"]] == [
        "gfl_r101_fpn_mstrain_2x_coco_20200629_200126-dd12f847.pth",
        "fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_1x_coco-0a0d75a8.pth",
    ]
    assert asked["images"] == [{"path": str(image), "boxes": None, "annotated": None}]
    error = desk.fails(*TINY, "--student", "zoo", "--image", image, "--untrained")
    assert error.message.startswith("--student zoo: the zoo's weights are of detectors at scale paper, not tiny.")


def test_a_run_of_another_detector_or_scale_is_refused(desk, micro):
    _, baseline, _ = desk.trained(micro)
    error = desk.fails("--pair", "retinax101-retina50", "--student", baseline.run, "--untrained", "--data", micro)
    assert error.message == f"--student: {baseline.run} is of detector fcos50, not retina50."
    error = desk.fails("--pair", "gfl101-fcos50", "--scale", "paper", "--student", baseline.run, "--untrained")
    assert error.message == f"--student: {baseline.run} is of scale tiny, not paper."
    assert error.hint == "Add --scale tiny."


def test_an_unfinished_run_is_refused(desk, micro):
    _, baseline, _ = desk.trained(micro)
    baseline.student.unlink()
    assert "is not finished" in desk.fails(*TINY, "--student", baseline.run, "--untrained", "--data", micro).message


def test_images_of_the_val_split_are_spread_and_have_room_beside_their_objects(desk, micro):
    desk(*TINY, "--data", micro, "--figure", "4", "--untrained", "--format", "png", "--count", "3")
    content = json.loads((micro.parent / "annotations" / "val.json").read_text())
    names = {image["file_name"]: image for image in content["images"]}
    boxes = {name: [] for name in names}
    for one in content["annotations"]:
        name = next(name for name, image in names.items() if image["id"] == one["image_id"])
        x, y, width, height = one["bbox"]
        boxes[name].append([x, y, x + width, y + height])
    area = {name: sum((c - a) * (d - b) for a, b, c, d in of) for name, of in boxes.items()}
    fit = [name for name, image in names.items() if 0 < 2 * area[name] <= image["width"] * image["height"]]
    shown = desk.asked[0]["images"]
    assert [Path(one["path"]).name for one in shown] == [fit[(2 * n + 1) * len(fit) // 6] for n in range(3)]
    assert all(Path(one["path"]).is_file() for one in shown)
    assert [one["boxes"] for one in shown] == [boxes[Path(one["path"]).name] for one in shown]


def test_a_named_image_of_the_data_set_has_its_boxes(desk, micro, tmp_path):
    path = next((micro.parent / "images" / "test").iterdir())
    foreign = tmp_path / path.name
    foreign.write_bytes(path.read_bytes())
    given = ("--image", path, "--image", foreign)
    desk(*TINY, "--data", micro, "--figure", "4", "--untrained", "--format", "png", *given)
    content = json.loads((micro.parent / "annotations" / "test.json").read_text())
    image = next(image["id"] for image in content["images"] if image["file_name"] == path.name)
    boxes = [one["bbox"] for one in content["annotations"] if one["image_id"] == image]
    first, second = desk.asked[0]["images"]
    assert (first["path"], second["path"]) == (str(path), str(foreign))
    assert first["boxes"] == [[x, y, x + w, y + h] for x, y, w, h in boxes]
    assert second["boxes"] is None


def test_named_images_need_no_data(desk, tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"")
    desk(*TINY, "--image", image, "--figure", "4", "--untrained", "--format", "png")
    assert not (desk.cache / "data").exists()


def test_files_go_where_asked_and_are_told(desk, micro, tmp_path):
    here, desk.draws = tmp_path / "here", True
    given = (*TINY, "--data", micro, "--untrained", "--output", here, "--figure")
    answer = desk(*given, "4", "--format", "pdf,png")
    names = [*("features-gfl101-fcos50.npz", "figure4-distribution.csv"), "figure4-patterns.csv"]
    names += ["figure4-statistics.csv", "figure4.md", "figure4.pdf", "figure4.png"]
    assert sorted(path.name for path in here.iterdir()) == names
    assert answer.stderr == f"Wrote {here}/figure4.pdf, 5 more files beside\n"
    assert answer.stdout.startswith("Features of gfl101-fcos50, micro, scale tiny, 2 images\n")
    assert not desk.runs.exists()
    answer = desk(*given, "7", "--format", "svg", "--quiet")
    assert (answer.stdout, answer.stderr) == (f"{here}/figure7.svg\n", "")


def test_by_default_they_go_to_a_folder_of_the_runs_folder_by_what_is_shown(desk, micro):
    given = (*TINY, "--data", micro, "--figure", "7", "--format", "png", "--quiet")
    desk(*given, "--untrained")
    desk(*given, "--untrained", "--count", "3")
    desk(*given, "--untrained")
    folders = sorted(path.name for path in (desk.runs / "figures").iterdir())
    assert len(folders) == 2
    assert all(name.startswith("gfl101-fcos50__micro-tiny__s0-") for name in folders)


def test_json_is_a_line_for_each_figure(desk, micro):
    desk.draws = True
    answer = desk(*TINY, "--data", micro, "--figure", "5,7", "--untrained", "--format", "png", "--json")
    first, second = (json.loads(line) for line in answer.stdout.splitlines())
    assert (first["figure"], second["figure"]) == (5, 7)
    assert [row["level"] for row in first["statistics"]] == ["P3", "P4", "P5", "P6"] * 2
    assert [(row["level"], row["normalised"]) for row in second["top_channels"]] == [
        (level, normalised) for _ in "ts" for level in ("P3", "P6") for normalised in (False, True)
    ]
    assert all(Path(path).is_file() for path in first["files"] + second["files"])
    assert answer.stderr == ""


def test_a_dry_run_says_what_would_be_drawn_and_writes_nothing(desk, micro):
    given = (*TINY, "--data", micro, "--untrained", "--figure", "4", "--format", "png", "--dry-run")
    answer = desk(*given)
    lines = answer.stdout.splitlines()
    assert lines[:3] == [
        "pair gfl101-fcos50: figure 4",
        "  teacher: GFL-Res101 (untrained), random weights, seed 0",
        "  student: FCOS-Res50 (untrained), random weights, seed 0",
    ]
    assert [line.split(":")[0] for line in lines[3:]] == ["  image", "  image", "  would write"]
    content = json.loads(desk(*given, "--json").stdout)
    assert (content["figures"], len(content["images"])) == ([4], 2)
    assert desk.asked == []
    assert not desk.runs.exists()
    assert "of the val split of shapes, which is not there yet" in desk(*TINY, "--untrained", "--dry-run").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--figure", "9"), "--figure: unknown figure '9'."),
        (("--pair", "gfl101-fcos5"), "unknown pair 'gfl101-fcos5'."),
        (("--reduce", "sum"), "unknown --reduce 'sum'."),
        (("--color-scale", "none"), "unknown --color-scale 'none'."),
        (("--format", "png,gif"), "unknown --format 'gif'."),
        (("--format", ""), "--format: an empty list."),
        (("--image", "absent.png", "--scale", "tiny"), "--image: there is no file absent.png."),
        (("--student", "nothing"), "there is no run and no checkpoint file 'nothing'."),
        ((*TINY, "--untrained", "--levels", "P2", "--dry-run"), "--levels: unknown stage 'P2'."),
        ((*TINY, "--untrained", "--levels", "0", "--dry-run"), "--levels: unknown stage '0'."),
    ],
)
def test_wrong_words(desk, words, message):
    error = desk.fails(*words)
    assert (error.message, error.code) == (message, 2)


def test_without_coco_the_command_that_needs_none_is_printed(desk, tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_COCO", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "argv", ["pkd", "visualize", "--figure", "5"])
    error = desk.fails("--figure", "5")
    assert error.code == 3
    assert error.hint.endswith("\n  pkd visualize --figure 5 --scale tiny")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (process({"error": {"message": "weights.", "hint": "Others.", "code": 3}}, 3), ("weights.", "Others.", 3)),
        (KILLED, ("the measurement ended with exit code -9.", "killed", 1)),
        (process(["no object"], 0), ("the measurement ended with exit code 0.", None, 1)),
    ],
)
def test_what_goes_wrong_in_the_process_is_said(monkeypatch, engine, script, error):
    engine("pkdcli.engine.analysis.features", script)
    with pytest.raises(PkdError) as caught:
        ask_module.ask("pkdcli.engine.analysis.features", {"a": 1}, "the measurement")
    assert (caught.value.message, caught.value.hint, caught.value.code) == error


def test_a_file_that_is_no_image_is_refused(pkd, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    words = ("--pair", "gfl101-fcos50", "--scale", "tiny", "--untrained", "--image", tmp_path / "text.png")
    answer = pkd("visualize", *words, "--quiet")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"error: {tmp_path}/text.png: can't be read as an image.\nGive whole JPEG or PNG files.\n"
    assert not (tmp_path / "runs").exists()


GUIDE = (Path(__file__).parents[3] / "docs" / "visualize.md").read_text()


def guide_commands():
    """The guide's commands that draw, without their comments."""
    blocks = re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL) + re.findall(r"^`(pkd .*)`$", GUIDE, re.MULTILINE)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("pkd visualize")]


def test_the_guide_has_commands():
    assert len(guide_commands()) == 6


@pytest.mark.parametrize("line", guide_commands())
def test_a_command_of_the_guide_plans_what_it_says(desk, micro, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street.jpg").write_bytes(b"")
    _, _, student = desk.trained(micro)
    words = [student.run if word == "RUN" else word for word in shlex.split(line)[2:]]
    untrained = () if "RUN" in line or "zoo" in line else ("--untrained",)
    content = [json.loads(text) for text in desk(*words, *untrained, "--dry-run", "--json").stdout.splitlines()]
    assert all(one["files"] and len(one["detectors"]) == (3 if "RUN" in line else 2) for one in content)


def test_the_guide_s_table_is_the_catalog_s():
    from pkdcli.reporting.paper_figures.catalog import FIGURES

    rows = [re.split(r" *\| *", line)[1:-1] for line in GUIDE.splitlines() if re.match(r"\| \d ", line)]
    assert {int(row[0]): row[2] for row in rows} == {number: one.pair for number, one in FIGURES.items()}


def test_the_guide_s_pictures_are_small():
    pictures = re.findall(r"!\[.+\]\((.+)\)", GUIDE)
    assert len(pictures) == 2
    for name in pictures:
        content = (Path(__file__).parents[3] / "docs" / name).read_bytes()
        assert content.startswith(b"\x89PNG\r\n")
        assert len(content) < 200_000
