"""Train one detector (a teacher, a baseline, or a student with its teacher), or evaluate a given one."""

from __future__ import annotations

import logging
import math
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from torch import nn

from pkdcli import cores
from pkdcli.config import schedule
from pkdcli.config.build import as_python, imports_of, notes
from pkdcli.config.levels import pairing
from pkdcli.config.levels.look import looker
from pkdcli.engine import checkpoint
from pkdcli.engine.checkpoint import model_zoo, training_state
from pkdcli.engine.distributed import processes
from pkdcli.engine.metrics import kept, labels
from pkdcli.engine.setup import environment
from pkdcli.engine.setup.config import run_config
from pkdcli.engine.sizes import Size
from pkdcli.engine.train import determinism, export
from pkdcli.engine.train.batches import TrainingContext, TrainingCoroutine, run_to_end
from pkdcli.engine.train.checks import before_training
from pkdcli.engine.train.hooks.run_status import say_phase, status_of
from pkdcli.engine.train.loop import last_metrics
from pkdcli.engine.train.runner import PkdRunner, detector
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import METRICS
from pkdcli.runs.store import read_jsonl, write_text


@dataclass(frozen=True)
class Outcome:
    """What a training leaves behind.

    Attributes:
        metrics: AP points, 0 to 100, of the last epoch; NaN where the data has no object of that size.
        epoch: The epoch they are of.
        train_seconds: Time in training steps, over all resumes.
        images_seen: Images that went through those steps.
        peak_memory_mb: Of the device, or of this process on a CPU, in MiB.
        by_class: AP points by the name of the class, of the last epoch; None where nobody knows.
        facts: Of a distilled run: the levels that were compared, their adapters, what was inherited.
        size: Of the exported detector; None in all processes but the first, and where it can't be found out.
    """

    metrics: dict[str, float]
    epoch: int
    train_seconds: float
    images_seen: int
    peak_memory_mb: float
    by_class: dict[str, float | None] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    size: Size | None = None


def train(recipe: Recipe, paths: RunPaths, cache: Path, teacher_weights: Path | None) -> Outcome:
    """Carry out a recipe in its run directory and export the detector.

    Called in every process that the launcher has started for the run.

    Args:
        recipe: What to carry out.
        paths: Its run directory.
        cache: The cache folder.
        teacher_weights: The teacher's checkpoint, for a distilled run.

    Raises:
        PkdError, StopRequested: As `run_steps`.
    """
    context = TrainingContext()
    return run_to_end(run_steps(recipe, paths, cache, teacher_weights, context), context)


