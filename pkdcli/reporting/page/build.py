"""Put the page together: a template, a style sheet and a script, filled and inlined into one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pkdcli.data.annotations.coco_file import collector_paused
from pkdcli.pages import environment, inlined
from pkdcli.reporting.page.cards import cards
from pkdcli.reporting.page.details import Details, from_here
from pkdcli.reporting.page.panels import figure_context
from pkdcli.reporting.page.tables import FILTERS, run_rows, table_context
from pkdcli.reporting.plots.build import figures, reader
from pkdcli.reporting.table import Table
from pkdcli.runs.record import Record

_HERE = Path(__file__).parent


def render(
    tables: Sequence[Table],
    notes: Sequence[str],
    records: Sequence[Record],
    everything: Sequence[Record],
    root: Path | str,
    title: str = "Runs",
    now: datetime | None = None,
) -> str:
    """The page as HTML text.

    Args:
        tables: As every other format shows them.
        notes: Below all tables.
        records: The runs to list, to draw and to show one by one.
        everything: All runs: the baselines of those are shown beside them.
        root: The runs folder, to be named on the page.
        title: The page's heading.
        now: The time on it.
    """
    with collector_paused():
        return _rendered(tables, notes, records, everything, root, title, now)


def _rendered(
    tables: Sequence[Table],
    notes: Sequence[str],
    records: Sequence[Record],
    everything: Sequence[Record],
    root: Path | str,
    title: str,
    now: datetime | None,
) -> str:
    read = reader()
    details = Details(records, everything, read)
    runs, run_columns, shared = run_rows(records)
    template = environment(_HERE).get_template("report.html")
    return template.render(
        title=title,
        made_by="pkd report",
        root=from_here(root),
        made=(now or datetime.now(timezone.utc)).strftime("%Y-%m-%d %H:%M UTC"),
        css=inlined(_HERE / "page.css"),
        js=inlined(*(_HERE / name for name in ("charts.js", "common.js", "samples.js", "page.js"))),
        states=_states(records),
        cards=cards(records, everything),
        tables=[table_context(table, records) for table in tables],
        notes=list(notes),
        figures=[figure_context(figure) for figure in figures(records, everything, read)],
        run_columns=run_columns,
        shared_settings=shared,
        runs=runs,
        filters=_filters(runs),
        details=details.all(),
        data=details.shared(),
    )


def _states(records: Sequence[Record]) -> list[tuple[str, int]]:
    counts = Counter(record["state"] for record in records)
    return sorted(counts.items(), key=lambda one: (one[0] != "done", one[0]))


def _filters(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for key in FILTERS:
        values = dict.fromkeys(row["filter"][key] for row in runs if row["filter"][key])
        if len(values) > 1:
            found.append({"key": key, "values": list(values)})
    return found
