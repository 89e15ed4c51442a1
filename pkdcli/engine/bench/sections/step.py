"""Sections `step` and `group`: what a distilled step costs over the floor, against mmrazor's, and shared by several."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from torch import nn

from pkdcli.engine.bench.inputs import models
from pkdcli.engine.bench.measure import Section, extra_memory, interleaved, settle
from pkdcli.engine.distill.shared_teacher import SharedTeacher
from pkdcli.recipe.schema import Recipe

STEP = 0.97  # of mmrazor's
OVERHEAD = 0.02  # over the floor
MEMORY = 0.9  # of mmrazor's
OVER_FLOOR = 1.03
WAITS = 6  # steps with a loader


def step(recipe: Recipe, repeat: int, warmup: int = 1) -> Section:
    """Time the step of a distilled run and its parts, and mmrazor's on the same pair.

    Args:
        recipe: Of the distilled run.
        repeat: Rounds that are timed.
        warmup: Rounds before them.
    """
    section = Section("step", f"One step of {recipe.pair}, scale {recipe.scale.name}, {_size(recipe)}")
    batch = next(models.batches(recipe))
    ours = models.built(models.our_section(recipe), recipe, batch)
    razor = models.built(models.razor_section(recipe), recipe, batch)
    pieces = {**parts(recipe, ours, batch), "mmrazor's step": training(recipe, razor, batch, stock=True)}
    section.time(interleaved(pieces, repeat, warmup))
    paper = not recipe.scale.rules
    floor = ["student alone", "teacher alone"]
    section.ratio("overhead over the floor (student + teacher)", ["distilled step"], floor, less=1.0,
                  at_most=OVERHEAD if paper else None)  # fmt: skip
    section.ratio("against mmrazor's step", ["distilled step"], ["mmrazor's step"], at_most=STEP if paper else None)
    median = section.timings[2]["median"]
    section.number("images a second, distilled", recipe.batch / median, "1/s")
    added = {name: extra_memory(pieces[name]) for name in ("student alone", "distilled step", "mmrazor's step")}
    memory = [models.resident(ours) + added["distilled step"], models.resident(razor) + added["mmrazor's step"]]
    section.number("peak memory, distilled", memory[0], "MiB")
    section.number("peak memory, mmrazor", memory[1], "MiB")
    section.number("peak memory against mmrazor's", memory[0] / memory[1], "", at_most=MEMORY if paper else None)
    student = models.resident(ours, teacher=False) + added["student alone"]
    section.number("peak memory, student alone", student, "MiB")
    section.number("data wait, share of a step", data_wait(recipe, training(recipe, ours)), "")
    section.notes.append("Peak memory: weights, momentum, and the most that a step adds by PyTorch's allocator.")
    if recipe.scale.channels_last:
        section.notes.append("mmrazor's models stay in its own layout; ours are channels last, as the scale says.")
    return section


def group(recipe: Recipe, repeat: int, students: int, warmup: int = 1) -> Section:
    """Time K students that share one teacher against K runs, and state the floor.

    Args:
        recipe: Of each student's run.
        repeat: Rounds that are timed.
        students: K.
        warmup: Rounds before those that are timed.
    """
    section = Section("group", f"{students} students sharing one teacher, {recipe.pair}, {_size(recipe)}")
    batch = next(models.batches(recipe))
    pair = [models.built(models.our_section(recipe), recipe, batch) for _ in range(students + 1)]
    alone, shared = pair[0], pair[1:]
    shared_teacher = SharedTeacher()
    for one in shared:
        one.share_teacher(shared_teacher)
    steps = [training(recipe, one, batch) for one in shared]

    def together() -> None:
        shared_teacher.begin()
        for take in steps:
            take()

    name = f"{students} students, shared"
    section.time(interleaved({**parts(recipe, alone, batch), name: together}, repeat, warmup))
    share = section.ratio(f"against {students} runs", [name], ["distilled step"], times=1 / students)
    floor = section.ratio(f"floor: ({students} students + teacher) / {students} (student + teacher)",
                          ["student alone"] * students + ["teacher alone"], ["student alone", "teacher alone"],
                          times=1 / students)  # fmt: skip
    section.number("share over the floor", share / floor, "", at_most=OVER_FLOOR)
    return section


def parts(recipe: Recipe, algorithm: nn.Module, batch: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The student's own step, the teacher's forward pass with its view of the batch, and the distilled step.

    Args:
        recipe: Of the distilled run.
        algorithm: Built from it.
        batch: As its loader gives it.
    """
    optimizer = models.optimizer(recipe, algorithm)

    def teacher() -> None:
        view = algorithm.data_preprocessor.cast_data(batch["inputs"])
        inputs = algorithm.data_preprocessor.teacher({"inputs": view, "data_samples": None}, False)["inputs"]
        algorithm.forward_teacher(inputs)
        for recorder in algorithm.distiller.teacher_recorders.recorders.values():
            recorder.reset_data_buffer()

    student = algorithm.architecture
    return {
        "student alone": lambda: student.train_step(batch, optimizer),
        "teacher alone": teacher,
        "distilled step": lambda: algorithm.train_step(batch, optimizer),
    }


def training(
    recipe: Recipe, algorithm: nn.Module, batch: dict[str, Any] | None = None, stock: bool = False
) -> Callable[..., Any]:
    """A function that takes a training step, on that batch or on the one it is given.

    Args:
        recipe: Of the run.
        algorithm: What is trained.
        batch: As its loader gives it; None where the function is given one.
        stock: With mmengine's wrapper of the optimizer in place of ours.
    """
    optimizer = models.optimizer(recipe, algorithm, stock)
    return lambda given=batch: algorithm.train_step(given, optimizer)


def data_wait(recipe: Recipe, take: Callable[[Any], Any], steps: int = WAITS) -> float:
    """The share of the time that training waits for its loader, once that has started.

    Args:
        recipe: Whose loader it is.
        take: Takes a step on a batch.
        steps: How many.
    """
    batches = models.batches(recipe)
    take(next(batches))
    begin, waited = time.perf_counter(), 0.0
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        take(batch)
        settle()
    batches.close()
    return waited / (time.perf_counter() - begin)


def _size(recipe: Recipe) -> str:
    width, height = recipe.scale.image
    return f"{recipe.batch} images of {height}x{width}"
