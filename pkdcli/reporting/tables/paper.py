"""Records laid out as the paper's appendix does it: Table 7, Table 8, and a plain list of runs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from pkdcli.reporting.published import published_teacher
from pkdcli.reporting.table import Table, best, metric, published, signed
from pkdcli.runs.record import METRICS, Record, order, plain

_VARYING = {"batch": "batch", "init": "init", "levels": "levels", "stat_chunk": "chunk", "seed": "seed", "n": "seeds"}
SMOKE_NOTE = "A smoke run evaluates few images: its AP shows that the code runs, and is compared with no whole run's."


def table7(records: list[Record], literature: list[Record] | None = None) -> list[Table]:
    """One table for each data set and scale: by pair the teacher, the student alone, then the methods.

    The teacher's numbers are those its distilled runs recorded; its schedule is its own and not known here.

    Args:
        records: Runs, or means over seeds; those without metrics are passed over.
        literature: Published numbers: adds the columns `paper` and `diff`.
    """
    return [_table7(group, literature) for group in _by_data(records)]


def table8(records: list[Record], paper: bool = False) -> list[Table]:
    """One table for each data set and scale: mAP against loss weight, by pair and schedule."""
    tables = (_table8([r for r in group if _distilled(r)], paper) for group in _by_data(records))
    return [table for table in tables if table.sections]


def swept(records: list[Record]) -> list[Record]:
    """The runs that make up a sweep: their loss has two weights or more in the same pair, schedule, data and scale."""

    def family(record: Record) -> tuple:
        return tuple(record[key] for key in ("pair", "schedule", "data", "scale", "loss"))

    weights: dict[tuple, set] = {}
    done = [record for record in records if _distilled(record) and record["mAP"] is not None]
    for record in done:
        weights.setdefault(family(record), set()).add(record["weight"])
    return [record for record in done if len(weights[family(record)] - {None}) > 1]


def runs_table(records: list[Record]) -> Table:
    """Every run with its state, finished or not, and why it failed."""
    columns = ["run", "state", "epoch", "mAP", "gain"]
    rows = [[r["run"], _state(r), _progress(r), metric(r, "mAP"), signed(r["gain"])] for r in records]
    words = 2
    if any(record["error"] for record in records):
        columns.insert(2, "last error")
        words = 3
        for row, record in zip(rows, records, strict=True):
            row.insert(2, record["error"] or "")
    title = f"{len(records)} run{'s' if len(records) != 1 else ''}"
    return Table(title, columns, words, [rows], origin=[list(records)])


def _state(record: Record) -> str:
    marks = [f"smoke run: {record['smoke']}"] if record["smoke"] else []
    marks += [f"imported from {record['foreign']}"] if record["foreign"] else []
    return f"{record['state']} ({', '.join(marks)})" if marks else record["state"]


def unfinished_notes(records: list[Record], limit: int = 10) -> list[str]:
    """A line for each run without a result, and one for those without a baseline."""
    open_ = [record for record in records if record["mAP"] is None]
    notes = []
    for record in open_[:limit]:
        progress = f" at epoch {_progress(record)}" if _progress(record) else ""
        error = f": {record['error']}" if record["error"] else ""
        whence = f" (imported from {record['foreign']})" if record["foreign"] else ""
        notes.append(f"{record['state']}{progress}: {record['run']}{whence}{error}")
    if len(open_) > limit:
        notes.append(f"{len(open_) - limit} more without a result: pkd report --layout runs")
    whole = [r for r in records if r["mAP"] is not None and not r["smoke"] and not r["foreign"]]
    alone = [r for r in whole if _distilled(r) and r["gain"] is None]
    if alone:
        notes.append(
            f"No gain for {len(alone)} of the runs: no finished baseline has the same student, schedule, data, scale, "
            "batch and seed. Train it by the same command with --loss none."
        )
    return notes


def _table7(records: list[Record], literature: list[Record] | None) -> Table:
    extra = _extra(records)
    columns = ["method", "schedule", *extra.values(), *METRICS, "gain"]
    columns += ["paper", "diff"] if literature is not None else []
    table = Table(_title(records, extra), columns, 2, [])
    competing: list[tuple[Any, int, int, list[str]]] = []
    for number, (pair, members) in enumerate(_sections(records)):
        rows = []
        teachers = _teachers(pair, members)
        table.origin.append([*(row | {"role": "teacher", "pair": pair} for row in teachers), *members])
        for teacher in teachers:
            row = [
                teacher["label"],
                "",
                *(teacher.get(key) or "" for key in extra),
                *(metric(teacher, name) for name in METRICS),
                "",
            ]
            if literature is not None:
                cited = published_teacher(teacher["teacher"], literature)
                row += [published(cited["paper_mAP"]), ""]
                table.notes += cited["paper_notes"]
            rows.append(row)
        for record in members:
            row = [method_name(record), record["schedule"] or "", *(plain(record.get(key)) for key in extra)]
            row += [*(metric(record, name) for name in METRICS), signed(record["gain"], record.get("gain_std"))]
            if literature is not None:
                row += [published(record["paper_mAP"]), signed(record["paper_difference"])]
                table.notes += record["paper_notes"]
            if record["role"] != "teacher":
                group = (number, record["schedule"], record["batch"], record["epoch"], record["smoke"])
                competing.append((group, number, len(rows), row))
            rows.append(row)
        table.sections.append(rows)
    for name in METRICS:
        column = columns.index(name)
        table.bold |= best(((group, section, row, cells[column]) for group, section, row, cells in competing), column)
    table.notes = _paper_notes(table.notes, records, literature is not None)
    return table


def _table8(records: list[Record], paper: bool) -> Table:
    extra = {key: name for key, name in _extra(records).items() if key != "loss"}
    losses = {record["loss"] for record in records}
    if any(record["temperature"] is not None for record in records):
        extra = {"temperature": "T"} | extra
    columns = ["teacher", "student", "schedule", *(["loss"] if len(losses) > 1 else [])]
    words = len(columns)
    columns += [*extra.values(), "baseline", "weight", "mAP", "gain", *(["paper", "diff"] if paper else [])]
    title = _title(records, extra) if records else ""
    if len(losses) == 1:
        title = f"{losses.copy().pop()}: mAP by loss weight, {title}"
    elif losses:
        title = f"mAP by loss weight, {title}"
    table = Table(title, columns, words, [])
    cells: list[tuple[Any, int, int, str]] = []
    column = columns.index("mAP")
    for _, group in groupby(records, key=lambda record: (record["pair"], record["schedule"])):
        rows: list[list[str]] = []
        table.origin.append(members := list(group))
        for record in members:
            row = [_teacher_name(record), _student_name(record), record["schedule"] or ""]
            row += [record["loss"] or ""] if len(losses) > 1 else []
            row += [*(plain(record.get(key)) for key in extra), metric(record, "baseline_mAP"), plain(record["weight"])]
            row += [metric(record, "mAP"), signed(record["gain"], record.get("gain_std"))]
            row += [published(record["paper_mAP"]), signed(record["paper_difference"])] if paper else []
            table.notes += record["paper_notes"] if paper else []
            section = len(table.sections)
            cells.append(
                ((section, record["batch"], record["epoch"], record["smoke"]), section, len(rows), row[column])
            )
            rows.append(row)
        table.sections.append(rows)
    table.bold = best(cells, column)
    table.notes = _paper_notes(table.notes, records, paper)
    return table


def _by_data(records: Iterable[Record]) -> list[list[Record]]:
    def where(record: Record) -> tuple[str, ...]:
        return tuple(record[key] or "" for key in ("data", "split", "scale"))

    done = sorted((record for record in records if record["mAP"] is not None), key=order)
    return [list(group) for _, group in groupby(sorted(done, key=where), key=where)]


def _sections(records: list[Record]) -> list[tuple[str | None, list[Record]]]:
    """By pair; a baseline stands with every pair of its student, unless one was run for that pair itself."""
    baselines = [record for record in records if record["role"] == "baseline"]
    others = [record for record in records if record["role"] != "baseline"]
    sections = []
    placed = set()
    for pair in sorted({r["pair"] or "" for r in others}):
        members = [record for record in others if (record["pair"] or "") == pair]
        schedules = {record["schedule"] for record in members}
        students = {record["student"] for record in members}
        own = {_run_of(baseline) for baseline in baselines if baseline["pair"] == pair}
        mine = [
            baseline
            for baseline in baselines
            if baseline["pair"] == pair
            or (baseline["student"] in students and baseline["schedule"] in schedules and _run_of(baseline) not in own)
        ]
        placed |= {id(record) for record in mine}
        sections.append((pair or None, sorted([*mine, *members], key=_in_section)))
    rest = [record for record in baselines if id(record) not in placed]
    for pair in sorted({r["pair"] or "" for r in rest}):
        sections.append((pair or None, [record for record in rest if (record["pair"] or "") == pair]))
    return sections


def _run_of(baseline: Record) -> tuple:
    return tuple(baseline.get(key) for key in ("student", "schedule", "batch", "epoch", "comparable", "seed", "seeds"))


def _in_section(record: Record) -> tuple:
    # The baselines may have been asked for with another pair.
    return order(dict(record, pair=None))


def _teachers(pair: str | None, members: list[Record]) -> list[Record]:
    """The rows of a pair's teacher: each distinct set of numbers once; one row where there are none."""
    found: dict[tuple, Record] = {}
    for record in filter(_distilled, members):
        row = {key: record[key] for key in ("teacher", "smoke", "foreign")}
        row |= {"label": f"{_teacher_name(record)} (teacher)"}
        for name in METRICS:
            row |= {name: record.get(f"teacher_{name}"), f"{name}_std": record.get(f"teacher_{name}_std") or None}
        found.setdefault(tuple(row.values()), row)
    known = [row for row in found.values() if row["mAP"] is not None]
    if known or found:
        return known or list(found.values())[:1]
    # With baselines alone, the teacher is a name at most: that of the pair they were asked for with.
    return []


