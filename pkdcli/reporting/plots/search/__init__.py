"""A search of `pkd tune`: the curve of weights after each comparison, and every trial in parallel coordinates."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pkdcli.reporting.plots.axes import log_ticks, tick_label, ticks
from pkdcli.reporting.plots.figure import Figure, Panel, Rule, Scale, Series, stem
from pkdcli.reporting.plots.groups import Group
from pkdcli.reporting.plots.training import Read
from pkdcli.reporting.table import points
from pkdcli.runs.record import Record, plain
from pkdcli.runs.searches import MEAN, Search, searches_in

_MOST_TICKS = 6  # tried values that are named on an axis of their own
_LEAST = 1.0  # AP points that an axis of mAP spans


@dataclass(frozen=True)
class _Trial:
    """A trial: its run, what is special about it, and mAP by the steps it was measured after."""

    record: Record
    params: Mapping[str, Any]
    curve: Mapping[int, float]

    @property
    def words(self) -> str:
        """What is special about it, in words."""
        return ", ".join(f"{_short(name)} {_word(value)}" for name, value in self.params.items())


def search_figures(records: Sequence[Record], everything: Sequence[Record], read: Read) -> list[Figure]:
    """A figure for each search of which a trial is among some runs.

    Args:
        records: The runs to show.
        everything: All runs: the other trials, and the baselines.
        read: Gives the curves of a run's folder.
    """
    shown, known = {record["run"] for record in records}, {record["run"]: record for record in everything}
    roots = dict.fromkeys(os.path.dirname(str(record["path"])) for record in everything if record["path"])
    found = [_figure(one, known, read) for root in roots for one in searches_in(Path(root)) if shown & set(one.trials)]
    return [figure for figure in found if figure is not None]


def _figure(search: Search, known: Mapping[str, Record], read: Read) -> Figure | None:
    trials = [_trial(known[run], params, search, read) for run, params in search.trials.items() if run in known]
    trials = [one for one in trials if any(step in one.curve for step in search.rungs)]
    if not trials:
        return None
    # As `pkd tune` ends: whoever was trained further stands before.
    trials.sort(key=lambda one: [-one.curve.get(step, -1.0) for step in reversed(search.rungs)])
    seeds, means = _confirmed(search, known)
    trials.sort(key=lambda one: (one.record["run"] not in means, -means.get(one.record["run"], 0.0)))
    first, total = trials[0].record, search.rungs[-1]
    baseline = known.get(first["baseline"] or "")
    rules = [] if baseline is None or baseline["mAP"] is None else [
        Rule("baseline, no distillation", baseline["mAP"], None, "baseline")]  # fmt: skip
    panels = [_curve(name, search, trials, rules) for name in search.ranges]
    panels.append(_parallel(search, trials))
    axes = ", ".join(_short(name) for name in (*search.ranges, *search.choices))
    loss = f"{first['loss']}, " if first["loss"] else ""
    title = f"Search for the best {axes}: {loss}{Group([first], []).title}"
    key = (first["pair"], first["schedule"], first["data"])
    return Figure(stem("search", search.name), "search", title, _caption(trials, total, seeds, means), panels, key)


def _trial(record: Record, params: Mapping[str, Any], search: Search, read: Read) -> _Trial:
    curves, rungs = read(str(record["path"])), search.rungs
    as_they_are = {at: value for at, value in zip(curves.val_step, curves.val["mAP"], strict=True) if value is not None}
    curve = dict(curves.rungs if search.compared == MEAN else as_they_are)
    curve.pop(rungs[-1], None)  # what a run has reached at its end stands in its result
    if record["state"] == "done" and record["mAP"] is not None:
        curve[rungs[-1]] = record["mAP"]
    return _Trial(record, params, {step: curve[step] for step in rungs if step in curve})


def _curve(name: str, search: Search, trials: Sequence[_Trial], rules: list[Rule]) -> Panel:
    """mAP over the values of one range, a line for each comparison; of trials with the same value the best."""
    series = []
    for step in reversed(search.rungs):
        best: dict[float, float] = {}
        for one in trials:
            if step in one.curve:
                best[one.params[name]] = max(one.curve[step], best.get(one.params[name], 0.0))
        if best:
            said = "at the end" if step == search.rungs[-1] else _after(step)
            series.append(Series(said, sorted(best), [best[x] for x in sorted(best)]))
    label = f"loss {name}" if name == "weight" else name
    return Panel(f"mAP by {name}", label, "mAP (AP points)", series, rules, log_x=True, points=True)


def _parallel(search: Search, trials: Sequence[_Trial]) -> Panel:
    ended = [one for one in trials if search.rungs[-1] in one.curve]
    rest = [one for one in trials if one not in ended[:2]]
    roles = [("best", "pkd", ended[:1]), ("runner-up", "mse", ended[1:2])]
    roles.append(("left behind" if ended else "trials so far", "baseline", rest))
    scales = [_range(name, ends, [one.params[name] for one in trials]) for name, ends in search.ranges.items()]
    scales += [_choice(name, values) for name, values in search.choices.items()]
    rungs = [step for step in search.rungs if any(step in one.curve for one in trials)]
    scales += [_rung(step, search.rungs[-1], [one.curve[step] for one in trials if step in one.curve])
               for step in rungs]  # fmt: skip
    series = []
    for name, look, members in roles:
        x: list[float] = []
        y: list[float | None] = []
        for one in members:
            values = [one.params[axis] for axis in search.ranges]
            values += [search.choices[axis].index(one.params[axis]) for axis in search.choices]
            reached = [one.curve.get(step) for step in rungs]
            x += range(len(scales))
            y += [*values, *reached]
        if x:
            series.append(Series(name, x, y, look=look))
    return Panel("Each trial, and how far it was trained", "", "", series, kind="parallel", scales=scales)


def _range(name: str, ends: tuple[float, float], tried: Iterable[float]) -> Scale:
    low, high = ends
    values = sorted(set(tried))
    if len(values) > _MOST_TICKS:
        values = [*log_ticks(low, high)]
    return Scale(_short(name), [(value, plain(value)) for value in values], low, high, log=low > 0 and high > low)


def _choice(name: str, values: Sequence[str]) -> Scale:
    return Scale(_short(name), [(float(n), value) for n, value in enumerate(values)], 0.0, float(len(values) - 1))


def _rung(step: int, total: int, values: Sequence[float]) -> Scale:
    low, high = min(values), max(values)
    # Less than a point is not blown up: at one seed that is luck.
    pad = max(0.06 * (high - low), (_LEAST - (high - low)) / 2)
    low, high = max(0.0, low - pad), high + pad
    said = "mAP at the end" if step == total else _after(step)
    return Scale(said, [(tick, tick_label(tick)) for tick in ticks(low, high, 4)], low, high)


def _confirmed(search: Search, known: Mapping[str, Record]) -> tuple[list[int], dict[str, float]]:
    """The seeds on which all finalists have been confirmed, and the mean mAP over them, by the id of a trial's run."""
    reached: dict[str, dict[int, float]] = {}
    for run, trial in search.confirmed.items():
        values, record = reached.setdefault(trial, {}), known.get(run)
        if record is not None and record["state"] == "done" and record["mAP"] is not None:
            values[record["seed"]] = record["mAP"]
    seeds = sorted(set.intersection(*map(set, reached.values()))) if reached else []
    return seeds, {trial: fmean(values[seed] for seed in seeds) for trial, values in reached.items()} if seeds else {}


