"""Section `launches`: what losses and a step ask of a GPU, and how often they wait for it, on a fake one.

A GPU is kept busy only as long as the processor launches kernels faster than it carries them out and never waits for
it. Both can be counted where there is no GPU, and need no idle machine.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pkdcli.engine.bench.fake_gpu import Counts, FakeGpu, fake_gpu
from pkdcli.engine.bench.inputs import models
from pkdcli.engine.bench.measure import Section
from pkdcli.engine.bench.sections.losses import TEMPERATURE, Loss, peers
from pkdcli.engine.losses import build_loss
from pkdcli.engine.train.loss_log import LossLog
from pkdcli.recipe.schema import Recipe

LEVELS = ((100, 168), (50, 84), (25, 42), (13, 21), (7, 11))
"""P3 to P7 of an image of 1333x800 pixels."""

REACH = {"pkd": 1.0, "mse": 2.0, "norm-kl": 0.5}  # kernels, of the peer's
CHANNELS = 2  # nothing that is counted depends on them
TYPES = {"float32": torch.float32, "float16": torch.float16}


def launches(recipe: Recipe, levels: Sequence[tuple[int, int]] = LEVELS) -> Section:
    """Count the kernels and waits of the losses, and of each phase of a step of ours and of mmrazor's.

    Args:
        recipe: Of the distilled run whose step is counted.
        levels: (height, width) of each level's maps, for the losses by themselves.
    """
    width, height = recipe.scale.image
    title = f"Kernels and waits on a GPU: losses over {len(levels)} levels, a step of {recipe.pair} at {height}x{width}"
    section = Section("launches", title)
    for kind, dtype in TYPES.items():
        _losses(section, kind, dtype, levels)
    batch = next(models.batches(recipe))
    mixed = recipe.model_copy(update={"amp": True})
    found = {
        "pkd": step(recipe, batch, ours=True),
        "mmrazor": step(recipe, batch, ours=False),
        "pkd, AMP": step(mixed, batch, ours=True),
    }
    theirs = found["mmrazor"]
    for name, phases in found.items():
        most = dict.fromkeys(("kernels", "waits")) if name != "pkd" else _totals(theirs)
        for phase, counts in phases.items():
            none = 0 if phase in ("data", "teacher", "distillation losses", "log") and name != "mmrazor" else None
            section.number(f"step, {name}: {phase}, kernels", counts.kernels, "")
            section.number(f"step, {name}: {phase}, waits", counts.syncs, "", at_most=none)
        for what, total in _totals(phases).items():
            section.number(f"step, {name}: in all, {what}", total, "", at_most=most[what])
    section.notes.append("Counted on tensors that compute on the CPU; the kernels within an operation count as one.")
    return section


def _totals(phases: dict[str, Counts]) -> dict[str, int]:
    return {
        "kernels": sum(counts.kernels for counts in phases.values()),
        "waits": sum(counts.syncs for counts in phases.values()),
    }


def _losses(section: Section, kind: str, dtype: torch.dtype, levels: Sequence[tuple[int, int]]) -> None:
    for name, (title, peer) in peers().items():
        ours = of_loss(build_loss(name, **({"temperature": TEMPERATURE} if name == "norm-kl" else {})), dtype, levels)
        theirs = of_loss(peer, dtype, levels)
        most = REACH[name] * theirs.kernels if name in REACH else None
        section.number(f"{name}, {kind}: kernels", ours.kernels, "", at_most=most)
        section.number(f"{name}, {kind}: kernels of {title}", theirs.kernels, "")
        section.number(f"{name}, {kind}: waits", ours.syncs, "", at_most=0)


def of_loss(loss: Loss, dtype: torch.dtype, levels: Sequence[tuple[int, int]]) -> Counts:
    """What a loss launches over all levels, forward and backward, in its second step.

    Args:
        loss: Of two maps.
        dtype: Of the maps.
        levels: (height, width) of each.
    """
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, 2, CHANNELS, *size, generator=generator).to(dtype) for size in levels]
    with fake_gpu() as gpu:
        pairs = [tuple(one.to("cuda") for one in both) for both in maps]
        for _ in range(2):  # what is made once is made in the first
            students = [student.detach().requires_grad_() for student, _ in pairs]
            with gpu.count() as counts:
                sum(loss(student, teacher) for student, (_, teacher) in zip(students, pairs, strict=True)).backward()
    return counts


def step(recipe: Recipe, batch: dict[str, Any], ours: bool) -> dict[str, Counts]:
    """What each phase of a distilled step launches, in the second step.

    Args:
        recipe: Of the run.
        batch: As its loader gives it.
        ours: As pkd trains, or as mmrazor's own flow.
    """
    with fake_gpu() as gpu:
        section = models.our_section(recipe) if ours else models.razor_section(recipe)
        model = models.built(section, recipe, batch)
        optimizer = models.optimizer(recipe, model, stock=not ours)
        phases: dict[str, Counts] = {}
        for _ in range(2):
            # As the loaders give it: ours puts it into page-locked memory.
            given = gpu.pin(copy.deepcopy(batch)) if ours else copy.deepcopy(batch)
            phases = _take(gpu, model, optimizer, given, ours)
    return phases


def _take(gpu: FakeGpu, model: Any, optimizer: Any, batch: dict[str, Any], ours: bool) -> dict[str, Counts]:
    """Take a step as `train_step` does and log it; the counts of its phases."""
    found: dict[str, Counts] = {}

    def phase(name: str, do: Callable[[], Any]) -> Any:
        with gpu.count() as found[name]:
            return do()

    def student() -> dict[str, Tensor]:
        with model.distiller.student_recorders:
            return dict(model.student(data["inputs"], data["data_samples"], mode="loss"))

    with optimizer.optim_context(model):
        data = phase("data", lambda: model.data_preprocessor(batch, True))
        if ours:
            phase("teacher", lambda: model.record_teacher(data["teacher_inputs"]))
            losses = phase("student", student)
            distilled = phase("distillation losses", model.distiller.compute_distill_losses)
            losses.update({f"distill.{name}": value for name, value in distilled.items()})
        else:
            losses = phase("student, teacher, losses", lambda: model(**data, mode="loss"))
    total, log = phase("sum", lambda: model.parse_losses(losses))
    phase("backward pass and optimizer", lambda: optimizer.update_params(total))
    # mmengine's RuntimeInfoHook reads each of them.
    phase("log", lambda: LossLog().add(log) if ours else [value.item() for value in log.values()])
    return found
