"""Figures and their panels as the page's template shows them."""

from __future__ import annotations

from typing import Any

from pkdcli.reporting.plots import svg
from pkdcli.reporting.plots.figure import DASHES, Figure, Panel


def panel_context(panel: Panel, title: str, description: str = "") -> dict[str, Any]:
    """A panel as the template shows it: its picture and its legend.

    Args:
        panel: What it shows.
        title: Read out for the picture.
        description: Read out after it.
    """
    from markupsafe import Markup

    legend = list(zip(panel.places, panel.names, strict=True))
    return {
        "title": panel.title,
        "svg": Markup(svg.draw(panel, title, description)),
        "legend": [{"place": n, "name": name, "dash": " ".join(map(str, DASHES[n]))} for n, name in legend]
        if len(legend) > 1
        else [],
        "filled": panel.kind not in ("lines", "parallel"),
    }


def figure_context(figure: Figure) -> dict[str, Any]:
    """A figure as the template shows it: its panels, and whether they share one legend."""
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