def _caption(trials: Sequence[_Trial], total: int, seeds: Sequence[int], means: Mapping[str, float]) -> str:
    ended = [one for one in trials if total in one.curve]
    if means:
        finalists = [(one.words, points(means[one.record["run"]])) for one in trials if one.record["run"] in means]
        (best, reached), *others = finalists
        said = [f"Best over seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}: {best} with {reached} mAP"]
        said += [f"runner-up: {words} with {value}" for words, value in others[:1]]
    elif ended:
        said = [f"Best: {ended[0].words} with {points(ended[0].curve[total])} mAP"]
        said += [f"runner-up: {one.words} with {points(one.curve[total])}" for one in ended[1:2]]
    else:
        step = max(trials[0].curve)
        said = [f"Not over yet; ahead after {step:,} of {total:,} steps: {trials[0].words} with "
                f"{points(trials[0].curve[step])} mAP"]  # fmt: skip
    steps = sorted({step for one in trials for step in one.curve})
    counts = [(step, sum(step in one.curve for one in trials)) for step in steps]
    told = ", ".join(f"{count} {_after(step)}" for step, count in counts if count)
    return f"{'; '.join(said)}. Measured: {told}. One seed each{' but for the finalists' if means else ''}."


def _after(step: int) -> str:
    return f"after {step:,} step{'s' * (step != 1)}"


def _short(key: str) -> str:
    """The last part of a recipe's key."""
    return key.rpartition(".")[2]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else plain(value)
