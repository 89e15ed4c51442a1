"""A config's own course of the learning rate, counted in the steps of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pkdcli.config.own.length import Length
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import bare, config_of
from pkdcli.recipe.detectors.training import own_schedulers
from pkdcli.recipe.schema import Recipe

Section = dict[str, Any]

_WARMING = {"LinearLR", "ConstantLR", "QuadraticWarmupLR"}
_PLACES = {"type", "begin", "end", "by_epoch", "convert_to_iter_based", "verbose", "last_step"}


def own_param_scheduler(recipe: Recipe, rate: float) -> list[Section]:
    """The config's schedulers, all by step: each begins and ends at the same share of the run as of the config's own.

    A warm-up that is counted in steps takes as many images as the config's. One for which a run is too short is left
    out.

    Args:
        recipe: The run's; its `student` is the detector that is trained.
        rate: Its learning rate after warm-up; absolute rates follow it.

    Raises:
        PkdError: A scheduler of the config is none that can be scaled.
    """
    config = config_of(recipe.student)
    length, factor = Length(recipe), rate / config["optim_wrapper"]["optimizer"]["lr"]
    found = []
    for number, section in enumerate(own_schedulers(config)):
        translate = _KNOWN.get(bare(section))
        if translate is None:
            raise PkdError(
                f"detector {recipe.student.name}: param_scheduler.{number}: {bare(section)} can't be scaled to another "
                "length.",
                f"--training own knows {', '.join(sorted(_KNOWN))}. Give --training paper to train it as appendix A.2 "
                "does, or the schedulers by steps with --set 'config.param_scheduler=[...]'.",
            )
        begin, end = _span(section, length)
        if end - begin < (1 if bare(section) == "QuadraticWarmupLR" else 2):
            continue
        name = bare(section)
        more = translate({key: value for key, value in section.items() if key not in _PLACES}, length, section, factor)
        found.append({"type": _TYPES.get(name, name), "by_epoch": False, "begin": begin, "end": end, **more})
    return found


def _span(section: Section, length: Length) -> tuple[int, int]:
    """The steps from and to which a scheduler works."""
    by_epoch, begin = section.get("by_epoch", True), section.get("begin", 0)
    warms = bare(section) in _WARMING and section.get("factor", 0) != 1
    if warms and not by_epoch and begin == 0 and section.get("end"):
        return 0, length.warmup(section["end"])
    end = length.at(section["end"], by_epoch) if section.get("end") else length.steps
    if warms and begin == 0:
        end = min(end, length.longest_warmup)
    return length.at(begin, by_epoch), end


def _plain(more: Section, length: Length, section: Section, factor: float) -> Section:
    return more


def _milestones(more: Section, length: Length, section: Section, factor: float) -> Section:
    by_epoch = section.get("by_epoch", True)
    return {**more, "milestones": sorted(max(1, length.at(one, by_epoch)) for one in section["milestones"])}


def _cosine(more: Section, length: Length, section: Section, factor: float) -> Section:
    by_epoch = section.get("by_epoch", True)
    begin, end = _span(section, length)
    spans = section.get("T_max") in (None, section.get("end", 0) - section.get("begin", 0))
    half = end - begin if spans else max(1, length.at(section["T_max"], by_epoch))
    return {**_lowest(more, length, section, factor), "T_max": half}


def _lowest(more: Section, length: Length, section: Section, factor: float) -> Section:
    return {**more, "eta_min": section["eta_min"] * factor} if section.get("eta_min") else more


def _one_cycle(more: Section, length: Length, section: Section, factor: float) -> Section:
    begin, end = _span(section, length)
    return {**more, "eta_max": section["eta_max"] * factor, "total_steps": end - begin}


def _exponential(more: Section, length: Length, section: Section, factor: float) -> Section:
    """The same factor over the same share of the run."""
    return {**more, "gamma": section["gamma"] ** (1 / length.exactly(1, section.get("by_epoch", True)))}


def _regular(more: Section, length: Length, section: Section, factor: float) -> Section:
    return {**more, "step_size": max(1, length.at(section["step_size"], section.get("by_epoch", True)))}


_TYPES = {"QuadraticWarmupLR": "mmdet.QuadraticWarmupLR"}
_KNOWN: dict[str, Callable[[Section, Length, Section, float], Section]] = {
    "LinearLR": _plain,
    "ConstantLR": _plain,
    "QuadraticWarmupLR": _plain,
    "MultiStepLR": _milestones,
    "StepLR": _regular,
    "ExponentialLR": _exponential,
    "CosineAnnealingLR": _cosine,
    "PolyLR": _lowest,
    "OneCycleLR": _one_cycle,
}
