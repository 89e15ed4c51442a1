"""The search with a trainer that looks its results up: what it tries, what it costs, and that nothing is done twice."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest

from pkdcli.errors import PkdError
from pkdcli.experiment.tuning.budget import Budget
from pkdcli.experiment.tuning.halving import Rungs
from pkdcli.experiment.tuning.search import Search
from pkdcli.experiment.tuning.space import Choice, Range, Space
from pkdcli.experiment.tuning.storage import Study

TWO = Rungs.of(600, 100)
WEIGHTS = Space((Range("weight", 1.0, 100.0),))
GRID = (1, 3, 5, 10, 30, 50, 70, 80)


@dataclass
class Trial:
    params: dict
    found: int = 0
    curve: dict[int, float] = field(default_factory=dict)
    taken: int = 0
    failed: str | None = None

    @property
    def run(self) -> str:
        return "-".join(map(str, self.params.values()))


STUDIES: dict = {}


class Killed(BaseException):
    """The end of everything, without a word."""


class Table:
    """Runs whose results are known beforehand, and a record of the steps that were asked for.

    Args:
        curve: mAP of a trial's values after some steps; None where it fails.
        runs: What the runs folder holds: kept over searches.
        patience: Calls until it is killed.
    """

    def __init__(self, curve, runs=None, patience=None, start=None):
        self.curve, self.runs, self.patience, self.start = curve, {} if runs is None else runs, patience, start
        self.steps, self.calls, self.clock = 0, [], 0.0

    def plan(self, params):
        found = {}
        for one in params:
            trial = Trial(dict(one))
            known = self.runs.setdefault(trial.run, {"taken": 0, "curve": {}})
            trial.curve, trial.taken, trial.found = dict(known["curve"]), known["taken"], known["taken"]
            found.setdefault(trial.run, trial)
        return list(found.values())

    def prepare(self, trials):
        self.calls.append("teacher")

    def advance(self, trials, step, measure=True):
        self.calls.append((step, [one.run for one in trials]))
        for one in trials:
            if self.patience is not None:
                self.patience -= 1
                if self.patience < 0:
                    raise Killed
            known, value = self.runs[one.run], self.curve(one.params, step)
            assert known["taken"] < step, "a step is taken twice"
            self.steps += step - known["taken"]
            self.clock += step - known["taken"]
            known["taken"] = step
            if value is None:
                one.failed = "the loss is nan"
            elif measure:
                known["curve"][step] = value
            one.curve, one.taken = dict(known["curve"]), step

    def step_seconds(self, trial):
        return 1.0

    def start_weight(self, trial, share):
        assert share == 0.1
        return self.start


class Memory:
    """A study that is kept in a dictionary, without the disk that a real one waits for."""

    def __init__(self, kept):
        self.kept = kept
        self.kept.setdefault("trials", {})

    def load(self):
        return [(dict(params), found) for params, found in self.kept["trials"].values()]

    def add(self, trial):
        self.kept["trials"][trial.run] = (dict(trial.params), trial.found)

    def note(self, trial):
        assert trial.run in self.kept["trials"]

    def close(self, trials, total):
        self.kept["closed"] = [one.run for one in trials]

    seconds = property(lambda self: self.kept.get("seconds", 0.0), lambda self, value: self.kept.update(seconds=value))
    start = property(lambda self: self.kept.get("start"), lambda self, value: self.kept.update(start=value))


def search(table, path, space=WEIGHTS, budget=None, rungs=TWO, real=None, **more):
    told = []
    budget = (budget or Budget()).default(rungs, space.grid, space.size)
    study = STUDIES.setdefault(path, {}) if path is not None else {}
    study = Memory(study) if real is None else real
    return Search(space, rungs, budget, table, study, say=told.append, clock=lambda: table.clock, **more), told


def hill(peak, noise=0.0, height=35.0, seed=0):
    """mAP that falls with the distance of the logarithm of the weight from a peak, and rises with the steps.

    Early on it tells less, and prefers heavier weights, as a loss that learns faster does.
    """

    def curve(params, step):
        share = step / 600
        luck = random.Random(f"{seed}-{params}-{step}").gauss(0, noise)
        away = math.log10(params["weight"] / peak) - 0.3 * (1 - share)
        return height * share**0.5 - 4 * away**2 + luck

    return curve


def test_what_a_search_does_step_by_step(tmp_path):
    table = Table(hill(10), start=0.05)
    made, told = search(table, tmp_path, real=Study(tmp_path / "tune.sqlite3", "a", WEIGHTS))
    best = made.run()
    (sixth,) = [one for one in made.trials if one.params["weight"] not in (1, 3, 10, 30, 100)]
    assert sixth.params["weight"] == 20  # amid the best, 10 or 30, and the other, the better of its neighbours
    assert table.calls[:3] == ["teacher", (12, ["10.0"]), (100, ["1.0", "3.0", "10.0", "30.0", "100.0"])]
    assert table.calls[3] == (100, [sixth.run])
    assert [step for step, _ in table.calls[4:]] == [200, 300, 600]
    assert [len(runs) for _, runs in table.calls[4:]] == [4, 3, 2]
    # The steps of the probe are the first of a trial that goes on.
    assert made.spent == table.steps == 1900
    assert made.start == 0.05
    assert best[0].curve[600] == max(one.curve.get(600, 0) for one in made.trials)
    assert [one["step"] for one in told] == [100, 200, 300, 600]
    assert [len(one["trials"]) for one in told] == [6, 4, 3, 2]
    assert told[-1]["spent"] == 1900


@pytest.mark.parametrize("peak", [1, 2, 5, 10, 20, 50, 80])
def test_it_comes_within_half_a_point_of_the_grid_for_forty_percent_of_its_steps(tmp_path, peak):
    curve = hill(peak)
    table = Table(curve)
    made, _ = search(table, tmp_path)
    (first, *_) = made.run()
    grid = max(curve({"weight": float(weight)}, 600) for weight in GRID)
    assert first.curve[600] >= grid - 0.5
    assert table.steps <= 0.4 * len(GRID) * 600


def test_with_noise_it_does_so_nearly_always(tmp_path):
    near = 0
    for seed in range(20):
        curve = hill((2, 5, 10, 20, 50)[seed % 5], noise=0.3, seed=seed)
        (first, *_) = search(Table(curve), tmp_path / str(seed))[0].run()
        near += first.curve[600] >= max(curve({"weight": float(weight)}, 600) for weight in GRID) - 0.5
    assert near >= 17


@pytest.mark.parametrize("patience", range(0, 16))
def test_a_search_that_is_killed_anywhere_ends_as_one_that_was_not(tmp_path, patience):
    whole = Table(hill(10), start=5.0)
    expected = [(one.run, one.curve) for one in search(whole, tmp_path / "whole")[0].run()]
    runs: dict = {}
    killed = Table(hill(10), runs, patience, start=5.0)
    with pytest.raises(Killed):
        search(killed, tmp_path / "killed")[0].run()
    after = Table(hill(10), runs, start=5.0)
    made, _ = search(after, tmp_path / "killed")
    assert [(one.run, one.curve) for one in made.run()] == expected
    assert killed.steps + after.steps == whole.steps == made.spent
    again = Table(hill(10), runs)
    assert [one.run for one in search(again, tmp_path / "killed")[0].run()] == [run for run, _ in expected]
    assert again.calls == []


def test_runs_that_are_there_are_used_and_cost_nothing(tmp_path):
    # Evaluated after every third epoch, as at scale tiny.
    runs = {"10.0": {"taken": 600, "curve": {300: 25.0, 600: 40.0}}}
    table = Table(hill(3), runs)
    made, _ = search(table, tmp_path)
    best = made.run()
    assert best[0].params == {"weight": 10.0}
    assert all("10.0" not in call[1] for call in table.calls if call != "teacher")
    assert made.spent == table.steps <= 1900


def test_the_weight_by_the_gradients_share_is_tried_first(tmp_path):
    made, _ = search(Table(hill(10), start=5.2), tmp_path / "a")
    made.run()
    assert [one.params["weight"] for one in made.trials] == [5.0, 1, 3, 10, 30, 100]
    made, _ = search(Table(hill(10), start=0.05), tmp_path / "b")  # below the range: at its end
    made.run()
    assert [one.params["weight"] for one in made.trials][:5] == [1, 3, 10, 30, 100]
    made, _ = search(Table(hill(10), start=5.2), tmp_path / "c", budget=Budget(trials=3))  # no room for one more
    made.run()
    assert [one.params["weight"] for one in made.trials] == [5.0, 1, 100]


def test_a_failed_trial_makes_way_and_all_of_them_are_an_error(tmp_path):
    def half(params, step):
        return None if params["weight"] > 20 else hill(10)(params, step)

    made, _ = search(Table(half), tmp_path / "half")
    best = made.run()
    assert best[0].params["weight"] < 20
    assert {one.failed for one in made.trials if one.params["weight"] > 20} == {"the loss is nan"}
    made, _ = search(Table(lambda params, step: None), tmp_path / "all")
    with pytest.raises(PkdError, match="every trial failed") as error:
        made.run()
    assert "100.0: the loss is nan" in error.value.hint
    assert error.value.code == 1


def test_a_budget_of_time_goes_by_the_speed_that_is_seen(tmp_path):
    table = Table(hill(10))  # a step a second
    made, _ = search(table, tmp_path, budget=Budget(seconds=3000, text="50m"))
    made.run()
    assert len(made.trials) == TWO.affordable(3000) == 10
    assert table.clock <= 3000
    short, _ = search(Table(hill(10)), tmp_path / "short", budget=Budget(seconds=300, text="5m"))
    with pytest.raises(PkdError, match="--budget 5m is shorter than one run: a run takes 600 steps, about 10 minutes"):
        short.run()


def test_keys_and_temperatures_are_searched_together(tmp_path):
    space = Space((Range("weight", 1.0, 100.0), Choice("loss.levels", ("index", "stride"))))

    def curve(params, step):
        return hill(10)(params, step) + 2 * (params["loss.levels"] == "stride")

    made, _ = search(Table(curve), tmp_path, space, Budget(trials=16))
    best = made.run()
    assert best[0].params["loss.levels"] == "stride"
    assert 5 <= best[0].params["weight"] <= 20
    assert len({one.run for one in made.trials}) == 16


def test_a_small_space_is_tried_out(tmp_path):
    space = Space((Choice("loss.levels", ("index", "stride")),))
    table = Table(lambda params, step: step / 100 + (params["loss.levels"] == "stride"))
    made, _ = search(table, tmp_path, space, Budget(trials=10))
    assert [one.run for one in made.run()] == ["stride", "index"]
    assert table.steps == 1200


def test_a_larger_budget_goes_on_with_the_same_study(tmp_path):
    runs: dict = {}
    search(Table(hill(10), runs), tmp_path)[0].run()
    more = Table(hill(10), runs)
    made, _ = search(more, tmp_path, budget=Budget(trials=9))
    made.run()
    assert len(made.trials) == 9
    assert more.steps == made.spent - 1900
