"""`pkd verify` as the user sees it: whole outputs, files, weights it finds, exit codes."""

from __future__ import annotations

import csv
import json

import pytest
from asking import KILLED, answer, process

from pkdcli.api import verify
from pkdcli.cli.look import verify as verify_command
from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.prepare import facts
from pkdcli.errors import PkdError
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.sweep import baseline_of
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import write_json, write_text

SIDES = ("student scaled", "student shifted", "teacher scaled", "teacher shifted")


def measured(ok=True):
    """What the process finds, in round numbers."""
    limit = [
        {"level": level, "T": t, "pkd": 0.5, "norm_kl": 0.5 + 0.01 / t, "value_gap": 0.02 / t, "gradient_gap": 1 / t,
         "cosine": 0.999}
        for level in ("0:0", "all")
        for t in (1.0, 5000.0)
    ]  # fmt: skip
    changes = {"pkd": dict.fromkeys(SIDES, 1.234e-6), "mse": dict.fromkeys(SIDES, 31.3)}
    check = {"check": "norm-mse is twice pkd", "measured": 0.0, "bound": 1e-9, "at_least": False, "ok": True}
    other = {"check": "mse does not", "measured": 31.3 if ok else 0.001, "bound": 0.01, "at_least": True, "ok": ok}
    return {
        "levels": [{"level": "0:0", "shape": [2, 64, 20, 20]}],
        "limit": limit,
        "ratio": [{"level": "0:0", "norm_mse_by_pkd": 2.0}, {"level": "all", "norm_mse_by_pkd": 2.0}],
        "invariance": [{"level": "0:0", "loss": loss, **changes[loss]} for loss in ("pkd", "mse")],
        "checks": [check, other],
    }


class Desk:
    """The command in-process, with folders of its own and the measurement replaced."""

    def __init__(self, folder, monkeypatch):
        self.runs, self.cache, self.asked, self.ok = folder / "runs", folder / "cache", [], True
        monkeypatch.setenv("PKD_RUNS", str(self.runs))
        monkeypatch.setenv("PKD_CACHE", str(self.cache))

        def measure(recipe, teacher, student, images):
            self.asked.append((recipe, teacher, student, images))
            return measured(self.ok)

        monkeypatch.setattr(verify, "_measure", measure)

    def __call__(self, *words, code=0):
        return answer(verify_command.command, words, code)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    return Desk(tmp_path, monkeypatch)


def finish(paths, role, weights):
    write_json(paths.result, {"role": role, "metrics": {"mAP": 1.0}})
    write_text(weights, "")


def test_the_whole_output(desk, micro):
    answer = desk("--data", micro, "--format", "md")
    assert answer.stdout == """\
**Norm+KL against PKD in float64: gfl101-fcos50, data micro, scale tiny**

| level | shape | T | pkd | norm-kl | value gap | gradient gap | cosine |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
| 0:0 | 2x64x20x20 | 1 | 0.500000 | 0.510000 | 2 % | 100 % | 0.999000 |
| 0:0 | 2x64x20x20 | 5000 | 0.500000 | 0.500002 | 0.0004 % | 0.02 % | 0.999000 |
| all |  | 1 | 0.500000 | 0.510000 | 2 % | 100 % | 0.999000 |
| all |  | 5000 | 0.500000 | 0.500002 | 0.0004 % | 0.02 % | 0.999000 |

- teacher: random weights, since GFL-Res101 is not trained at this scale and data.
- student: random weights, since there is no finished baseline of FCOS-Res50 here.

**By how much a loss changes**

| level | loss | student scaled | student shifted | teacher scaled | teacher shifted | norm-mse / pkd |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
| 0:0 | pkd | 0.000123 % | 0.000123 % | 0.000123 % | 0.000123 % | 2.000000000000 |
| 0:0 | mse | 3130 % | 3130 % | 3130 % | 3130 % |  |

- Every channel was scaled by another factor from 0.5 to 20, or shifted by another number from -5 to 5.

**Verdicts**

| claim | measured | bound | holds |
| --- | ---: | ---: | ---: |
| norm-mse is twice pkd | 0 % | at most 1e-07 % | yes |
| mse does not | 3130 % | at least 1 % | yes |
"""
    assert answer.stderr == f"Wrote {desk.runs}/verify/gfl101-fcos50__micro-tiny.png, .csv and .json\n"


