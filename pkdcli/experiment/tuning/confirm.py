"""The finalists of a search on further seeds: ordinary runs, apart from the search's budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.execute import Experiment
from pkdcli.experiment.tuning.space import Params
from pkdcli.experiment.tuning.trials import RunTrial, curve, why_failed
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.recipe.identity import run_id
from pkdcli.runs.paths import RunPaths


class Memory(Protocol):
    """What is remembered of a confirmation, as `pkdcli.experiment.tuning.storage.Study` does.

    Attributes:
        confirmed: By the id of each run its trial's (`trial`), its `seed`, and the steps it had taken before (`found`).
        confirm_seconds: Time of these runs, over all starts.
    """

    confirmed: dict[str, dict[str, Any]]
    confirm_seconds: float


@dataclass(frozen=True)
class Confirmed:
    """What came out.

    Attributes:
        seeds: Those on which every finalist has ended well, in the order they were asked for.
        runs: The runs of each finalist on these seeds.
        steps: That all confirmations of this search have taken.
        seconds: Their time.
    """

    seeds: tuple[int, ...]
    runs: tuple[tuple[RunTrial, ...], ...]
    steps: int
    seconds: float


def confirm(
    finalists: Sequence[RunTrial],
    seeds: Sequence[int],
    plan: Callable[[Sequence[tuple[Params, int]]], Experiment],
    memory: Memory,
    watcher: Watcher,
    keep: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Confirmed:
    """Train finalists on further seeds; what is there is used, and what was interrupted goes on.

    Args:
        finalists: The best trials of a search.
        seeds: None of them the search's own.
        plan: Plans the runs of some values and seeds, in their order.
        memory: Remembers which runs there are, and what they had been.
        watcher: Told of what happens.
        keep: Called when it is known which runs there are, for whoever shows them.
        clock: Seconds, of any origin.

    Raises:
        PkdError: There is no seed on which every finalist has ended well.
        Interrupted: After Ctrl-C, when the runs have saved and stopped.
    """
    wanted = [(one.params, seed) for seed in seeds for one in finalists]
    experiment = plan(wanted)
    by_run = {one.run: one for one in experiment.planned}
    total, compared = finalists[0].total, finalists[0].compared
    runs = {
        (number % len(finalists), seed): RunTrial(params, by_run[run_id(recipe)], total, compared)
        for number, ((params, seed), recipe) in enumerate(zip(wanted, experiment.recipes, strict=True))
    }
    known = memory.confirmed
    for (number, seed), one in runs.items():
        one.look()
        known.setdefault(one.run, {"trial": finalists[number].run, "seed": seed, "found": one.taken})
    memory.confirmed = known
    keep()
    outcomes: Mapping[str, Outcome] = {}
    if any(total not in one.curve for one in runs.values()):
        begin = clock()
        try:
            outcomes = experiment.execute(watcher)
        finally:
            memory.confirm_seconds += clock() - begin
    failed: dict[int, str] = {}
    for (_, seed), one in runs.items():
        one.look()
        if total not in one.curve:
            failed.setdefault(seed, f"{one.run}: {why_failed(one, outcomes.get(one.run))}")
    good = tuple(seed for seed in seeds if seed not in failed)
    if not good:
        lines = "\n".join(failed.values())
        raise PkdError("the finalists have no seed on which all of them ended well.", lines, ExitCode.RUN_FAILED)
    for seed, why in failed.items():
        watcher.on_note(f"the confirmation leaves seed {seed} out: {why.rstrip('.')}")
    kept = tuple(tuple(runs[number, seed] for seed in good) for number in range(len(finalists)))
    steps = _taken(known, experiment.runs, total, compared)
    return Confirmed(good, kept, steps, memory.confirm_seconds)


def _taken(known: Mapping[str, Mapping[str, Any]], runs: Path, total: int, compared: str) -> int:
    """The steps that runs have taken since they were known."""
    taken = {run: curve(RunPaths(runs / run), total, compared)[1] for run in known}
    return sum(max(0, taken[run] - int(one["found"])) for run, one in known.items())