def _extra(records: list[Record]) -> dict[str, str]:
    """The settings, beyond those with a column of their own, in which the records differ: key -> heading."""
    extra = {}
    for key, heading in _VARYING.items():
        if len({record.get(key) for record in records} - {None}) > 1:
            extra[key] = heading
    epochs: dict[str | None, set] = {}
    for record in records:
        epochs.setdefault(record["schedule"], set()).add(record["epoch"])
    if any(len(values - {None}) > 1 for values in epochs.values()):
        extra["epoch"] = "epochs"
    if any(record["smoke"] for record in records):
        extra["smoke"] = "smoke run"
    if any(record.get("foreign") for record in records):
        extra["foreign"] = "imported from"
    shown = ("pair", "role", "loss", "weight", "temperature", "schedule", "student", "teacher", *extra)
    identities = [tuple(record.get(key) for key in shown) for record in records]
    if len(set(identities)) < len(identities):
        for record in records:
            record["id"] = str(record["run"]).rpartition("-")[2]
        extra["id"] = "id"
    return extra


def _title(records: list[Record], extra: dict[str, str]) -> str:
    first = records[0]
    data = " ".join(filter(None, (first["data"] or "unknown data", first["split"])))
    parts = [data, f"scale {first['scale'] or 'unknown'}"]
    for key, heading in (("batch", "batch"), ("seed", "seed")):
        value = next((record[key] for record in records if record.get(key) is not None), None)
        if key not in extra and value is not None and not (key == "seed" and "seeds" in first):
            parts.append(f"{heading} {plain(value)}")
    if "seeds" in first:
        same = len({record["seeds"] for record in records}) == 1
        parts.append("mean ± standard deviation over seeds" + (f" {first['seeds']}" if same else ""))
    return ", ".join(parts)


