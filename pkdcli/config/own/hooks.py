"""A config's own hooks: which are carried out, which are done otherwise here or make no sense, which are refused."""

from __future__ import annotations

from typing import Any, NamedTuple

from pkdcli.config.data import epoch_of_switch
from pkdcli.config.own.length import Length
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import bare, config_of
from pkdcli.recipe.schema import Recipe

Section = dict[str, Any]

# Carried out by pkd itself, in every run.
_DONE = {
    "SetEpochInfoHook": "every detector is told its epoch",
    "PipelineSwitchHook": "the data set changes its pipeline by the epoch",
    "CheckInvalidLossHook": "every loss is looked at",
    "NumClassCheckHook": "heads have the data's classes",
    "CheckpointHook": "states are saved by --checkpoint-minutes and --checkpoint-iters",
    "LoggerHook": "",
    "RuntimeInfoHook": "",
    "IterTimerHook": "",
    "ParamSchedulerHook": "",
    "DistSamplerSeedHook": "",
    "SyncBuffersHook": "statistics of batch norms are averaged over the processes at the end of each epoch",
    "SyncNormHook": "statistics of batch norms are averaged over the processes at the end of each epoch",
}
# They change no result.
_DROPPED = {
    "EarlyStoppingHook": "a run has the length that its recipe says",
    "DetVisualizationHook": "`pkd visualize` draws",
    "TrackVisualizationHook": "`pkd visualize` draws",
    "GroundingVisualizationHook": "`pkd visualize` draws",
    "NaiveVisualizationHook": "`pkd visualize` draws",
    "MemoryProfilerHook": "`pkd bench` measures",
    "ProfilerHook": "`pkd bench` measures",
    "NPUProfilerHook": "`pkd bench` measures",
    "PrepareTTAHook": "a detector is evaluated without test-time augmentation",
}
_SYNC = {"type": "PkdSyncNormHook"}
_REFUSED = {
    "MeanTeacherHook": "it trains from images without annotations, which data sets here do not have",
}


class OwnHooks(NamedTuple):
    """What becomes of a config's hooks.

    Attributes:
        sections: Of those that a run has.
        dropped: A phrase on each that is left out and does nothing here.
    """

    sections: list[Section]
    dropped: list[str]


def own_hooks(recipe: Recipe) -> OwnHooks:
    """The hooks of a config as a run has them, what they count in epochs or steps scaled to its length.

    Args:
        recipe: The run's; its `student` is the detector that is trained.

    Raises:
        PkdError: A hook can't be carried out here.
    """
    config = config_of(recipe.student)
    sections: list[Section] = []
    dropped: list[str] = []
    standard, custom = config.get("default_hooks") or {}, config.get("custom_hooks") or []
    for where, section in (*((f"default_hooks.{key}", one) for key, one in standard.items()),
                           *((f"custom_hooks.{number}", one) for number, one in enumerate(custom))):  # fmt: skip
        if not isinstance(section, dict) or "type" not in section:
            continue
        name = bare(section)
        if name in _REFUSED:
            raise PkdError(
                f"detector {recipe.student.name}: {where}: {name}: {_REFUSED[name]}.",
                "Give --training paper to train it as appendix A.2 does.",
            )
        if name in _DROPPED:
            if where.startswith("custom_hooks"):
                dropped.append(f"{name} ({_DROPPED[name]})")
        elif name == "EMAHook":
            sections.append(_averages(recipe, section))
        elif name == "YOLOXModeSwitchHook":
            sections.append(_mode_switch(recipe, section))
        elif name not in _DONE:
            sections.append(section)
        elif name in ("SyncNormHook", "SyncBuffersHook") and _SYNC not in sections:
            sections.append(_SYNC)
    return OwnHooks(sections, dropped)


def _averages(recipe: Recipe, section: Section) -> Section:
    """Averages that look back over the same share of the run as the config's over its own training.

    What is counted in steps is stretched like the run, and the weight of a step shrinks so.
    """
    length = Length(recipe)
    stretch = length.steps / length.own_steps
    found = {**section, "type": "PkdEMAHook"}
    if begin := section.get("begin_epoch") or section.get("begin_iter"):
        found.pop("begin_epoch", None)
        found["begin_iter"] = length.at(begin, bool(section.get("begin_epoch")))
    if section.get("ema_type", "ExponentialMovingAverage") == "StochasticWeightAverage":
        return found
    momentum = section.get("momentum", 0.0002)
    found["momentum"] = round(min(momentum / stretch, 0.5) if momentum < 0.5 else momentum, 8)
    if bare({"type": section.get("ema_type", "")}) == "ExpMomentumEMA":
        found["gamma"] = max(1, round(section.get("gamma", 2000) * stretch))
    return found


def _mode_switch(recipe: Recipe, section: Section) -> Section:
    """YOLOX's switch of its head; that of its pipeline is the data set's."""
    epoch = epoch_of_switch(recipe.student, section, recipe.schedule.epochs)
    found = {"type": "PkdModeSwitchHook", "epoch": epoch}
    return {**found, "priority": section["priority"]} if "priority" in section else found
