"""A reproduced table laid out as the paper's: each number of ours, then the paper's, then the difference."""

from __future__ import annotations

from collections.abc import Sequence

from pkdcli.recipe.schema import TableRecipe
from pkdcli.recipe.table import Line
from pkdcli.reporting.table import Table, best, metric, published, signed
from pkdcli.reporting.tables.headings import SMOKE_NOTE
from pkdcli.reporting.tables.names import method_name
from pkdcli.reporting.tables.reproduced import Group, not_comparable
from pkdcli.runs.record import METRICS, Record, plain

_PAPER = ["paper", "diff"]


def reproduced_tables(table: TableRecipe, lines: Sequence[Line], groups: Sequence[Group]) -> list[Table]:
    """The table, and for one of weights how each of its groups agrees with the paper.

    Args:
        table: The table recipe.
        lines: Its lines, for the heading.
        groups: The same, filled in.
    """
    reason = next((why for line in lines if (why := not_comparable(line.recipe))), None)
    whole = _methods(groups) if table.layout == "methods" else _weights(groups)
    whole.title = _title(table, lines, reason)
    if reason and table.published:
        whole.notes.append(f"No differences: the paper's numbers are COCO's at scale paper, these are of {reason}.")
    records = [record for group in groups for record in group.records]
    if any(record["smoke"] for record in records):
        whole.notes.append(SMOKE_NOTE)
    shown = records if table.layout == "methods" else [r for group in groups for r in (group.baseline, *group.lines)]
    whole.notes += dict.fromkeys(note for record in shown for note in record["paper_notes"])
    whole.notes += dict.fromkeys(note for record in records for note in _unfinished(record))
    return [whole, _agreement(groups)] if table.layout == "weights" and table.published else [whole]


def _title(table: TableRecipe, lines: Sequence[Line], reason: str | None) -> str:
    first = lines[0]
    seeds = list(first.runs)
    seed = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± standard deviation over seeds {_listed(seeds)}"
    title = f"{table.title}; data {first.recipe.data.name}, scale {first.recipe.scale.name}, {seed}"
    if not table.published or reason is None:
        return title
    what = "the signs of the gains" + (" and the ranks of the weights" if table.layout == "weights" else "")
    return f"{title}: compare {what}, not the numbers"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)


def _methods(groups: Sequence[Group]) -> Table:
    columns = ["method", "schedule", *(text for name in METRICS for text in (name, *_PAPER)), "gain", "paper", "sign"]
    table = Table("", columns, 2, [])
    competing: list[tuple[int, int, int, Record]] = []
    for number, group in enumerate(_by_schedule(groups)):
        rows = []
        for record in group:
            label = record if record["role"] != "teacher" else record | {"student": record["teacher"]}
            row = [method_name(label), record["schedule"] or ""]
            for name in METRICS:
                row += _trio(record, name)
            row += [signed(record["gain"], record["gain_std"]), signed(record["paper_gain"]), record["sign"] or ""]
            if record["role"] != "teacher":
                competing.append((number, number, len(rows), record))
            rows.append(row)
        table.sections.append(rows)
    for position, name in enumerate(METRICS):
        texts = [(g, s, r, metric(record, name)) for g, s, r, record in competing]
        table.bold |= best(texts, 2 + 3 * position)
    return table


def _by_schedule(groups: Sequence[Group]) -> list[list[Record]]:
    """The records by pair and schedule: a teacher and a student stand once above all the methods they share."""
    found: dict[tuple, list[Record]] = {}
    for group in groups:
        key = (group.baseline["pair"], group.baseline["schedule"])
        found.setdefault(key, [group.teacher, group.baseline]).extend(group.lines)
    return list(found.values())


def _weights(groups: Sequence[Group]) -> Table:
    columns = [*_who(groups), "baseline", *_PAPER, "weight", "mAP", *_PAPER, "gain", "paper", "sign", "rank", "paper"]
    table = Table("", columns, len(_who(groups)), [])
    cells: list[tuple[int, int, int, str]] = []
    for number, group in enumerate(groups):
        rows = []
        for position, record in enumerate(group.lines):
            shared = [*_names(groups, record), *_trio(group.baseline, "mAP")]
            row = shared if position == 0 else [""] * len(shared)
            row = [*row, plain(record["weight"]), *_trio(record, "mAP")]
            row += [signed(record["gain"], record["gain_std"]), signed(record["paper_gain"]), record["sign"] or ""]
            row += [plain(record["rank"]), plain(record["paper_rank"])]
            cells.append((number, number, len(rows), metric(record, "mAP")))
            rows.append(row)
        table.sections.append(rows)
    table.bold = best(cells, len(_who(groups)) + 4)
    return table


def _agreement(groups: Sequence[Group]) -> Table:
    columns = [*_who(groups), "teacher mAP", "baseline", "same sign", "rank correlation", "best weight", "paper"]
    rows = []
    for group in groups:
        known = [record["sign"] for record in group.lines if record["sign"]]
        row = [*_names(groups, group.lines[0]), metric(group.teacher, "mAP"), metric(group.baseline, "mAP")]
        row += [f"{known.count('same')} of {len(known)}" if known else ""]
        row += [f"{group.correlation:+.2f}" if group.correlation is not None else ""]
        row += [_best_weights(group, "rank"), _best_weights(group, "paper_rank")]
        rows.append(row)
    note = "Rank correlation is Spearman's, of our mAP and the paper's over the weights; with two weights +1 or -1."
    return Table("Agreement with the paper", columns, len(_who(groups)), [rows], notes=[note])


def _best_weights(group: Group, rank: str) -> str:
    return ", ".join(plain(record["weight"]) for record in group.lines if record[rank] == 1)


def _who(groups: Sequence[Group]) -> list[str]:
    losses = {record["loss"] for group in groups for record in group.lines}
    return ["teacher", "student", "schedule", *(["loss"] if len(losses) > 1 else [])]


def _names(groups: Sequence[Group], record: Record) -> list[str]:
    names = [record["teacher_title"], record["student_title"], record["schedule"]]
    return [*names, record["loss"]] if "loss" in _who(groups) else names


def _trio(record: Record, name: str) -> list[str]:
    """Ours (or, of mAP, why there is none), the paper's, the difference."""
    ours = metric(record, name)
    if not ours and name == "mAP":
        ours = record["state"]
    elif ours and record["unfinished"]:
        ours += f" (n={record['n']})"
    return [ours, published(record[f"paper_{name}"]), signed(record[f"difference_{name}"], _std(record, name))]


def _std(record: Record, name: str) -> float | None:
    return record[f"{name}_std"] if record[f"difference_{name}"] is not None else None


def _unfinished(record: Record) -> list[str]:
    notes = []
    for run, state, error in record["unfinished"]:
        said = bool(error) and error.startswith(state)
        notes.append(": ".join(filter(None, (None if said else state, run, error))))
    return notes
