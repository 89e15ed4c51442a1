"""A plain list of runs, finished or not, and the notes on those without a result."""

from __future__ import annotations

from pkdcli.reporting.table import Table, metric, signed
from pkdcli.reporting.tables.names import is_distilled
from pkdcli.runs.record import Record, plain


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
    """A line for each run without a result, and one for those without a baseline.

    Args:
        records: The runs that are shown.
        limit: Runs that get a line of their own.
    """
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
    alone = [r for r in whole if is_distilled(r) and r["gain"] is None]
    if alone:
        notes.append(
            f"No gain for {len(alone)} of the runs: no finished baseline has the same student, schedule, data, scale, "
            "batch and seed. Train it by the same command with --loss none."
        )
    return notes


def _progress(record: Record) -> str:
    done, total = plain(record["epoch"]), plain(record.get("epochs"))
    if record["state"] == "done" or not total:
        return done
    return f"{done or 0}/{total}"
