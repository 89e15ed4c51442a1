"""AP by class: of each run as its result has it, or worked out from the detections that it has kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.reporting.select import mean_over_seeds
from pkdcli.reporting.table import Table, metric, signed
from pkdcli.reporting.tables.names import method_name
from pkdcli.reporting.tables.sections import by_data_and_scale
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import METRICS, Record, plain

BY_CLASS_COLUMNS = (
    *("run", "pair", "student", "role", "loss", "weight", "temperature", "schedule", "data", "scale", "split", "seed"),
    *("class", "AP", "gain"),
)
"""The columns of `--by-class --format csv`: a row for each run and class, `gain` over the baseline in that class."""

MEAN_BY_CLASS_COLUMNS = (*BY_CLASS_COLUMNS[1:11], "seeds", "n", "class", "AP", "AP_std", "gain", "gain_std")
"""The same of means over seeds."""

_WIDE = 6
"""So many runs stand side by side in a table."""


def with_classes(records: Sequence[Record], cache: Path) -> tuple[list[Record], list[str]]:
    """The finished runs whose AP by class is known, in `classes`, and notes on the others.

    Args:
        records: The runs to show.
        cache: The cache folder, where the embedded data is.
    """
    found, notes = [], []
    for record in records:
        if record["mAP"] is None:
            continue
        classes, why = record.get("classes"), ""
        if classes is None and record["path"] and not record["foreign"]:
            classes, why = _worked_out(record, cache)
        if classes is None:
            more = "" if record["split"] in (None, "val") else f" --split {record['split']}"
            remedy = f" Type: pkd eval {record['run']}{more}" if not record["foreign"] else ""
            notes.append(f"No AP by class of {record['run']}{f': {why}' if why else '.'}{remedy}")
        else:
            found.append(dict(record) | {"classes": classes})
    return found, notes


def _worked_out(record: Record, cache: Path) -> tuple[dict[str, float | None] | None, str]:
    """AP by class from what a run has kept, which an evaluation may have written later; or why there is none."""
    from pkdcli.reporting.compare.scored import score

    try:
        scored = score(RunPaths(Path(record["path"])), cache, record["split"] or "val")
        return {name: value if value == value else None for name, value in scored.by_class.items()}, ""
    except PkdError as error:
        return None, error.message


def class_rows(records: Sequence[Record], *, mean: bool = False) -> list[Record]:
    """A row for each run and class.

    Args:
        records: Runs with `classes`, the baselines of the distilled ones among them where they are known.
        mean: Means over seeds, in place of runs.

    Returns:
        Records whose `mAP` is the AP of `class`, and whose `gain` is that over the baseline in the same class; the
        classes of a run in their order.
    """
    of_run = {record["run"]: record["classes"] for record in records}
    names = dict.fromkeys(name for record in records for name in record["classes"])
    rows: list[Record] = []
    for name in names:
        of_class = []
        for record in records:
            if name not in record["classes"]:
                continue
            value = record["classes"][name]
            before = (of_run.get(record["baseline"]) or {}).get(name)
            nothing = dict.fromkeys((*METRICS, *(f"teacher_{one}" for one in METRICS)))
            of_class.append(
                dict(record) | nothing | {
                    "class": name, "mAP": value, "baseline_mAP": before,
                    "gain": value - before if value is not None and before is not None else None,
                }
            )  # fmt: skip
        rows += _means(of_class) if mean else of_class
    return rows


def _means(of_class: list[Record]) -> list[Record]:
    """Means over seeds of one class; of one without objects there are none, which stays known."""
    known = mean_over_seeds(of_class)
    return known or [dict(one) | {"n": None, "seeds": None, "mAP_std": None, "gain_std": None} for one in of_class[:1]]


def class_data(records: Sequence[Record], *, mean: bool = False) -> tuple[list[Record], tuple[str, ...]]:
    """The rows and columns of csv and json.

    Args:
        records: As for `class_rows`.
        mean: The same.
    """
    rows = [row | {"AP": row["mAP"], "AP_std": row.get("mAP_std")} for row in class_rows(records, mean=mean)]
    order = {record["run"]: place for place, record in enumerate(records)}
    rows.sort(key=lambda row: order[row["run"]])  # the classes of a run stay in their order
    return rows, MEAN_BY_CLASS_COLUMNS if mean else BY_CLASS_COLUMNS


def class_tables(records: Sequence[Record], *, mean: bool = False) -> list[Table]:
    """Tables with a line for each class and a column for each run: its AP, and its gain in brackets.

    Args:
        records: As for `class_rows`.
        mean: The same.
    """
    tables = []
    for group in by_data_and_scale(records):
        rows = class_rows(group, mean=mean)
        heads = {row["run"]: _head(row, group, mean) for row in rows}
        runs = sorted(heads, key=[record["run"] for record in group].index)
        names = list(dict.fromkeys(row["class"] for row in rows))
        cells = {(row["class"], row["run"]): _cell(row) for row in rows}
        first = group[0]
        where = f"data {first['data']}, split {first['split']}, scale {first['scale']}"
        for begin in range(0, len(runs), _WIDE):
            shown = runs[begin : begin + _WIDE]
            more = f" ({begin // _WIDE + 1} of {-(-len(runs) // _WIDE)})" if len(runs) > _WIDE else ""
            lines = [[name, *(cells.get((name, run), "") for run in shown)] for name in names]
            tables.append(Table(f"AP by class: {where}{more}", ["class", *(heads[run] for run in shown)], 1, [lines]))
    return tables


def _head(row: Record, group: Sequence[Record], mean: bool) -> str:
    """A column's heading: the method, and what tells it from others of the same method."""
    name = method_name(row)
    alike = [one for one in group if method_name(one) == name]
    parts = [name]
    for key in ("pair", "schedule"):
        if len({one[key] for one in alike if one["role"] == row["role"]}) > 1 and row[key]:
            parts.append(str(row[key]))
    if not mean and len(alike) > 1:
        parts.append(f"seed {plain(row['seed'])}")
    return ", ".join(parts)


def _cell(row: Record) -> str:
    """AP points and the gain over the baseline; empty for a class without objects."""
    gain = signed(row["gain"], row.get("gain_std"))
    return f"{metric(row, 'mAP')} ({gain})" if gain and row["mAP"] is not None else metric(row, "mAP")

