"""Which levels a loss works on: each level's share of the distillation loss and of its gradient, a bar per method."""

from __future__ import annotations

from pkdcli.reporting.curves import mean
from pkdcli.reporting.levels import level_name
from pkdcli.reporting.plots.figure import Figure, Panel, Series, stem
from pkdcli.reporting.plots.groups import Group, by_method
from pkdcli.reporting.plots.training import Read

BARS = 16


def levels_figure(group: Group, read: Read) -> Figure | None:
    """Shares over the whole training, of one seed each; None where they were not measured.

    Args:
        group: Runs that are shown together.
        read: Gives the curves of a run's folder.
    """
    shown: list[tuple[str, dict[int, float], dict[int, float]]] = []
    left_out = 0
    for name, members in by_method(group.runs).items():
        levels = read(members[0]["path"]).levels
        losses = _shares({level: mean(columns["loss"]) for level, columns in levels.items()})
        gradients = _shares({level: mean(columns["grad_share"]) for level, columns in levels.items()})
        if losses and gradients and len(shown) < BARS:
            shown.append((name, losses, gradients))
        elif losses and gradients:
            left_out += 1
    if not shown:
        return None
    levels = sorted({level for _, losses, _ in shown for level in losses})
    names = {level: level_name(group.first, level) for level in levels}
    panels = []
    for title, part in (("Distillation loss", 1), ("Its gradient", 2)):
        series = [
            Series(names[level], list(range(len(shown))), [100 * one[part].get(level, 0.0) for one in shown])
            for level in levels
        ]
        label = "share of the level, mean over the training (%)"
        panels.append(
            Panel(title, label, "", series, kind="shares", categories=[one[0] for one in shown], y_range=(0.0, 100.0))
        )
    parts = []
    for name, _, gradients in shown:
        top = max(gradients, key=gradients.__getitem__)
        parts.append(f"{name}: {100 * gradients[top]:.0f} % of the gradient is at {names[top]}")
    caption = "; ".join(parts) + "." + (f" {left_out} more are not shown." if left_out else "")
    title = f"Levels: {group.title}"
    return Figure(stem("levels", *group.file_words), "levels", title, caption, panels, group.key)


def _shares(values: dict[int, float | None]) -> dict[int, float]:
    known = {level: value for level, value in values.items() if value is not None and value >= 0}
    total = sum(known.values())
    return {level: value / total for level, value in known.items()} if total > 0 else {}
