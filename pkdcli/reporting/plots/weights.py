"""mAP against loss weight, with the baseline and the losses of a single weight as lines: the picture of Table 8."""

from __future__ import annotations

from pkdcli.reporting.plots.figure import Figure, Panel, Rule, Series, stem
from pkdcli.reporting.plots.groups import DEVIATION, Group, over_seeds
from pkdcli.reporting.table import points
from pkdcli.reporting.tables.names import method_name
from pkdcli.runs.record import Record, plain

_WIDE = 12  # weights further apart than so many times stand on a logarithmic axis


def weights_figure(group: Group) -> Figure | None:
    """The sweep of a group; None where no loss has two weights."""
    by_loss: dict[tuple, list[Record]] = {}
    for record in group.runs:
        by_loss.setdefault((record["loss"], record["temperature"]), []).append(record)
    series, rules = [], []
    for members in by_loss.values():
        weights = sorted({record["weight"] for record in members if record["weight"] is not None})
        if len(weights) > 1:
            series.append(_series(members, weights))
        else:
            rules.append(_rule(method_name(members[0]), members, members[0]["loss"]))
    if not series:
        return None
    baseline = [record for record in group.baselines if record["mAP"] is not None]
    if baseline:
        rules.insert(0, _rule("baseline, no distillation", baseline, "baseline"))
    every = [x for one in series for x in one.x]
    log = min(every) > 0 and max(every) / min(every) > _WIDE
    panel = Panel("", "loss weight", "mAP (AP points)", series, rules, log_x=log, points=True)
    name = stem("weights", *group.file_words)
    return Figure(name, "weights", f"mAP by loss weight: {group.title}", _caption(series, rules), [panel], group.key)


def _series(members: list[Record], weights: list[float]) -> Series:
    first = members[0]
    at = [[record for record in members if record["weight"] == weight] for weight in weights]
    means = [over_seeds(records, "mAP") for records in at]
    name = first["loss"] or "unknown loss"
    name += f", T {plain(first['temperature'])}" if first["temperature"] is not None else ""
    errors = [std for _, std in means] if any(std is not None for _, std in means) else []
    return Series(name, [float(weight) for weight in weights], [mean for mean, _ in means], errors, first["loss"])


def _rule(name: str, members: list[Record], look: str | None) -> Rule:
    mean, std = over_seeds(members, "mAP")
    return Rule(name, mean or 0.0, std, look)


def _caption(series: list[Series], rules: list[Rule]) -> str:
    parts = []
    for one in series:
        best, weight = max((y, x) for x, y in zip(one.x, one.y, strict=True) if y is not None)
        parts.append(f"{one.name} is best at weight {plain(weight)} with {points(best)} mAP")
    parts += [f"{rule.name}: {points(rule.y)}" for rule in rules]
    spread = any(one.error for one in series) or any(rule.error for rule in rules)
    return "; ".join(parts) + "." + DEVIATION * spread
