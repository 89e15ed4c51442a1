"""Own data on several GPUs at scale paper: the teacher is trained first, with a batch that they share."""

from __future__ import annotations

import json

import pytest

WORDS = ("train", "--pair", "gfl101-fcos50", "--dry-run", "--json")


# The images of a step: the teacher's own, and the student's two on each GPU.
@pytest.mark.parametrize(
    ("where", "batches"),
    [
        (("--gpus", "1"), [16, 2]),
        (("--gpus", "4"), [16, 8]),
        (("--gpus", "8"), [16, 16]),
        (("--launcher", "slurm", "--nodes", "2", "--gpus-per-node", "8"), [16, 32]),
    ],
)
def test_a_teacher_is_trained_on_any_number_of_gpus_that_its_batch_allows(pkd, micro, where, batches):
    answer = pkd(*WORDS, "--data", micro, *where)
    assert answer.code == 0, answer.err
    found = [one for line in answer.out.splitlines() if "recipe" in (one := json.loads(line))]  # and a Slurm script
    assert [one["recipe"]["role"] for one in found] == ["teacher", "distill"]
    assert [one["recipe"]["batch"] for one in found] == batches


def test_a_number_that_it_does_not_allow_is_told_with_a_remedy_that_works(pkd, micro):
    answer = pkd(*WORDS, "--data", micro, "--gpus", "6")
    assert answer.code == 2
    assert "scale.teacher.batch: the 16 images of a step of the teacher's own training can't be shared" in answer.err
    assert "--set scale.teacher.batch=18" in answer.err
    answer = pkd(*WORDS, "--data", micro, "--gpus", "6", "--set", "scale.teacher.batch=18")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out.splitlines()[0])["recipe"]["batch"] == 18


def test_coco_without_the_zoos_weights(pkd):
    answer = pkd(*WORDS, "--no-pretrained", "--gpus", "8")
    batches = [json.loads(line)["recipe"]["batch"] for line in answer.out.splitlines()]
    assert (answer.code, batches) == (0, [16, 16]), answer.err
