"""mAP against latency, or else operations or parameters: what a smaller detector costs, and what distillation gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from pkdcli.reporting.plots.figure import COLOURS, Figure, Panel, Series, stem
from pkdcli.reporting.plots.groups import over_seeds
from pkdcli.reporting.select import same_but_for_seed
from pkdcli.reporting.table import points
from pkdcli.reporting.tables.names import is_distilled, student_name, teacher_name
from pkdcli.runs.profiles import RUNTIMES
from pkdcli.runs.record import Record, number_of, plain

_SAME = ("data", "split", "scale")
_HOW = ("device_name", "device", "runtime", "batch", "threads")
_UNITS = {"gflops": ("GFLOPs", 1.0), "parameters": ("parameters (millions)", 1e-6)}

Place = tuple[float, float, float | None, str]
"""A point: x, mAP, its deviation over seeds, the detector's title."""


def tradeoff_figures(records: Sequence[Record], everything: Iterable[Record]) -> list[Figure]:
    """A figure for each data set and scale of which two detectors have a size or a latency, whatever their pairs.

    Args:
        records: Runs to show.
        everything: All runs, for the baselines.
    """
    known = {record["run"]: record for record in everything}
    serving = [known[run] for run in dict.fromkeys(one["baseline"] for one in records) if run in known]
    groups: dict[tuple, dict[str, Record]] = {}
    for record in (*records, *serving):
        if record["mAP"] is not None and not record["smoke"] and record["role"] != "teacher":
            groups.setdefault(tuple(record[key] for key in _SAME), {})[record["run"]] = record
    found = (_figure(list(members.values())) for members in groups.values())
    return [figure for figure in found if figure is not None]


def _figure(members: list[Record]) -> Figure | None:
    label, at = _axis(members)
    rows: list[tuple[str, str, list[Place]]] = [("teacher", "teacher", _teachers(members, at))]
    baselines = [record for record in members if record["role"] == "baseline"]
    rows.append(("student, no distillation", "baseline", _best(baselines, at)))
    losses = dict.fromkeys(record["loss"] or "unknown loss" for record in members if is_distilled(record))
    for loss in list(losses)[: len(COLOURS) - 2]:
        taught = [record for record in members if is_distilled(record) and (record["loss"] or "unknown loss") == loss]
        rows.append((f"student, {loss}", loss, _best(taught, at)))
    rows = [row for row in rows if row[2]]
    every = [place for _, _, places in rows for place in places]
    if len({x for x, *_ in every}) < 2:
        return None
    series = [_series(name, look, places) for name, look, places in rows]
    marks = _marks(every)
    panel = Panel("", label, "mAP (AP points)", series, kind="points", points=True, marks=marks)
    one = members[0]
    data = " ".join(filter(None, (one["data"] or "unknown data", one["split"])))
    title = f"mAP by {label.partition(' (')[0]}: {data}, scale {one['scale'] or 'unknown'}"
    name = stem("tradeoff", f"{one['data']}-{one['scale']}", one["split"] if one["split"] != "val" else None)
    return Figure(name, "tradeoff", title, _caption(rows, label), [panel], (None, None, one["data"]))


def _axis(members: list[Record]) -> tuple[str, dict[str, float]]:
    """What stands along x, with its label, and where each detector is.

    Runs of one detector are equally large and fast: one that was profiled speaks for all.
    """
    conditions: dict[tuple, dict[str, list[float]]] = {}
    for record in members:
        for row in record.get("profile") or []:
            who = record["student"] if row.get("model") == "student" else record["teacher"]
            how = tuple(row.get(key) for key in _HOW)
            if who is not None:
                conditions.setdefault(how, {}).setdefault(who, []).append(row["latency_ms"])
    if conditions:
        # The one that most detectors and runs have, PyTorch before others; the last of equals is the latest.
        how, timed = max(
            reversed(conditions.items()),
            key=lambda one: (len(one[1]), sum(map(len, one[1].values())), one[0][_HOW.index("runtime")] == "pytorch"),
        )
        if len(timed) > 1:
            name, device, runtime, batch, threads = how
            on = f"{name}, {plain(threads)} thread{'' if threads == 1 else 's'}" if device == "cpu" else f"{name}"
            label = f"latency (ms): {RUNTIMES.get(runtime, runtime)}, {on}, batch {batch}"
            return label, {who: median(values) for who, values in timed.items()}
    for column, (label, factor) in _UNITS.items():
        found: dict[str, float] = {}
        for record in members:
            for who, key in (("student", column), ("teacher", f"teacher_{column}")):
                value = number_of(record.get(key))
                if value is not None and record[who] is not None:
                    found[record[who]] = value * factor
        if len(found) > 1:
            return label, found
    return "", {}


def _teachers(members: list[Record], at: dict[str, float]) -> list[Place]:
    found: dict[tuple, Place] = {}
    for record in members:
        mAP, who = record.get("teacher_mAP"), record["teacher"]
        if mAP is not None and who in at:
            found[who, mAP] = (at[who], mAP, None, teacher_name(record))
    return sorted(found.values())


def _best(members: list[Record], at: dict[str, float]) -> list[Place]:
    """Of each student the settings with the highest mean mAP over seeds."""
    experiments: dict[tuple, list[Record]] = {}
    for record in members:
        if record["student"] in at:
            experiments.setdefault((record["student"], same_but_for_seed(record)), []).append(record)
    best: dict[str, Place] = {}
    for (who, _), runs in experiments.items():
        mean, std = over_seeds(runs, "mAP")
        if mean is not None and (who not in best or mean > best[who][1]):
            best[who] = (at[who], mean, std, student_name(runs[0]))
    return sorted(best.values())


def _series(name: str, look: str, places: list[Place]) -> Series:
    errors = [std for _, _, std, _ in places] if any(std is not None for _, _, std, _ in places) else []
    labels = [title for *_, title in places]
    return Series(name, [x for x, *_ in places], [y for _, y, *_ in places], errors, look, labels=labels)


def _marks(every: list[Place]) -> list[tuple[float, float, str]]:
    """The detectors' names, each above the highest of its points."""
    highest: dict[tuple[float, str], float] = {}
    for x, y, std, title in every:
        highest[x, title] = max(highest.get((x, title), y), y + (std or 0.0))
    return [(x, y, title) for (x, title), y in highest.items()]


def _caption(rows: list[tuple[str, str, list[Place]]], label: str) -> str:
    texts = []
    for name, _, places in rows:
        said = ", ".join(f"{title} {points(y)} at {x:.3g}" for x, y, _, title in places)
        texts.append(f"{name}: {said}")
    return f"mAP by {label}. {'; '.join(texts)}."
