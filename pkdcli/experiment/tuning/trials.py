"""A trial of a search: a run like any other, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pkdcli.experiment.plan import PlannedRun
from pkdcli.launch.outcome import Outcome
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import number_of
from pkdcli.runs.status import Status
from pkdcli.runs.store import read_jsonl, read_object


@dataclass
class RunTrial:
    """One run of a search.

    Attributes:
        params: What is special about it, by the axes' names.
        planned: The run.
        total: Steps of the whole run.
        compared: The kind of evaluation that it is compared by before its end.
        found: Steps that it had taken when the search came upon it: made by somebody before, and not paid for.
        curve: mAP in AP points, 0 to 100, by the steps it was measured after.
        taken: Steps it has taken.
        failed: How it ended where it did not end well, in words.
    """

    params: Mapping[str, Any]
    planned: PlannedRun
    total: int
    compared: str
    found: int = 0
    curve: dict[int, float] = field(default_factory=dict)
    taken: int = 0
    failed: str | None = None

    @property
    def run(self) -> str:
        """The run's id."""
        return self.planned.run

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        return self.planned.recipe

    def look(self) -> None:
        """Read from the run's folder how far it is."""
        paths = self.planned.paths
        self.curve, self.taken = curve(paths, self.total, self.compared)


def curve(paths: RunPaths, total: int, compared: str) -> tuple[dict[int, float], int]:
    """What a run was measured to reach, and how many steps it has taken.

    Args:
        paths: Its folder; it need not be there.
        total: Steps of the whole run.
        compared: The kind of evaluation before the end.

    Returns:
        mAP in AP points by steps, and the steps.
    """
    found: dict[int, float] = {}
    taken = 0
    for record in read_jsonl(paths.metrics):
        step = record.get("iter")
        if not isinstance(step, int):
            continue
        taken = max(taken, step)
        value = number_of(record.get("mAP"))
        if record.get("kind") == compared and value is not None:
            found[step] = float(value)
    if finished(paths):
        metrics = read_object(paths.result).get("metrics")
        value = number_of(metrics.get("mAP")) if isinstance(metrics, dict) else None
        return ({**found, total: float(value)} if value is not None else found), total
    paused = number_of(read_object(paths.status).get("paused"))
    # A run that has taken all its steps and lacks its result is not over.
    found.pop(total, None)
    return found, max(taken, int(paused or 0))


def why_failed(trial: RunTrial, outcome: Outcome | None) -> str:
    """Why a run has not ended well, in its own words where it has left any.

    Args:
        trial: The run.
        outcome: How it ended; None where it was not carried out.
    """
    error = Status(trial.planned.paths).fields.get("error")
    said = error.get("message") if isinstance(error, dict) else None
    return str(said or (outcome.cause if outcome is not None else "it has no mAP"))


def gradient_share_weight(paths: RunPaths, weight: float, share: float) -> float | None:
    """The weight that gives the distillation a share of the gradient that reaches the student's levels.

    The loss is proportional to its weight, so one run tells it of all weights. Both gradients are measured where the
    features are compared, over all levels that are (`pkdcli.engine.train.hooks.diagnostics`); the mean over the
    measurements of their logarithms counts.

    Args:
        paths: The folder of a run that has begun.
        weight: Its weight.
        share: Above 0 and below 1.

    Returns:
        None where nothing was measured, or one of the gradients is zero.
    """
    ratios = []
    for record in read_jsonl(paths.metrics):
        if record.get("kind") != "levels":
            continue
        own, distilled = (_norm(record, end) for end in (".detection_grad_norm", ".grad_norm"))
        if own and distilled:
            ratios.append(own / distilled)
    if not ratios or weight <= 0:
        return None
    product = 1.0
    for ratio in ratios:
        product *= ratio ** (1 / len(ratios))
    return weight * product * share / (1 - share)


def _norm(record: Mapping[str, Any], end: str) -> float:
    """The norm over all levels; 0 where one is not known."""
    values = [number_of(value) for key, value in record.items() if key.endswith(end)]
    return 0.0 if None in values else sum(float(value) ** 2 for value in values if value is not None) ** 0.5
