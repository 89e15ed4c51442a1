"""Section `suggest`: the settings of `teacher_speed` that are faster on this machine, each with its error."""

from __future__ import annotations

import copy
import shutil
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from pkdcli.config.families import family_of
from pkdcli.engine.bench.inputs import models
from pkdcli.engine.bench.measure import Section, interleaved, settle
from pkdcli.engine.distill import teacher as teaching
from pkdcli.engine.setup.precision import full_float32
from pkdcli.engine.speedups.conv_norms import distance
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths

WORTH = 1.05  # times faster in three rounds of four, or it is not worth a line in a recipe
COMPILE = "compile=true"
SECOND = 5.0  # seconds that the first image of another size may take; compiling anew takes a minute
UNTRAINED = "The teacher has random weights, which make errors of rounding larger than trained ones do."


def suggest(recipe: Recipe, repeat: int, trained: Path | None = None) -> Section:
    """Time the teacher's forward pass under each setting, against the recipe's own.

    Args:
        recipe: A distilled run's.
        repeat: Rounds.
        trained: The teacher's run directory, finished; without one its weights are random.
    """
    title = recipe.teacher.title if recipe.teacher else ""
    section = Section("suggest", f"Settings for the teacher {title}, {recipe.batch} images")
    batch = next(models.batches(recipe))
    plain = recipe.model_copy(update={"teacher_speed": recipe.teacher_speed.model_copy(update={"fold": False})})
    weights = RunPaths(trained).teacher if trained else None
    algorithm = models.built(models.our_section(plain, weights), plain, batch)
    inputs = algorithm.data_preprocessor(batch, True)["teacher_inputs"]
    teachers = {"plain": algorithm.teacher}
    usual_settings = candidates(recipe.scale.channels_last, may_compile(algorithm.teacher))
    for name, settings in usual_settings.items():
        one = copy.deepcopy(algorithm.teacher)
        layout = teaching.FORMATS[settings.pop("channels_last", None)]
        teaching.prepare(one, **{"fold": True, **settings})
        teachers[name] = one if layout is None else one.to(memory_format=layout)
    with full_float32():  # TF32 would be the larger error, of all of them
        expected = teaching.forward_features(algorithm.teacher, inputs)
    if COMPILE in teachers:
        first, second = first_forwards(teachers[COMPILE], inputs)
        section.number("compile=true: before the first step", first, "s")
        section.number("compile=true: before the first step of another size", second, "s", at_most=SECOND)
    pieces = {name: (lambda one=one: teaching.forward_features(one, inputs)) for name, one in teachers.items()}
    section.time(interleaved(pieces, repeat))
    for name, one in list(teachers.items())[1:]:
        section.ratio(f"{name}: times faster", ["plain"], [name])
        with full_float32():
            found = teaching.forward_features(one, inputs)
        error = max(distance(a, b) for a, b in zip(found, expected, strict=True))
        section.number(f"{name}: error of the features", error, "relative")
    usual = next(timing for timing in section.timings if timing["name"] == "fold=true")["seconds"]
    errors = [number for number in section.numbers if number["unit"] == "relative"]
    for ratio, number in list(zip(section.ratios, errors, strict=True))[1:]:
        name = ratio["by"][0]
        seconds = next(timing for timing in section.timings if timing["name"] == name)["seconds"]
        gains = sorted(a / b for a, b in zip(usual, seconds, strict=True))
        if name == COMPILE and second > SECOND:
            section.notes.append(f"{name} takes {second:.0f} s more for each size of images: not where sizes change.")
        elif gains[len(gains) // 4] >= WORTH:
            sets = " ".join(f"--set teacher_speed.{word}" for word in name.split(", "))
            gain = gains[len(gains) // 2]
            section.notes.append(f"Faster here: {sets} ({gain:.2f} times; features off by {number['value']:.1e}).")
    if not section.notes:
        section.notes.append("Nothing here is faster than the defaults.")
    section.notes.append("The teacher is trained." if trained else UNTRAINED)
    return section


def first_forwards(teacher: nn.Module, inputs: Tensor) -> tuple[float, float]:
    """Seconds of the first forward pass of these images, and of the first of the upper halves of them.

    What is compiled anew for each size of images costs more than it gains.

    Args:
        teacher: On this machine's device.
        inputs: (N, 3, H, W), normalised.
    """
    found = []
    for images in (inputs, inputs[:, :, : max(64, inputs.shape[2] // 64 * 32)].contiguous()):
        settle()
        begin = time.perf_counter()
        teaching.forward_features(teacher, images)
        settle()
        found.append(time.perf_counter() - begin)
    return found[0], found[1]


def may_compile(teacher: nn.Module) -> bool:
    """Whether `teacher_speed.compile` takes this teacher."""
    return not family_of(type(teacher.backbone).__name__).compiled_by_size


def candidates(channels_last: bool, may_compile: bool = True) -> dict[str, dict]:
    """Settings of `teacher_speed` to try on this machine, by how they are typed; the default first.

    Args:
        channels_last: What the scale says.
        may_compile: Whether `compile` takes this teacher.
    """
    other = {"channels_last": not channels_last}
    word = f"channels_last={str(not channels_last).lower()}"
    found: dict[str, dict] = {"fold=true": {}, word: dict(other)}
    for precision in ("bfloat16", *(("float16",) if torch.cuda.is_available() else ())):
        found[f"precision={precision}"] = {"precision": precision}
        found[f"precision={precision}, {word}"] = {"precision": precision, **other}
    if may_compile and (torch.cuda.is_available() or shutil.which("g++")):
        found[COMPILE] = {"compile": True}
    return found
