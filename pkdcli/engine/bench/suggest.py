"""Section `suggest`: the settings of `teacher_speed` that are faster on this machine, each with its error."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import torch

from pkdcli.engine import teacher as teaching
from pkdcli.engine.bench import models
from pkdcli.engine.bench.measure import Section, interleaved
from pkdcli.engine.norms import distance
from pkdcli.engine.precision import full_float32
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths

WORTH = 1.05  # times faster in three rounds of four, or it is not worth a line in a recipe
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
    for name, settings in candidates(recipe.scale.channels_last).items():
        one = copy.deepcopy(algorithm.teacher)
        layout = teaching.FORMATS[settings.pop("channels_last", None)]
        teaching.prepare(one, **{"fold": True, **settings})
        teachers[name] = one if layout is None else one.to(memory_format=layout)
    with full_float32():  # TF32 would be the larger error, of all of them
        expected = teaching.look(algorithm.teacher, inputs)
    pieces = {name: (lambda one=one: teaching.look(one, inputs)) for name, one in teachers.items()}
    section.time(interleaved(pieces, repeat))
    for name, one in list(teachers.items())[1:]:
        section.ratio(f"{name}: times faster", ["plain"], [name])
        with full_float32():
            found = teaching.look(one, inputs)
        error = max(distance(a, b) for a, b in zip(found, expected, strict=True))
        section.number(f"{name}: error of the features", error, "relative")
    usual = next(timing for timing in section.timings if timing["name"] == "fold=true")["seconds"]
    for ratio, number in list(zip(section.ratios, section.numbers, strict=True))[1:]:
        name = ratio["by"][0]
        seconds = next(timing for timing in section.timings if timing["name"] == name)["seconds"]
        gains = sorted(a / b for a, b in zip(usual, seconds, strict=True))
        if gains[len(gains) // 4] >= WORTH:
            sets = " ".join(f"--set teacher_speed.{word}" for word in name.split(", "))
            gain = gains[len(gains) // 2]
            section.notes.append(f"Faster here: {sets} ({gain:.2f} times; features off by {number['value']:.1e}).")
    if not section.notes:
        section.notes.append("Nothing here is faster than the defaults.")
    section.notes.append("The teacher is trained." if trained else UNTRAINED)
    return section


def candidates(channels_last: bool) -> dict[str, dict]:
    """Settings of `teacher_speed` to try on this machine, by how they are typed; the default first."""
    other = {"channels_last": not channels_last}
    word = f"channels_last={str(not channels_last).lower()}"
    found: dict[str, dict] = {"fold=true": {}, word: dict(other)}
    for precision in ("bfloat16", *(("float16",) if torch.cuda.is_available() else ())):
        found[f"precision={precision}"] = {"precision": precision}
        found[f"precision={precision}, {word}"] = {"precision": precision, **other}
    if torch.cuda.is_available() or shutil.which("g++"):
        found["compile=true"] = {"compile": True}
    return found