def test_plot_csv_and_json_are_kept(desk, micro, tmp_path):
    answer = desk("--data", micro, "--format", "json", "--output", tmp_path / "here", "--quiet")
    names = [f"gfl101-fcos50__micro-tiny.{end}" for end in ("csv", "json", "png")]
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == names
    png, text = (tmp_path / "here" / names[2]).read_bytes(), (tmp_path / "here" / names[1]).read_text()
    assert png.startswith(b"\x89PNG\r\n")
    assert len(png) > 10_000
    assert json.loads(text) == json.loads(answer.stdout)
    with open(tmp_path / "here" / names[0], newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["level", "T", "pkd", "norm_kl", "value_gap", "gradient_gap", "cosine"]
    assert [(row["level"], float(row["T"]), float(row["gradient_gap"])) for row in rows] == [
        ("0:0", 1, 1), ("0:0", 5000, 2e-4), ("all", 1, 1), ("all", 5000, 2e-4),
    ]  # fmt: skip
    assert not desk.runs.exists()


def test_a_claim_that_does_not_hold_is_exit_code_1(desk, micro):
    desk.ok = False
    answer = desk("--data", micro, "--format", "md", code=1)
    assert "| mse does not | 0.1 % | at least 1 % | NO |" in answer.stdout


def test_the_first_two_images_of_the_val_split_are_measured(desk, micro):
    desk("--data", micro)
    ((recipe, teacher, student, images),) = desk.asked
    content = json.loads((micro.parent / "annotations" / "val.json").read_text())
    names = [image["file_name"] for image in content["images"][:2]]
    assert images == [micro.parent / "images" / "val" / name for name in names]
    assert all(path.is_file() for path in images)
    assert (teacher, student) == (None, None)
    assert (recipe.role, recipe.init, recipe.pretrained, recipe.data.name) == ("distill", "scratch", False, "micro")


def test_given_images_need_no_data(desk, tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"")
    desk("--image", image, "--image", image, "--pair", "maskswin-faster50")
    ((recipe, _, _, images),) = desk.asked
    assert images == [image, image]
    assert (recipe.pair, recipe.data.name) == ("maskswin-faster50", "shapes")
    assert not (desk.cache / "data").exists()


@pytest.mark.parametrize("schedule", ["2x", "1x"])
def test_finished_teacher_and_baseline_give_the_weights(desk, micro, schedule):
    request = Request(pair="gfl101-fcos50", scale="tiny", data=str(micro))
    data = facts(resolve(request).data, desk.cache)
    recipe = resolve(request).model_copy(update={"data": data})
    alone = baseline_of(Request(scale="tiny", data=str(micro), schedule=schedule)).model_copy(update={"data": data})
    teacher = RunPaths(teachers_root(desk.cache) / run_id(teacher_recipe(recipe)))
    baseline = RunPaths(desk.runs / run_id(alone))
    finish(teacher, "teacher", teacher.teacher)
    finish(baseline, "baseline", baseline.student)
    found = json.loads(desk("--data", micro, "--format", "json").stdout)
    ((_, teacher_weights, student_weights, _),) = desk.asked
    assert (teacher_weights, student_weights) == (teacher.teacher, baseline.student)
    assert found["notes"] == [f"teacher: {teacher.run}.", f"student: {baseline.run}."]
    assert (found["teacher_weights"], found["student_weights"]) == (str(teacher.teacher), str(baseline.student))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "csv"), "unknown --format 'csv'."),
        (("--pair", "gfl101-fcos5"), "unknown pair 'gfl101-fcos5'."),
        (("--image", "absent.png"), "--image: there is no file absent.png."),
    ],
)
def test_wrong_words(desk, words, message):
    with pytest.raises(PkdError) as caught:
        desk(*words)
    assert (caught.value.message, caught.value.code) == (message, 2)


def test_on_a_real_pair(pkd, micro, tmp_path):
    answer = pkd("verify", "--data", micro, "--format", "json", "--quiet", "--output", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert [check["ok"] for check in found["checks"]] == [True] * 5
    assert [row["level"] for row in found["levels"]] == ["0:0", "1:1", "2:2", "3:3"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (process({"error": {"message": "weights.", "hint": "Others.", "code": 3}}, 3), ("weights.", "Others.", 3)),
        (KILLED, ("the measurement ended with exit code -9.", "killed", 1)),
    ],
)
def test_what_goes_wrong_in_the_process_is_said(tmp_path, monkeypatch, engine, script, error):
    image = tmp_path / "a.png"
    image.write_bytes(b"")
    monkeypatch.setenv("PKD_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    engine("pkdcli.engine.analysis.verify", script)
    with pytest.raises(PkdError) as caught:
        verify.verify(images=[image])
    assert (caught.value.message, caught.value.hint, caught.value.code) == error
    assert not (tmp_path / "runs").exists()
