"""A sweep that adds seeds until it is known whether each method is better: `pkd sweep --until-decided`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pkdcli.errors import PkdError
from pkdcli.experiment.execute import Experiment
from pkdcli.reporting.verdict.seed_by_seed import SeedBySeed
from pkdcli.runs.collect import collect
from pkdcli.runs.liveness import finished

if TYPE_CHECKING:
    from pkdcli.experiment.plan import PlannedRun
    from pkdcli.launch.outcome import Outcome, Watcher
    from pkdcli.recipe.options import SweepOptions
    from pkdcli.reporting.verdict.judge import Verdict
    from pkdcli.runs.record import Record


@dataclass
class UntilDecided:
    """Methods and their baselines that get one seed after another.

    Attributes:
        whole: Every run that there may be, of all seeds; a decided method does without its last ones.
        seeds: In the order in which they are used.
        first: Seeds at the first look.
        verdicts: What was known at the last look.
        outcomes: How each run ended that was carried out, by its id.
        used: The students whose results were looked at.
    """

    whole: Experiment
    seeds: Sequence[int]
    first: int
    verdicts: list[Verdict] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    used: list[PlannedRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        from pkdcli.recipe.identity import comparable, experiment

        self._methods: dict[str, dict[int, PlannedRun]] = {}
        self._baselines: dict[str, PlannedRun] = {}  # by run of the student
        alone = {comparable(one.recipe): one for one in self.whole.planned if one.recipe.role == "baseline"}
        for one in self.whole.planned:
            if one.recipe.role == "distill":
                self._methods.setdefault(experiment(one.recipe), {})[one.recipe.seed] = one
                self._baselines[one.run] = alone[comparable(one.recipe)]

    @property
    def least(self) -> Experiment:
        """The runs up to the first look, which are carried out in any case."""
        return self._part(list(self._methods), self.seeds[: self.first])

    def execute(self, watcher: Watcher) -> dict[str, Outcome]:
        """Carry out the runs of one seed after another, and look after each, until every method is decided.

        Args:
            watcher: Told of what happens.

        Returns:
            How each run ended, by its id.

        Raises:
            PkdError: Something is wrong before anything runs.
            Interrupted: After Ctrl-C, when the runs have saved and stopped.
        """
        judged = SeedBySeed({key: {} for key in self._methods}, self.first)
        for count in range(self.first, len(self.seeds) + 1):
            seeds = self.seeds[:count]
            part = self._part(judged.open, seeds if count == self.first else seeds[-1:])
            if part.todo:
                self.outcomes |= part.execute(watcher)
            self.used += [one for one in part.planned if one.recipe.role != "teacher" and one not in self.used]
            self._look(judged, seeds)
            watcher.on_look(count, self.rows())
            if not judged.open:
                break
        return self.outcomes

    def _part(self, methods: Sequence[str], seeds: Sequence[int]) -> Experiment:
        """The runs of some methods and seeds, with the baselines and teachers they need."""
        students = [self._methods[key][seed] for key in methods for seed in seeds]
        wanted = {one.run for one in students} | {self._baselines[one.run].run for one in students}
        wanted |= {one.teacher.run for one in students if one.teacher is not None}
        # What is added to has to be known, so a cluster's jobs are waited for.
        return replace(
            self.whole, planned=[one for one in self.whole.planned if one.run in wanted], wait=True, outcomes={}
        )

    def _look(self, judged: SeedBySeed, seeds: Sequence[int]) -> None:
        records = {record["run"]: record for record in collect(self.whole.runs)}
        for key in judged.open:
            lacking = [one for seed in seeds for student in [self._methods[key][seed]]
                       for one in (self._baselines[student.run], student) if not finished(one.paths)]  # fmt: skip
            if lacking:
                judged.stopped[key] = f"{lacking[0].run} has not ended well, and without it no seed follows."
        judged.methods = {key: records[runs[seeds[0]].run] for key, runs in self._methods.items()}
        gains = {key: _gains(runs, records) for key, runs in self._methods.items()}
        self.verdicts = judged.look(gains, seeds)
        if len(seeds) == len(self.seeds):
            self.verdicts = [_at_the_limit(one, len(seeds)) for one in self.verdicts]

    def rows(self) -> list[dict[str, Any]]:
        """What was known at the last look, a row for each method, with `text` as a line of it."""
        from pkdcli.reporting.verdict.tables import verdict_line, verdict_rows

        return [row | {"text": verdict_line(one)}
                for one, row in zip(self.verdicts, verdict_rows(self.verdicts), strict=True)]  # fmt: skip


def plan_until_decided(sweep: SweepOptions, planned: Experiment, seeds: Sequence[int], first: int) -> UntilDecided:
    """Check that a sweep's methods can be judged, and put its runs in the order in which they are needed.

    Args:
        sweep: What was asked for.
        planned: The runs of all seeds that there may be.
        seeds: As `pkdcli.recipe.seeds.seeds_in_turn` gives them.
        first: Likewise.

    Raises:
        PkdError: There is no baseline, no method, or a run is a smoke run.
    """
    if not sweep.baseline:
        raise PkdError("--until-decided: a gain needs its baseline.", "Leave --no-baseline out.")
    if not any(one.recipe.role == "distill" for one in planned.planned):
        raise PkdError("--until-decided: there is no method to judge.", "Name one: --loss pkd")
    cut = next((one for one in planned.planned if one.recipe.max_iters or one.recipe.val_images), None)
    if cut is not None:
        what = "max_iters" if cut.recipe.max_iters else "val_images"
        raise PkdError(f"--until-decided: a smoke run ({what}) says nothing of a method.", "Leave it out.")
    return UntilDecided(planned, seeds, first)


def _gains(runs: dict[int, PlannedRun], records: dict[str, Record]) -> dict[int, float]:
    known = {seed: records.get(one.run, {}).get("gain") for seed, one in runs.items()}
    return {seed: gain for seed, gain in known.items() if gain is not None}


def _at_the_limit(verdict: Verdict, count: int) -> Verdict:
    from pkdcli.reporting.verdict.judge import INCONCLUSIVE

    if verdict.word != INCONCLUSIVE or len(verdict.gains) < count:
        return verdict
    return replace(verdict, why=f"{count} seeds is what --max-seeds allows; {verdict.why}")
