"""How a teacher is trained where no weights exist: how long, and with what batch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkdcli.config import data
from pkdcli.config.build import build_config
from pkdcli.config.schedule import in_parts, learning_rate
from pkdcli.config.teacher import steps_schedule, teacher_recipe
from pkdcli.errors import PkdError
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.resolve import Request, resolve


@pytest.mark.parametrize(
    ("pair", "sets", "epochs", "milestones"),
    [
        ("gfl101-fcos50", (), 8, [5.3333, 7.3333]),
        ("retinax101-retina50", (), 16, [10.6667, 14.6667]),  # by the type of the backbone
        ("maskswin-faster50", (), 8, [6.0, 7.3333]),
        ("retinax101-retina50", ("scale.teacher.epochs=3",), 3, [2.0, 2.75]),  # for all
        ("retinax101-retina50", ("scale.teacher.epochs={ResNet: 8}",), 6, [4.0, 5.5]),  # its own 24, a quarter of them
    ],
)
def test_epochs_for_all_or_by_the_backbone(pair, sets, epochs, milestones):
    schedule = steps_schedule(resolve(Request(pair=pair, scale="tiny", sets=sets)))
    assert (schedule.epochs, schedule.milestones) == (epochs, milestones)


@pytest.mark.parametrize(
    ("changes", "batch", "rate"),
    [
        ({"scale": "paper", "data": "shapes"}, 16, 0.01),  # GFL's own
        ({"scale": "paper", "pretrained": False}, 16, 0.01),
        ({"scale": "paper", "data": "shapes", "devices": 8, "batch_size": 64}, 16, 0.01),  # the student's are not its
        ({"scale": "paper", "data": "shapes", "sets": ("scale.teacher.batch=8",)}, 8, 0.005),
        ({"scale": "tiny"}, 8, 0.02),  # the scale's
        ({"scale": "tiny", "sets": ("scale.teacher.batch=32",)}, 32, 0.08),
    ],
)
def test_a_teacher_has_a_batch_of_its_own_on_any_number_of_processes(changes, batch, rate):
    teacher = teacher_recipe(resolve(Request(**changes)))
    assert (teacher.role, teacher.batch) == ("teacher", batch)
    assert learning_rate(teacher) == pytest.approx(rate)
    for processes in (1, 2, 4, 8):
        assert data.train_dataloader(teacher, processes)["batch_size"] * processes == batch


@pytest.mark.parametrize(("processes", "images", "steps"), [(1, 2, 8), (2, 2, 4), (4, 2, 2), (8, 2, 1), (16, 1, 1)])
def test_a_process_takes_its_share_of_the_teachers_batch_in_as_many_steps_as_it_needs(processes, images, steps):
    teacher = teacher_recipe(resolve(Request(scale="paper", data="shapes")))
    known = {"classes": ["a"], "train_images": 160}
    teacher = teacher.model_copy(update={"data": teacher.data.model_copy(update=known)})
    config = build_config(teacher, "/w", devices=processes)
    assert config["train_dataloader"]["batch_size"] == images
    assert config["optim_wrapper"]["accumulative_counts"] == steps
    assert config["optim_wrapper"]["optimizer"]["lr"] == pytest.approx(0.01)
    assert config["param_scheduler"][1]["end"] == 24 * 10 * steps
    assert in_parts(in_parts(teacher, processes), processes) == in_parts(teacher, processes)


@pytest.mark.parametrize("changes", [{"scale": "tiny"}, {"scale": "paper"}, {"scale": "paper", "loss": "none"}])
def test_other_runs_are_taken_whole(changes):
    recipe = resolve(Request(batch_size=16, **changes))
    recipes = [recipe, *([teacher_recipe(recipe)] if recipe.teacher else [])]
    assert [in_parts(one, 1) for one in recipes] == recipes


def test_a_batch_that_can_not_be_shared_names_a_remedy_that_works():
    request = Request(scale="paper", data="shapes")
    with pytest.raises(PkdError) as caught:
        data.train_dataloader(teacher_recipe(resolve(request)), 6)
    assert caught.value.message == (
        "scale.teacher.batch: the 16 images of a step of the teacher's own training can't be shared evenly by 6 "
        "processes."
    )
    assert caught.value.hint == (
        "Give --set scale.teacher.batch=18 (its learning rate follows), or a number of processes that divides 16."
    )
    mended = resolve(replace(request, sets=("scale.teacher.batch=18",)))
    assert data.train_dataloader(teacher_recipe(mended), 6)["batch_size"] == 3


# As they were before a teacher's batch was its own: at scale paper on COCO it comes from the zoo.
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"scale": "paper"},
            ["gfl101-fcos50__pkd-w10__2x__coco-paper__s0-483601ef", "gfl101__teacher__own__coco-paper__s0-deb944f4"],
        ),
        (
            {"scale": "tiny"},
            ["gfl101-fcos50__pkd-w10__2x__shapes-tiny__s0-4550c8a7", "gfl101__teacher__own__shapes-tiny__s0-3e16b657"],
        ),
        ({"scale": "paper", "data": "shapes", "loss": "none"}, ["fcos50__baseline__2x__shapes-paper__s0-a61a3fa5"]),
    ],
)
def test_names_of_runs_whose_numbers_do_not_change_stay(changes, expected):
    recipe = resolve(Request(**changes))
    assert [run_id(one) for one in (recipe, *([teacher_recipe(recipe)] if recipe.teacher else []))] == expected


def test_another_batch_of_the_teacher_is_another_run_of_its_students_too():
    plain, other = (
        resolve(Request(scale="paper", data="shapes", sets=sets)) for sets in ((), ("scale.teacher.batch=8",))
    )
    assert run_id(plain) != run_id(other)
    assert comparable(plain) == comparable(other)
    assert run_id(teacher_recipe(plain)) != run_id(teacher_recipe(other))
    same = ("scale.teacher.batch=8",)
    assert run_id(resolve(Request(scale="paper", sets=same))) == run_id(resolve(Request(scale="paper"))), "from the zoo"


@pytest.mark.parametrize(
    ("training", "checkpoint", "size"),
    [
        ("own", "mine.pth", (640, 640)),  # as the student's config has them: RTMDet's
        ("paper", "mine.pth", (1333, 800)),
        ("own", None, (1333, 800)),  # it is trained here by its own config, whatever its students look at
    ],
)
def test_a_given_teacher_is_measured_on_images_as_large_as_it_is_shown(tmp_path, training, checkpoint, size):
    """A detector made for images of 256 pixels has nothing on those of 1333, and the reverse."""
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"weights")
    given = {"teacher_checkpoint": str(weights)} if checkpoint else {}
    asked = Request(teacher="gfl101", student="rtmdet_tiny_8xb32-300e_coco", data="shapes", training=training, **given)
    recipe = resolve(asked)
    assert data.evaluation_size(teacher_recipe(recipe)) == size
    if checkpoint:
        assert data.evaluation_size(recipe) == size
