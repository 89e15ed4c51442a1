"""Put the page together: a template, a style sheet and a script, filled and inlined into one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

from pkdcli import __version__
from pkdcli.data.annotations.coco_file import collector_paused
from pkdcli.reporting.page.details import Details, from_here
from pkdcli.reporting.page.tables import FILTERS, run_rows, table_context
from pkdcli.reporting.plots import svg
from pkdcli.reporting.plots.build import figures, reader
from pkdcli.reporting.plots.figure import DASHES, Figure, Panel
from pkdcli.reporting.plots.groups import best_of_each_loss, groups_of, over_seeds
from pkdcli.reporting.table import Table, points, signed
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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    read = reader()
    details = Details(records, everything, read)
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = lambda text: Markup(escape(str(text)).replace("__", "__<wbr>"))
    runs, run_columns, shared = run_rows(records)
    return environment.get_template("template.html").render(
        title=title,
        root=from_here(root),
        made=(now or datetime.now(timezone.utc)).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        js=Markup("".join((_HERE / name).read_text(encoding="utf-8") for name in ("charts.js", "page.js"))),
        states=_states(records),
        cards=_cards(records, everything),
        tables=[table_context(table, records) for table in tables],
        notes=list(notes),
        figures=[_figure(figure) for figure in figures(records, everything, read)],
        run_columns=run_columns,
        shared_settings=shared,
        runs=runs,
        filters=_filters(runs),
        details=details.all(),
        data=details.shared(),
    )


def panel_context(panel: Panel, title: str, description: str = "") -> dict[str, Any]:
    """A panel as the template shows it: its picture and its legend."""
    from markupsafe import Markup

    legend = list(zip(panel.places, panel.names, strict=True))
    return {
        "title": panel.title,
        "svg": Markup(svg.draw(panel, title, description)),
        "legend": [{"place": n, "name": name, "dash": " ".join(map(str, DASHES[n]))} for n, name in legend]
        if len(legend) > 1
        else [],
        "filled": panel.kind != "lines",
    }


def _figure(figure: Figure) -> dict[str, Any]:
    pair, schedule, data = figure.group or (None, None, None)
    panels = [panel_context(one, f"{figure.title}. {one.title}", figure.caption) for one in figure.panels]
    shared = len(panels) > 1 and all(panel["legend"] == panels[0]["legend"] for panel in panels)
    return {
        "kind": figure.kind,
        "title": figure.title,
        "caption": figure.caption,
        "panels": panels,
        "shared": shared,
        "pair": pair or "",
        "schedule": schedule or "",
        "data": data or "",
    }


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


def _cards(records: Sequence[Record], everything: Sequence[Record]) -> list[dict[str, Any]]:
    """By pair, schedule and data: the teacher, the baseline, and the best of each loss over its seeds."""
    cards = []
    for group in groups_of(records, everything):
        # A teacher's number stands in each of its runs: it counts once.
        teachers = {record["teacher_mAP"]: record for record in group.runs}.values()
        rows = [("teacher", "", *over_seeds(teachers, "teacher_mAP"), None, 7)]
        rows.append(("baseline", "", *over_seeds(group.baselines, "mAP"), None, 6))
        for name, members in best_of_each_loss(group.runs, 4):
            seeds = f"mean of {len(members)} seeds" if len(members) > 1 else ""
            gain = over_seeds(members, "gain")[0] if all(one["gain"] is not None for one in members) else None
            rows.append((name, seeds, *over_seeds(members, "mAP"), gain, 0))
        most = max(mean for _, _, mean, *_ in rows if mean is not None)
        shown = [
            {
                "name": name,
                "note": note,
                "text": points(mean, std),
                "gain": signed(gain),
                "width": round(100 * mean / most, 1) if most else 0,
                "place": place,
            }
            for name, note, mean, std, gain, place in rows
            if mean is not None
        ]
        pair, schedule, data = group.key
        cards.append(
            {"title": group.title, "rows": shown, "pair": pair or "", "schedule": schedule or "", "data": data or ""}
        )
    return cards