def _paper_notes(notes: list[str], records: list[Record], paper: bool) -> list[str]:
    notes = list(dict.fromkeys(notes))
    if any(record["smoke"] for record in records):
        notes.insert(0, SMOKE_NOTE)
    if paper and any(record["scale"] != "paper" or record["data"] != "coco" for record in records):
        notes.insert(0, "Published numbers are COCO val2017's at scale paper; beside other runs they only orient.")
    return notes


def method_name(record: Record) -> str:
    """What stands in the first column of Table 7: a detector and its role, or a loss and its knobs."""
    if record["role"] == "teacher":
        return f"{_student_name(record)} (teacher)"
    if record["role"] == "baseline":
        return f"{_student_name(record)} (student)"
    parts = [record["loss"] or "unknown loss"]
    parts += [f"weight {plain(record['weight'])}"] if record["weight"] is not None else []
    parts += [f"T {plain(record['temperature'])}"] if record["temperature"] is not None else []
    return ", ".join(parts)


def _teacher_name(record: Record) -> str:
    return record.get("teacher_title") or record["teacher"] or "unknown"


def _student_name(record: Record) -> str:
    return record.get("student_title") or record["student"] or "unknown"


def _distilled(record: Record) -> bool:
    return record["role"] not in ("baseline", "teacher")


def _progress(record: Record) -> str:
    done, total = plain(record["epoch"]), plain(record.get("epochs"))
    if record["state"] == "done" or not total:
        return done
    return f"{done or 0}/{total}"