def run_steps(
    recipe: Recipe, paths: RunPaths, cache: Path, teacher_weights: Path | None, context: TrainingContext
) -> TrainingCoroutine[Outcome]:
    """The same, with batches that somebody hands over.

    Args:
        recipe: What to carry out.
        paths: Its run directory.
        cache: The cache folder.
        teacher_weights: The teacher's checkpoint, for a distilled run.
        context: Loads the data; students that share a teacher have one that shares these, too.

    Raises:
        PkdError: Weights that can't be had or don't fit, data that differ from what the recipe says.
        StopRequested: Somebody asked the run to stop.
        Paused: It has come to where `context` has it pause.
    """
    if recipe.amp and not torch.cuda.is_available():
        raise PkdError(
            "--amp needs a GPU, and torch sees none.", "Leave out --amp, or see `pkd doctor`.", ExitCode.MISSING
        )
    recipe = schedule.in_parts(recipe, processes.world_size())
    listener = determinism.switch_on(paths.env if processes.rank() == 0 else None) if recipe.deterministic else None
    model_zoo.install_into_mmengine(cache)
    content, said = run_config(recipe, paths.root, teacher_weights, processes.world_size())
    if said and processes.rank() == 0:  # stock tools shall build what is built here
        write_text(paths.config, as_python(content, paths.run))
    given = model_zoo.resolve_weights(recipe.weights, cache) if recipe.weights else None
    if given is not None:
        labels.as_many_classes(content, recipe.data, given)
    # mmengine prints it into the log and every state. yapf, which it would lay it out with, takes longer for that than
    # a small student for an epoch.
    config = Config(content, format_python_code=False)
    start = config.pop("load_from")
    loaders = fit_loaders(config, recipe)
    processes.init_process_group()
    runner = PkdRunner.from_cfg(config)
    context.join(runner)
    if is_main_process():
        environment.note_threads(paths.env, loaders)
    if listener is not None and is_main_process():
        listener.tell(status_of(runner).warn)
    resume = _state_to_resume(paths, runner) if not recipe.weights else None
    if recipe.mask_head:
        print_log(f"mask head {recipe.mask_head}", "current")
    for text in [*said, *notes(recipe)]:
        _say(runner, text)
    facts = distillation_facts(runner.model)
    if recipe.role == "distill":
        _look_before(recipe, paths, runner, teacher_weights)
    if recipe.weights:
        say_phase(runner, "weights")
        # A file that names no classes may be of another number of them: its backbone and neck can teach.
        strict = "exact" if checkpoint.classes_of(given) else "resized-heads"
        report = checkpoint.load_into(detector(runner.model), given, strict=strict, what="the teacher")
        say_phase(runner, "data")
        metrics, classes = _measure_given(recipe, runner, given, list(report.mismatched))
        by_class = kept.by_class(runner)
    else:
        say_phase(runner, "data")
        _same_length(runner, recipe, context)
        say_phase(runner, "weights")
        if start and resume is None:
            # After the weights of init_cfg, which would otherwise be drawn over these.
            runner._init_model_weights()
            report = checkpoint.load_into(
                detector(runner.model),
                model_zoo.resolve_weights(start, cache),
                strict="resized-heads",
                what="the start",
            )
            print_log(f"started from {start}; resized: {', '.join(report.mismatched) or 'nothing'}", "current")
        if resume is not None:
            print_log(f"resuming from {resume.name}", "current")
            # `train` loads it after drawing the weights of init_cfg, which would otherwise be drawn over it.
            runner._resume, runner._load_from = True, str(resume)
        yield from runner.run_steps(context.pause)
        metrics, classes = last_metrics(paths, runner.iter), None
        by_class = metrics.get("classes")
    say_phase(runner, "finish")
    measured = export.measured_weights(runner)
    size = export.write(recipe, paths, measured, classes) if is_main_process() else None
    iters = runner.iter if not recipe.weights else 0
    return Outcome(
        metrics={name: metrics[name] for name in METRICS},
        epoch=0 if recipe.weights else -(-iters // schedule.iters_per_epoch(recipe)),
        train_seconds=train_seconds(paths),
        images_seen=iters * recipe.batch,
        peak_memory_mb=peak_memory_mb(),
        by_class=by_class,
        facts={**facts, **context.facts()},
        size=size,
    )


def _measure_given(
    recipe: Recipe, runner: PkdRunner, weights: Path, resized: list[str]
) -> tuple[dict[str, float], list[str]]:
    """The metrics of a teacher that was given, its labels taken by the names of its classes, and these in order.

    NaN where it does not know the data's classes: its features may teach all the same, and that it is another's is said
    with each student.
    """
    theirs = checkpoint.classes_of(weights)
    if resized or (theirs is not None and checkpoint.among(theirs, recipe.data.classes or []) is None):
        what = f"was trained for {labels.some(theirs)}" if theirs else "names no classes and has another number of them"
        ours = labels.some(recipe.data.classes or [])
        _say(runner, f"{weights} {what}: the teacher's own AP on {recipe.data.name} ({ours}) is not measured.")
        return dict.fromkeys(METRICS, math.nan), theirs or ["(not named)"]
    orders, said = labels.orders_of(weights, recipe.data)
    metrics, order, more = labels.measure(runner, orders, weights)
    for text in (*said, *more):
        _say(runner, text)
    return metrics, [name or theirs[place] for place, name in enumerate(order)]


def _say(runner: PkdRunner, text: str) -> None:
    print_log(text, "current", logging.WARNING)
    if is_main_process():
        status_of(runner).warn(text)


def fit_loaders(config: Config | dict[str, Any], recipe: Recipe) -> int:
    """Have no more loader processes than the process has cores, unless somebody asked for another number.

    Args:
        config: Changed in place.
        recipe: The run's.

    Returns:
        How many there are.
    """
    loaders = recipe.workers
    if loaders == recipe.scale.workers:
        loaders = min(loaders, cores.share())
    for name in ("train_dataloader", "val_dataloader"):
        if config.get(name) and config[name].get("num_workers") == recipe.workers:
            config[name]["num_workers"] = loaders
    if loaders < recipe.workers:
        print_log(f"{loaders} of {recipe.workers} loader processes, by the cores of this process", "current")
    return loaders


def distillation_facts(model: nn.Module) -> dict[str, Any]:
    """What a distilled run's result says of its levels, adapters and inheritance; also told in the log."""
    model = getattr(model, "module", model)
    if not hasattr(model, "distiller"):
        return {}
    facts = model.facts()
    for name, value in facts.items():
        print_log(f"{name}: {value}", "current")
    return facts


def _look_before(recipe: Recipe, paths: RunPaths, runner: PkdRunner, teacher_weights: Path | None) -> None:
    """Say what speaks against a distilled run, in its log and its status."""
    model = runner.cfg["model"]
    look = looker(imports_of(recipe))
    unpaired = pairing(recipe.loss.levels, model["architecture"], model["teacher"], look, recipe.taps).warnings
    teacher = teacher_weights.parent if teacher_weights else None
    for text in before_training(recipe, paths, teacher, unpaired):
        print_log(text, "current", logging.WARNING)
        if is_main_process():
            status_of(runner).warn(text)


def _state_to_resume(paths: RunPaths, runner: PkdRunner) -> Path | None:
    """The training state to go on from, the same in all processes; what is to be said of damaged ones is said."""
    found, said = None, []
    if is_main_process():
        training_state.clear_away(paths)
        found, said = training_state.newest(paths)
    for text in said:
        print_log(text, "current", logging.WARNING)
        status_of(runner).warn(text)
    return processes.broadcast(found)


def train_seconds(paths: RunPaths) -> float:
    """Seconds spent in the steps that the result is made of; a step that was taken again counts once."""
    records = [record for record in read_jsonl(paths.metrics) if record.get("kind") == "train"]
    return records[-1].get("seconds") or 0.0 if records else 0.0


def peak_memory_mb() -> float:
    """Peak memory in MiB: of the device on CUDA, of this process elsewhere."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _same_length(runner: PkdRunner, recipe: Recipe, context: TrainingContext) -> None:
    """The schedule counts on as many steps as the loader has: make sure of it before training for hours."""
    begin = time.perf_counter()
    loader = runner._train_dataloader = context.load(runner)
    length = len(loader.dataset)
    if length != recipe.data.train_images:
        raise PkdError(
            f"data set {recipe.data.name}: {length} usable training images, where the recipe says "
            f"{recipe.data.train_images}.",
            "`filter_cfg` in the config can't change the images that are trained on: `background: true` in the data "
            "recipe (--set data.background=true) lets in those without objects.",
        )
    for text in recipe.data.warnings:
        print_log(text, "current", logging.WARNING)
    print_log(f"{length} training images, loaded in {time.perf_counter() - begin:.1f} s", "current")
