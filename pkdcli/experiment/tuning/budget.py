"""What a search may cost: time, steps, whole runs or trials."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkdcli.errors import PkdError
from pkdcli.experiment.tuning.halving import FINALISTS, Rungs

SHARE_OF_GRID = 0.4
"""Without a budget a search may take this share of the steps of a full grid by hand."""
LEAST, MOST = 6, 16
"""Trials of a search without a budget."""
_UNITS = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}
_EXAMPLE = "Examples: --budget 2h, --budget 1h30m, --budget 1900steps, --budget 3runs; or --trials 8"


@dataclass(frozen=True)
class Budget:
    """How much a search may take; what is None does not bound it.

    Attributes:
        trials: So many trials.
        seconds: Of training and evaluating them, over all starts of the search.
        steps: Of the students.
        runs: Steps again, as so many whole runs.
        text: As it was typed, for messages.
    """

    trials: int | None = None
    seconds: float | None = None
    steps: int | None = None
    runs: float | None = None
    text: str = ""

    def default(self, rungs: Rungs, grid: int, size: int | None) -> Budget:
        """Itself; where it bounds nothing, as many trials as cost 40 % of a full grid.

        Args:
            rungs: Of the search.
            grid: Runs of that grid.
            size: Trials that there can be; None for any number.
        """
        if any(value is not None for value in (self.trials, self.seconds, self.steps, self.runs)):
            return self
        trials = min(MOST, max(LEAST, rungs.affordable(SHARE_OF_GRID * grid * rungs.total)))
        return Budget(trials=trials if size is None else min(trials, size))

    def trials_for(self, rungs: Rungs, spent: int = 0, rate: float | None = None, seconds: float = 0.0) -> int | None:
        """How many trials there is room for; None where that is not known yet.

        Args:
            rungs: Of the search.
            spent: Steps that it has taken.
            rate: Seconds a step; None where nobody knows.
            seconds: Time that it has taken.

        Raises:
            PkdError: There is no room for two trials, or not even for one run.
        """
        found = [] if self.trials is None else [self.trials]
        if (steps := self._steps(rungs)) is not None:
            found.append(self._room(rungs, steps, f"{steps:,} steps"))
        if self.seconds is not None:
            if rate is None:
                return None
            room = self._room(rungs, spent + max(0.0, self.seconds - seconds) / rate, _words(self.seconds), rate)
            found.append(room)
        return min(found)

    def _steps(self, rungs: Rungs) -> int | None:
        return int(self.runs * rungs.total) if self.runs is not None else self.steps

    def _room(self, rungs: Rungs, steps: float, here: str, rate: float | None = None) -> int:
        trials = rungs.affordable(steps)
        if trials >= FINALISTS:
            return trials
        need = rungs.cost(FINALISTS)

        def cost(of: int) -> str:
            return f"{of:,} steps" + (f", about {_words(of * rate)} at {1 / rate:.2g} steps a second" if rate else "")

        what = "is shorter than one run" if steps < rungs.total else "has room for one run, with nothing to compare"
        raise PkdError(
            f"--budget {self.text or here} {what}: a run takes {cost(rungs.total)}.",
            f"The least, two runs, takes {cost(need)}. A shorter run: --epochs N.",
        )


def parse(text: str | None, trials: int | None) -> Budget:
    """The budget that was typed.

    Args:
        text: `2h`, `1h30m`, `90s`, `1900steps`, `3runs`; None for none.
        trials: Of `--trials`.

    Raises:
        PkdError: It is none of these, or nothing.
    """
    if text is None:
        return Budget(trials=trials)
    words = text.replace(" ", "").replace("_", "").lower()
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)(steps?|runs?)", words):
        value, unit = float(found[1]), found[2]
        given = {"runs": value} if unit.startswith("run") else {"steps": int(value)}
    elif re.fullmatch(r"(?:\d+(?:\.\d+)?(?:d|h|min|m|s))+", words):
        value = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(d|h|min|m|s)", words))
        given = {"seconds": value}
    else:
        raise PkdError(f"--budget: {text!r} is no time and no number of steps or runs.", _EXAMPLE)
    if not value:
        raise PkdError(f"--budget {text}: that is nothing.", _EXAMPLE)
    return Budget(trials=trials, text=text, **given)


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} minutes"
    hours = minutes / 60
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
