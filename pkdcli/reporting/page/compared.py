"""The page of `pkd compare --format html`: like the report's, of runs held against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pkdcli.pages import embedded, environment, inlined
from pkdcli.reporting.compare import pictures
from pkdcli.reporting.compare.groups import Against, Group, labels
from pkdcli.reporting.page.packed import Charts
from pkdcli.reporting.page.panels import figure_context
from pkdcli.reporting.page.samples import Samples
from pkdcli.reporting.page.tables import table_context
from pkdcli.reporting.plots.figure import Figure
from pkdcli.reporting.table import Table, signed

MOST_CLASSES = 20
"""Classes up to which the matrices of confusion are shown; the table has the most frequent ones in any case."""
_HERE = Path(__file__).parent


def render_compared(
    tables: Sequence[Table],
    figures: Sequence[Figure],
    found: Sequence[Against],
    teacher: Group | None = None,
    notes: Sequence[str] = (),
    title: str = "Runs compared",
    now: datetime | None = None,
) -> str:
    """The page as HTML text.

    Args:
        tables: As every other format shows them; each group's own begin with its metrics.
        figures: The pictures.
        found: The groups, each against the same A.
        teacher: Their teacher, where its detections are kept.
        notes: What else is to be said.
        title: The page's heading.
        now: The time on it.
    """
    names = labels([found[0].a, *(one.b for one in found)])
    metrics = [table for table in tables if table.columns[0] == "metric"]
    samples, columns = Samples(), []
    if shown := pictures.images(found):
        for name, run in pictures.columns(found, teacher):
            columns.append([name, samples.add(pictures.samples(run, shown))])
    groups = [*([("teacher", teacher)] if teacher is not None else []), (names[0], found[0].a)]
    groups += [(name, one.b) for name, one in zip(names[1:], found, strict=True)]
    template = environment(_HERE).get_template("compared.html")
    return template.render(
        title=title,
        made_by="pkd compare",
        made=(now or datetime.now(timezone.utc)).strftime("%Y-%m-%d %H:%M UTC"),
        css=inlined(_HERE / "page.css"),
        js=inlined(*(_HERE / name for name in ("charts.js", "common.js", "samples.js", "compared.js"))),
        cards=[
            _card(one, names[0], name, table.notes) for one, name, table in zip(found, names[1:], metrics, strict=True)
        ],
        notes=list(notes),
        figures=[figure_context(figure) for figure in figures],
        matrices=[_matrix(name, group) for name, group in groups if len(group.runs[0].classes) <= MOST_CLASSES],
        columns=columns,
        tables=[table_context(table, []) for table in tables],
        data=embedded({**samples.shared(), "charts": Charts().shared()}),
    )


def _card(one: Against, a: str, b: str, notes: Sequence[str]) -> dict[str, Any]:
    """The difference in mAP, coloured where no interval that is known leaves a doubt of its sign."""
    of = {"over images": one.metrics["mAP"].by_images, "over seeds": one.metrics["mAP"].by_seeds}
    known = {name: interval for name, interval in of.items() if math.isfinite(interval.lower)}
    ups = [interval.lower > 0 for interval in known.values()]
    downs = [interval.upper < 0 for interval in known.values()]
    way = "" if not known else "up" if all(ups) else "down" if all(downs) else ""
    told = "; ".join(f"{name}: {signed(one.lower)} to {signed(one.upper)}" for name, one in known.items())
    difference = signed(of["over images"].mean)
    return {"a": a, "b": b, "difference": difference, "intervals": told, "way": way, "notes": notes}


def _matrix(name: str, group: Group) -> dict[str, Any]:
    """A matrix of confusion with the share that each cell is of its row's objects, 0 to 100."""
    classes, counts = group.runs[0].classes, group.confusion
    sums = counts.sum(axis=1)
    rows = []
    for place, label in enumerate([*classes, "nothing there"]):
        shares = 100 * counts[place] / max(sums[place], 1)
        cells = [{"text": f"{count:.4g}" if count else "", "share": round(share)}
                 for count, share in zip(counts[place].tolist(), shares.tolist(), strict=True)]  # fmt: skip
        rows.append({"name": label, "cells": cells})
    return {"name": name, "columns": [*classes, "not found"], "rows": rows}
