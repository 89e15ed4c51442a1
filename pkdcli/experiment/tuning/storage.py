"""The memory of a search: an Optuna study in an SQLite file, which Optuna's own tools read.

What the trials have reached stands in their run folders; the study keeps which trials there are, in what order, and
what they had been when the search came upon them. So it can be killed at any time, and a study that is lost costs no
run.
"""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pkdcli.errors import PkdError
from pkdcli.experiment.tuning.database import copy_of, fault, refuse_unusable, unreachable, url
from pkdcli.experiment.tuning.halving import Rungs
from pkdcli.experiment.tuning.space import Choice, Params, Range, Space
from pkdcli.runs.searches import AS_THEY_ARE, MEAN, keep_search
from pkdcli.runs.searches import Search as KeptSearch

if TYPE_CHECKING:
    from pkdcli.experiment.tuning.search import SearchTrial


class Study:
    """An Optuna study.

    Args:
        path: The SQLite file; it and its folder are made if need be.
        name: The study's.
        space: What its trials differ in.
        shown: The file that messages name, where this one is a copy of it.

    Raises:
        PkdError: The file is damaged, or of another release of Optuna, or can't be written; something else lies there.
    """

    def __init__(self, path: Path, name: str, space: Space, shown: Path | None = None) -> None:
        self.path, self.name = shown or path, name
        self._space = space
        with self._readable():
            if path.is_dir():
                raise _Unusable("it is a folder")
            refuse_unusable(path, self.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._study = _optuna().create_study(
                storage=url(path), study_name=name, load_if_exists=True, direction="maximize"
            )
            if (found := fault(path)) is not None:
                raise _Unusable(found)
            if not self._study.trials:
                self._study.set_user_attr("compared", MEAN)
            self._numbers = {one.user_attrs["run"]: one.number for one in self._study.trials if "run" in one.user_attrs}

    def load(self) -> list[tuple[dict[str, Any], int]]:
        """The trials so far in their order: what is special about each, and the steps it had taken before."""
        with self._readable():
            trials = {one.user_attrs["run"]: one for one in self._study.trials if "run" in one.user_attrs}
            wanted = {axis.name for axis in self._space.axes}
            for one in trials.values():
                if set(one.params) != wanted:
                    raise _Unusable(f"its trials differ in {_listed(one.params)}, this search's in {_listed(wanted)}")
            return [(dict(one.params), int(one.user_attrs.get("found", 0))) for one in trials.values()]

    def add(self, trial: SearchTrial) -> None:
        """Write down a new trial."""
        optuna = _optuna()
        with self._readable():
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.RUNNING,
                    params=dict(trial.params),
                    distributions=_distributions(self._space),
                    user_attrs={"run": trial.run, "found": trial.found},
                )
            )
            self._numbers[trial.run] = self._study.trials[-1].number

    def note(self, trial: SearchTrial) -> None:
        """Write down what a trial has reached."""
        with self._readable():
            frozen = self._study.trials[self._numbers[trial.run]]
            if frozen.state.is_finished():
                return  # its run's own folder has what came after
            for step, value in sorted(trial.curve.items()):
                if step not in frozen.intermediate_values:
                    self._study._storage.set_trial_intermediate_value(frozen._trial_id, step, value)

    def close(self, trials: Sequence[SearchTrial], total: int) -> None:
        """Write down how the trials of a finished search ended: to the end, pruned, or failed.

        Args:
            trials: All of them.
            total: Steps of a whole run.
        """
        state = _optuna().trial.TrialState
        with self._readable():
            for one in trials:
                self.note(one)
                if self._study.trials[self._numbers[one.run]].state.is_finished():
                    continue
                if one.failed is not None:
                    self._study.tell(self._numbers[one.run], state=state.FAIL)
                elif total in one.curve:
                    self._study.tell(self._numbers[one.run], one.curve[total])
                else:
                    self._study.tell(self._numbers[one.run], state=state.PRUNED)

    @property
    def compared(self) -> str:
        """What its trials are compared by before their end."""
        with self._readable():
            return str(self._study.user_attrs.get("compared", AS_THEY_ARE))

    @property
    def seconds(self) -> float:
        """Time that the trials have taken, over all starts of the search."""
        with self._readable():
            return float(self._study.user_attrs.get("seconds", 0.0))

    @seconds.setter
    def seconds(self, value: float) -> None:
        with self._readable():
            self._study.set_user_attr("seconds", value)

    @property
    def start(self) -> float | None:
        """The weight that gives the distillation a tenth of the gradient; None where it is not known."""
        with self._readable():
            return self._study.user_attrs.get("start")

    @start.setter
    def start(self, value: float | None) -> None:
        with self._readable():
            self._study.set_user_attr("start", value)

    @property
    def confirmed(self) -> dict[str, dict[str, Any]]:
        """The finalists' runs on further seeds, by their ids: whose they are, which seed, what they had been."""
        with self._readable():
            return dict(self._study.user_attrs.get("confirmed", {}))

    @confirmed.setter
    def confirmed(self, value: dict[str, dict[str, Any]]) -> None:
        with self._readable():
            self._study.set_user_attr("confirmed", value)

    @property
    def confirm_seconds(self) -> float:
        """Time of these runs, over all starts."""
        with self._readable():
            return float(self._study.user_attrs.get("confirm_seconds", 0.0))

    @confirm_seconds.setter
    def confirm_seconds(self, value: float) -> None:
        with self._readable():
            self._study.set_user_attr("confirm_seconds", value)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Say in words what is wrong with the file."""
        import sqlalchemy.exc

        optuna = _optuna()
        try:
            yield
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0].rstrip(".")
            remove = "rm -r" if self.path.is_dir() else "rm"
            raise PkdError(
                f"{self.path}: the search's storage can't be used: {reason}.",
                f"{remove} {shlex.quote(str(self.path))}\n"
                "No run is lost by that: the same command finds its trials in the runs folder again.",
            ) from error
        except OSError as error:
            raise unreachable(self.path, error) from error


class _Unusable(RuntimeError):
    """What is wrong with a storage, where Optuna does not say it."""


def check(path: Path, name: str, space: Space) -> tuple[list[tuple[dict[str, Any], int]], str]:
    """Refuse a storage that a search could not use, in the very words in which the search would; nothing is written.

    Opening a study writes, if only that it is there. So a copy of the file is opened.

    Args:
        path: The SQLite file; it need not be there.
        name: The study's.
        space: What its trials differ in.

    Returns:
        The trials so far as `Study.load` gives them, and what they are compared by.

    Raises:
        PkdError: As `Study` does.
    """
    refuse_unusable(path, path)
    with TemporaryDirectory() as folder:
        copied = copy_of(path, Path(folder))
        if copied is None:
            return [], MEAN
        study = Study(copied, name, space, shown=path)
        return study.load(), study.compared


def keep_for_reports(runs: Path, space: Space, rungs: Rungs, study: Study, trials: Sequence[SearchTrial]) -> None:
    """Write down, beside the study, which runs are its trials: reports read that, and not the study.

    Args:
        runs: The runs folder.
        space: What its trials differ in.
        rungs: Where they are compared.
        study: It knows by what, and which runs have confirmed its finalists.
        trials: All so far.
    """
    ranges = {one.name: (one.low, one.high) for one in space.ranges}
    choices = {one.name: one.values for one in space.axes if isinstance(one, Choice)}
    params = {one.run: one.params for one in trials}
    confirmed = {run: str(one["trial"]) for run, one in study.confirmed.items()}
    keep_search(runs, KeptSearch(study.name, rungs.steps, ranges, choices, params, study.compared, confirmed))


def suggest(space: Space, trials: Sequence[SearchTrial], total: int, count: int, seed: int) -> list[dict[str, Any]]:
    """New trials by Optuna's TPE, from what the others have reached; the same for the same trials and seed.

    Args:
        space: What trials differ in.
        trials: All so far.
        total: Steps of a whole run.
        count: How many are wanted; fewer come where the space has no more.
        seed: Of the sampler.
    """
    optuna = _optuna()
    states = optuna.trial.TrialState
    distributions = _distributions(space)
    sampler = optuna.samplers.TPESampler(
        seed=1000 * seed + len(trials), n_startup_trials=1, multivariate=len(space.axes) > 1
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for one in trials:
        if one.failed is not None or not one.curve:
            continue
        values = {"params": dict(one.params), "distributions": distributions, "intermediate_values": dict(one.curve)}
        if total in one.curve:
            study.add_trial(optuna.trial.create_trial(state=states.COMPLETE, value=one.curve[total], **values))
        else:
            study.add_trial(optuna.trial.create_trial(state=states.PRUNED, **values))
    tried: list[Params] = [one.params for one in trials]
    found: list[dict[str, Any]] = []
    for _ in range(count):
        params = space.settled(study.ask(distributions).params, [*tried, *found])
        if params is not None:
            found.append(params)
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _distributions(space: Space) -> Mapping[str, Any]:
    kinds = _optuna().distributions
    return {one.name: _distribution(kinds, one) for one in space.axes}


def _distribution(kinds: Any, axis: Range | Choice) -> Any:
    if isinstance(axis, Choice):
        return kinds.CategoricalDistribution(axis.values)
    return kinds.FloatDistribution(axis.low, axis.high, log=True)


def _optuna() -> Any:
    """Optuna, which takes a second to import, without the lines it prints of every trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
