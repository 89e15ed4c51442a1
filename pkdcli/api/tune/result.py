"""What a search has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.runs.run import Run


@dataclass(frozen=True)
class Confirmation:
    """The finalists on further seeds, by whose mean the best was chosen; the search's own seed has no say in it.

    Attributes:
        seeds: Those on which every finalist has ended well.
        runs: The ids of the runs on these seeds, by the id of each finalist's trial; the best finalist first.
        mAP: What they have reached, in AP points, 0 to 100.
        by_seeds: The ends of the 95 % interval of the lead over seeds; None where one seed or finalist tells none.
        steps: Students' steps that the confirmation took, apart from those of the search.
        seconds: Its time, over all starts.
    """

    seeds: tuple[int, ...]
    runs: Mapping[str, tuple[str, ...]]
    mAP: Mapping[str, tuple[float, ...]]
    by_seeds: tuple[float, float] | None
    steps: int
    seconds: float

    @property
    def means(self) -> dict[str, float]:
        """The mean over the seeds of each finalist, by the id of its trial."""
        return {run: fmean(values) for run, values in self.mAP.items()}

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        means = self.means
        rows = [
            {"trial": run, "runs": list(self.runs[run]), "mAP": list(values), "mean": means[run]}
            for run, values in self.mAP.items()
        ]
        ends = None if self.by_seeds is None else list(self.by_seeds)
        cost = {"steps": self.steps, "seconds": self.seconds}
        return {"seeds": list(self.seeds), "finalists": rows, "by_seeds": ends, **cost}


def lows(lead: tuple[float, float | None, float | None], confirmation: Confirmation | None) -> list[float | None]:
    """The lower ends of a lead's intervals, over images and over further seeds if there are some; None if not known.

    Args:
        lead: As `Tuned` has it.
        confirmation: The finalists on further seeds.
    """
    by_seeds = [] if confirmation is None else [confirmation.by_seeds and confirmation.by_seeds[0]]
    return [lead[1], *by_seeds]


@dataclass(frozen=True)
class Tuned:
    """The best trial of a search, and what finding it has cost.

    Attributes:
        best: The run; it was trained to the end.
        params: What is special about it, by the axes' names.
        mAP: Its, in AP points, 0 to 100; the mean over the further seeds where there are some.
        runner_up: The next best of those that were trained to the end; None where no other was.
        lead: How far it is ahead of the runner-up in AP points, and the ends of the 95 % interval over validation
            images; these are None where one of the two kept no detections. Of the further seeds where there are some.
        interval: For each range the tried values on both sides of the best that are known to be worse, or not to be
            told apart; None at an end of the range.
        steps: Students' steps that the search took, without the confirmation.
        grid_runs: Runs of a full grid by hand.
        grid_steps: Their steps.
        seconds: Time of the trials, over all starts.
        start: The weight that would give the distillation a tenth of the gradient, as it was measured; None if unknown.
        rungs: Steps after which trials were compared.
        trials: A row for each: `run`, `state`, `steps`, the axes, and `mAP@STEP` for each rung.
        storage: The Optuna study's SQLite file.
        confirmation: The finalists on further seeds; None where none were asked for.
    """

    best: Run
    params: Mapping[str, Any]
    mAP: float
    runner_up: Run | None
    lead: tuple[float, float | None, float | None] | None
    interval: Mapping[str, tuple[float | None, float | None]]
    steps: int
    grid_runs: int
    grid_steps: int
    seconds: float
    start: float | None
    rungs: Sequence[int]
    trials: Sequence[Mapping[str, Any]] = field(repr=False)
    storage: Path = field(repr=False, default=Path())
    confirmation: Confirmation | None = None

    @property
    def decided(self) -> bool:
        """Whether the intervals of the lead, over images and over further seeds if there are some, lie above zero."""
        if self.lead is None:
            return True
        return all(low is not None and low > 0 for low in lows(self.lead, self.confirmation))

    def frame(self) -> pd.DataFrame:
        """The trials, a row each: the best first."""
        import pandas as pd

        return pd.DataFrame(list(self.trials))

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, as `pkd tune --json` prints it."""
        plain = ("mAP", "steps", "grid_runs", "grid_steps", "seconds", "start")
        found = {name: getattr(self, name) for name in plain}
        return {
            "best": self.best.id,
            "params": dict(self.params),
            **found,
            "runner_up": self.runner_up and self.runner_up.id,
            "lead": list(self.lead) if self.lead else None,
            "interval": {name: list(ends) for name, ends in self.interval.items()},
            "rungs": list(self.rungs),
            "trials": [dict(one) for one in self.trials],
            "storage": str(self.storage),
            "confirmation": self.confirmation and self.confirmation.as_json(),
        }

    def _repr_html_(self) -> str:
        """The trials as a table, for notebooks."""
        return self.frame().to_html(index=False)


def interval(values: Sequence[float], best: float, alike: Sequence[float] = ()) -> tuple[float | None, float | None]:
    """The tried values around the best: its neighbours, or theirs where these are not told apart from it.

    Args:
        values: All that were tried.
        best: The best of them.
        alike: Those that are not told apart from it.
    """
    below = sorted((one for one in values if one < best), reverse=True)
    above = sorted(one for one in values if one > best)

    def end(side: Sequence[float]) -> float | None:
        apart = [place for place, one in enumerate(side) if one in alike]
        rest = side[apart[-1] + 1 :] if apart else side
        return rest[0] if rest else None

    return end(below), end(above)
