"""Distillations that can teach nothing: each is named with its cause, and a sound one passes in silence."""

from __future__ import annotations

import json

import pytest
import torch

from pkdcli import compat

compat.activate()

from pkdcli.engine.checkpoint import classes_of  # noqa: E402
from pkdcli.engine.distill.level_stats import measure  # noqa: E402
from pkdcli.engine.losses import build_loss  # noqa: E402
from pkdcli.engine.train import checks  # noqa: E402
from pkdcli.engine.train.hooks import sanity  # noqa: E402
from pkdcli.errors import PkdError  # noqa: E402
from pkdcli.recipe.identity import comparable  # noqa: E402
from pkdcli.recipe.resolve import Request, resolve  # noqa: E402
from pkdcli.runs.paths import RunPaths  # noqa: E402
from pkdcli.runs.status import Status  # noqa: E402


def features(seed, size=6):
    return torch.randn(2, 4, size, size, generator=torch.Generator().manual_seed(seed))


def looked_at(student, teacher, name="pkd", steps=10):
    """Values of a loss over some steps with other images, and what was measured in the first."""
    student = student.requires_grad_()
    loss = build_loss(name)
    measured = measure(loss(student, teacher), student, student, teacher)
    noise = [0.1 * features(100 + step, student.shape[-1]) for step in range(steps)]
    changing = [student.detach() + (n if student.detach().std() > 0 else 0) for n in noise]
    return [float(loss(s, teacher)) for s in changing], measured


def test_a_sound_loss_passes():
    values, measured = looked_at(features(1), features(2))
    sanity.check_connection({0: measured}, "pkd")
    assert sanity.check_values({0: values}, {0: measured}, "pkd") == []


def test_a_collapsed_teacher_is_named_where_pkd_would_silently_stay_at_one_half():
    values, measured = looked_at(features(1), torch.zeros(2, 4, 6, 6))
    assert values[0] == pytest.approx(0.5, abs=0.01)
    with pytest.raises(PkdError) as error:
        sanity.check_values({0: values}, {0: measured}, "pkd")
    assert "teaches nothing at any level" in error.value.message
    assert "level 0: loss pkd" in error.value.message
    assert "the teacher's feature map is constant there" in error.value.message
    assert error.value.hint


def test_one_bad_level_among_good_ones_is_a_warning():
    good, bad = looked_at(features(1), features(2)), looked_at(features(3), torch.zeros(2, 4, 6, 6))
    (warning,) = sanity.check_values({0: good[0], 3: bad[0]}, {0: good[1], 3: bad[1]}, "pkd")
    assert warning.startswith("level 3: loss pkd")
    assert warning.endswith("The other levels still teach.")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0, 0.0], "is zero in each of the first 2 steps"),
        ([0.7, 0.7, 0.7], "has the same value, 0.7, in each of the first 3 steps"),
        ([float("nan")] * 3, "is nan in each of the first 3 steps"),
        ([float("inf"), float("nan")], "is inf in each"),
        ([2.0, 7.0, float("inf"), float("nan")], "is nan from step 3 on: training diverges. Lower its weight"),
    ],
)
def test_faults_of_values(values, words):
    assert words in sanity.fault_of(values, None)


@pytest.mark.parametrize(
    "values",
    [[0.7, 0.7], [0.7, 0.7, 0.70001], [0.0, 1.0, 0.0], [float("nan"), 1.0, 2.0], [5.0], [2.0, float("inf"), 2.0, 3.0]],
)
def test_values_without_fault(values):
    assert sanity.fault_of(values, None) is None


def test_causes():
    same = features(1)
    assert "student and teacher have the same features" in sanity.fault_of(*looked_at_zero(same, same.clone()))
    one = torch.randn(1, 4, 1, 1)
    with pytest.warns(RuntimeWarning):
        assert "one position per channel" in sanity.fault_of(*looked_at_zero(one, torch.randn(1, 4, 1, 1)))
    assert "student's feature map is constant" in sanity.fault_of(*looked_at(torch.zeros(2, 4, 6, 6), features(2)))
    values, measured = looked_at(features(1), torch.full((2, 4, 6, 6), float("nan")))
    assert "NaN or infinity" in sanity.fault_of(values, measured)


def looked_at_zero(student, teacher):
    measured = measure(build_loss("pkd")(student.requires_grad_(), teacher), student, student, teacher)
    return [float(measured.loss)] * 4, measured


def test_frozen_student_and_detached_loss_are_errors():
    student, teacher = features(1), features(2)
    frozen = measure(build_loss("pkd")(student, teacher), student, student, teacher)
    with pytest.raises(PkdError, match="level 2: the student's feature map depends on no parameter that is trained"):
        sanity.check_connection({2: frozen}, "pkd")
    student.requires_grad_()
    detached = measure(build_loss("pkd")(student.detach(), teacher), student, student, teacher)
    with pytest.raises(PkdError, match="loss pkd has no gradient with respect to the student's feature map"):
        sanity.check_connection({2: detached}, "pkd")


def result(mAP, **more):
    return {"student_title": "GFL-Res101", "data": "shapes", "metrics": {"mAP": mAP}, **more}


