"""AP of small, medium and large objects: teacher, baseline and the best weight of each loss."""

from __future__ import annotations

from pkdcli.reporting.plots.figure import COLOURS, Figure, Panel, Series, stem
from pkdcli.reporting.plots.groups import DEVIATION, Group, best_of_each_loss, over_seeds
from pkdcli.reporting.table import points
from pkdcli.runs.record import Record

SIZES = {"AP_S": "small\n(below 32² px)", "AP_M": "medium", "AP_L": "large\n(from 96² px)"}


def sizes_figure(group: Group) -> Figure | None:
    """Bars in three groups; None where the data has objects of one size at most."""
    # A teacher's numbers stand in each of its runs: they count once.
    teachers = [{name: record.get(f"teacher_{name}") for name in SIZES} for record in group.runs]
    teachers = list({tuple(row.values()): row for row in teachers if any(v is not None for v in row.values())}.values())
    title = group.first.get("teacher_title") or group.first["teacher"] or "unknown"
    rows = [(f"{title} (teacher)", "teacher", teachers), ("baseline, no distillation", "baseline", group.baselines)]
    rows += [(name, runs[0]["loss"], runs) for name, runs in best_of_each_loss(group.runs, len(COLOURS) - 2)]
    sizes = [name for name in SIZES if any(over_seeds(members, name)[0] is not None for _, _, members in rows)]
    if len(sizes) < 2:
        return None
    series = [one for name, look, runs in rows if (one := _bars(name, look, runs, sizes)) is not None]
    panel = Panel(
        "", "size of the objects", "AP (AP points)", series, kind="bars", categories=[SIZES[name] for name in sizes]
    )
    texts = []
    for one in series:
        values = ", ".join(f"{size} {points(y)}" for size, y in zip(sizes, one.y, strict=True) if y is not None)
        texts.append(f"{one.name}: {values}")
    figure = stem("sizes", *group.file_words)
    caption = "; ".join(texts) + "." + DEVIATION * any(one.error for one in series)
    return Figure(figure, "sizes", f"AP by object size: {group.title}", caption, [panel], group.key)


def _bars(name: str, look: str | None, members: list[Record], sizes: list[str]) -> Series | None:
    values = [over_seeds(members, size) for size in sizes]
    if all(mean is None for mean, _ in values):
        return None
    errors = [std for _, std in values] if any(std is not None for _, std in values) else []
    return Series(name, [float(n) for n in range(len(sizes))], [mean for mean, _ in values], errors, look)
