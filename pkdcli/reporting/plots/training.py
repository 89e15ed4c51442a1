"""Training curves: loss, learning rate and validation mAP of several runs, or of one with its levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pkdcli.reporting.curves import Column, Curves, mean, thinned, thinned_alike
from pkdcli.reporting.levels import level_name
from pkdcli.reporting.plots.figure import COLOURS, Figure, Panel, Rule, Series, stem
from pkdcli.reporting.plots.groups import Group, best_of_each_loss
from pkdcli.reporting.table import points
from pkdcli.runs.record import Record

Read = Callable[[str], Curves]
POINTS = 120


def training_figure(group: Group, read: Read) -> Figure | None:
    """Curves of the baseline and of the best weight of each loss, one seed each; None where nothing was recorded.

    Args:
        group: The runs.
        read: Gives the curves of a run's folder.
    """
    chosen = [("baseline, no distillation", record) for record in group.baselines[:1]]
    chosen += [(name, members[0]) for name, members in best_of_each_loss(group.runs, len(COLOURS) - len(chosen))]
    curves = [(name, record, read(record["path"])) for name, record in chosen]
    curves = [one for one in curves if one[2].step or one[2].val_step]
    if not curves:
        return None
    panels = [
        _panel("Training loss", "loss, all parts", curves, lambda one: (one.step, one.loss), log_y=True),
        _panel("Learning rate", "learning rate", curves, lambda one: (one.step, one.lr)),
        _panel("Validation", "mAP (AP points)", curves, lambda one: (one.val_step, one.val["mAP"]), points=True),
    ]
    ends = [f"{name} ends at {points(record['mAP'])} mAP" for name, record, _ in curves]
    seeds = {record["seed"] for _, record, _ in curves}
    caption = "; ".join(ends) + (f" (seed {seeds.pop()})." if len(seeds) == 1 else ".")
    name = stem("training", *group.file_words)
    return Figure(name, "training", f"Training: {group.title}", caption, _drawn(panels), group.key)


def run_panels(
    record: Record, curves: Curves, baseline: tuple[Record, Curves] | None = None, count: int = POINTS
) -> list[Panel]:
    """The curves of one run: losses, learning rate, mAP beside its baseline's and teacher's, and its levels'.

    Args:
        record: The run.
        curves: Its own.
        baseline: The run it is measured against, and its curves.
        count: Points a line at most.
    """

    def line(name: str, steps: Sequence[int], column: Column) -> Series:
        return Series(name, *thinned(steps, column, count))

    losses = [("all parts", curves.loss)]
    if any(value is not None for value in curves.distillation):
        losses += [("detection", curves.detection), ("distillation", curves.distillation)]
    parts = _lines(curves.step, losses, count)
    own = line("this run", curves.val_step, curves.val["mAP"])
    scores = [replace(own, look=_look(record))]
    if baseline is not None:
        scores.append(replace(line("baseline", baseline[1].val_step, baseline[1].val["mAP"]), look="baseline"))
    rules = [Rule("teacher", record["teacher_mAP"], look="teacher")] if record.get("teacher_mAP") is not None else []
    step = "iteration"
    panels = [
        Panel("Training loss", step, "loss", parts, log_y=_positive(parts)),
        Panel("Validation mAP", step, "mAP (AP points)", scores, rules, points=True),
        Panel("Learning rate", step, "learning rate", [line("learning rate", curves.step, curves.lr)]),
    ]
    return _drawn(panels + level_panels(record, curves, count))


def level_panels(record: Record, curves: Curves, count: int = POINTS) -> list[Panel]:
    """By level of the student over the training: weighted loss, share of the gradient, correlation with the teacher.

    Args:
        record: The run.
        curves: Its curves.
        count: Points a line at most.
    """
    if not curves.levels:
        return []
    names = {level: level_name(record, level) for level in curves.levels}

    def lines(measure: str) -> list[Series]:
        columns = [(names[level], columns[measure]) for level, columns in curves.levels.items()]
        return _lines(curves.level_step, columns, count)

    losses, unit = lines("loss"), (0.0, 1.0)
    panels = [
        Panel("Distillation loss by level", "iteration", "weighted loss", losses, log_y=_positive(losses)),
        Panel("Gradient by level", "iteration", "share of the norms", lines("grad_share"), y_range=unit),
        Panel("Correlation with the teacher", "iteration", "Pearson's r, mean of channels", lines("r")),
        Panel("Ten largest channels", "iteration", "share of the gradient", lines("top10_share"), y_range=unit),
    ]
    return _drawn(panels)


def levels_of_run(record: Record, read: Read) -> Figure | None:
    """The levels of one run as a picture; None where they were not measured.

    Args:
        record: The run.
        read: Gives the curves of a run's folder.
    """
    curves = read(record["path"])
    panels = level_panels(record, curves)
    if not panels:
        return None
    shares = {level_name(record, level): mean(columns["grad_share"]) for level, columns in curves.levels.items()}
    known = {name: share for name, share in shares.items() if share is not None}
    caption = ""
    if known:
        top = max(known, key=known.__getitem__)
        caption = f"{top} has the largest share of the gradient: {100 * known[top]:.0f} % on average."
    return Figure(stem("levels", record["run"]), "run", f"Levels: {record['run']}", caption, panels)


def _lines(steps: Sequence[int], columns: Sequence[tuple[str, Column]], count: int) -> list[Series]:
    alike = thinned_alike(steps, [column for _, column in columns], count)
    return [Series(name, *line) for (name, _), line in zip(columns, alike, strict=True)]


def _panel(
    title: str,
    label: str,
    curves: list[tuple[str, Record, Curves]],
    column: Callable[[Curves], tuple[list[int], Column]],
    log_y: bool = False,
    points: bool = False,
) -> Panel:
    series = [Series(name, *thinned(*column(one), POINTS), look=_look(record)) for name, record, one in curves]
    return Panel(title, "iteration", label, series, log_y=log_y and _positive(series), points=points)


def _look(record: Record) -> str | None:
    return "baseline" if record["role"] == "baseline" else record["loss"]


def _drawn(panels: list[Panel]) -> list[Panel]:
    return [panel for panel in panels if any(one.x for one in panel.series)]


def _positive(series: list[Series]) -> bool:
    return all(y is not None and y > 0 for one in series for y in one.y)