def test_a_teacher_near_zero_or_below_the_student_alone_is_warned_of():
    (near_zero,) = checks.teacher_warnings(result(0.4), None)
    assert "GFL-Res101 has 0.4 mAP on shapes: it has next to nothing to teach" in near_zero
    (below,) = checks.teacher_warnings(result(20.0), result(21.5))
    assert "has 20.0 mAP, less than the student alone (21.5)" in below
    assert checks.teacher_warnings(result(22.0), result(21.5)) == []
    assert checks.teacher_warnings(result(22.0), None) == []
    assert checks.teacher_warnings({"metrics": {"mAP": None}}, None) == []
    assert checks.teacher_warnings({}, result(3.0)) == []


def recipe(**options):
    made = resolve(Request(scale="tiny", **options))
    return made.model_copy(update={"data": made.data.model_copy(update={"classes": ["cat", "traffic light"]})})


def put(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(content))


def test_the_baseline_is_the_one_with_the_same_student_schedule_data_and_seed(tmp_path):
    ours, other = recipe(), recipe(seed=1)
    put(tmp_path / "a", {"role": "baseline", "comparable": comparable(other), "metrics": {"mAP": 1.0}})
    put(tmp_path / "b", {"role": "distill", "comparable": comparable(ours), "metrics": {"mAP": 2.0}})
    assert checks.baseline_of(ours, tmp_path) is None
    put(tmp_path / "c", {"role": "baseline", "comparable": comparable(recipe(loss="none")), "metrics": {"mAP": 3.0}})
    assert checks.baseline_of(ours, tmp_path)["metrics"]["mAP"] == 3.0


def teacher_run(folder, classes, mAP=50.0, **more):
    put(folder, result(mAP, **more))
    meta = {} if classes is None else {"dataset_meta": {"classes": classes}}
    torch.save({"meta": meta, "state_dict": {"w": torch.zeros(1)}}, folder / "teacher.pth")
    return folder


def test_a_sound_teacher_gives_no_warning(tmp_path):
    teacher = teacher_run(tmp_path / "teacher", ("cat", "traffic_light"))  # as mmdet 1 wrote COCO's names
    assert checks.before_training(recipe(), RunPaths(tmp_path / "runs" / "x"), teacher, []) == []
    assert checks.before_training(recipe(), RunPaths(tmp_path / "x"), teacher_run(tmp_path / "old", None), []) == []


def test_everything_that_speaks_against_a_run_is_said_before_it_starts(tmp_path):
    teacher = teacher_run(tmp_path / "teacher", ("traffic light", "cat"), mAP=0.0)
    found = checks.before_training(recipe(weight=0.0), RunPaths(tmp_path / "runs" / "x"), teacher, ["level 3 is alone"])
    assert found[0] == "level 3 is alone"
    assert "weight is 0" in found[1]
    assert "in another order: traffic light, cat instead of cat, traffic light" in found[2]
    assert "next to nothing to teach" in found[3]
    assert len(found) == 4


def test_other_classes_are_a_warning_and_an_error_where_the_head_is_inherited(tmp_path):
    teacher = teacher_run(tmp_path / "teacher", ("a", "b", "c", "d", "e"))
    (warning,) = checks.class_warnings(recipe(), teacher / "teacher.pth")
    assert "was trained for other classes than those of data set shapes: a, b, c, d, ... (5) instead of cat" in warning
    with pytest.raises(PkdError, match="init: inherit: the teacher was trained for other classes"):
        checks.class_warnings(recipe(pair="gfl101-gfl50"), teacher / "teacher.pth")


def test_a_teacher_that_knows_more_classes_teaches_without_a_word_and_bequeaths_no_head(tmp_path):
    ours = recipe().data.classes
    teacher = teacher_run(tmp_path / "teacher", ("more", *reversed(ours)))
    assert checks.class_warnings(recipe(), teacher / "teacher.pth") == []
    with pytest.raises(PkdError, match="init: inherit: the teacher was trained for other classes"):
        checks.class_warnings(recipe(pair="gfl101-gfl50"), teacher / "teacher.pth")


def test_a_smoke_runs_numbers_are_not_held_against_the_teacher(tmp_path):
    paths = RunPaths(tmp_path / "runs" / "x")
    assert checks.before_training(recipe(), paths, teacher_run(tmp_path / "t", None, 0.0, max_iters=4), []) == []
    assert checks.before_training(recipe(max_iters=4), paths, teacher_run(tmp_path / "u", None, 0.0), []) == []


@pytest.mark.parametrize(
    ("meta", "classes"),
    [
        ({"dataset_meta": {"classes": ["a"]}}, ["a"]),
        ({"dataset_meta": {"CLASSES": ("a", "b")}}, ["a", "b"]),
        ({"CLASSES": ("a",)}, ["a"]),
        ({"dataset_meta": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_class_names_of_checkpoints(tmp_path, meta, classes):
    torch.save({"meta": meta, "state_dict": {"w": torch.zeros(1)}}, tmp_path / "x.pth")
    assert classes_of(tmp_path / "x.pth") == classes


def test_warnings_stay_in_the_status_once_each(tmp_path):
    status = Status(RunPaths(tmp_path))
    status.warn("a")
    status.warn("b")
    status.warn("a")
    status.write(phase="train")
    assert json.loads((tmp_path / "status.json").read_text())["warnings"] == ["a", "b"]
    Status(RunPaths(tmp_path)).done()
    assert json.loads((tmp_path / "status.json").read_text())["warnings"] == ["a", "b"]
