"""The paper's Figures 4 to 8 of real features: `pkdcli.visualize()` and `pkd visualize`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkdcli.api.options import VisualizeOptions
from pkdcli.api.options.keywords import options_of
from pkdcli.api.visualize.plan import FigurePlan, plans
from pkdcli.folders import cache_root
from pkdcli.launch.outcome import Watcher
from pkdcli.launch.request import ask
from pkdcli.recipe.schema import Recipe
from pkdcli.reporting.paper_figures.catalog import Look
from pkdcli.runs.features import Features
from pkdcli.runs.store import named_by

ABOUT = ("key", "title", "weights", "source")
"""What is said of a detector."""


@dataclass(frozen=True)
class DrawnFigure:
    """A figure that was drawn.

    Attributes:
        number: 4 to 8.
        look: How it is drawn.
        features: What was measured; the figures of a pair share it.
        files: The pictures first, then the numbers as CSV, and the caption.
        pictures: Those of the files that are pictures, one of each format.
    """

    number: int
    look: Look
    features: Features
    files: tuple[Path, ...]
    pictures: tuple[Path, ...]

    def record(self) -> dict[str, Any]:
        """Its numbers, detectors, images and files, as `pkd visualize --json` prints them."""
        features, how = self.features, self.look
        from pkdcli.reporting.paper_figures.numbers import top_channel

        levels = [name for name in features.levels_of_all() if name in (*how.levels, *how.channel_levels)]
        channels = []
        for detector in features.detectors:
            for level in how.channel_levels:
                for normalised in (False, True):
                    channel, share = top_channel(features, detector["key"], level, normalised)
                    row = {"detector": detector["key"], "level": level, "normalised": normalised}
                    channels.append({**row, "channel": channel, "share": share})
        return {
            "figure": self.number,
            **{key: features.meta[key] for key in ("pair", "data", "scale", "seed")},
            "detectors": [{key: one[key] for key in ABOUT} for one in features.detectors],
            "images": [image["path"] for image in features.images],
            "statistics": [features.statistics(one["key"], level) for one in features.detectors for level in levels],
            "noise": [row for row in features.meta["noise"] if row["level"] in how.levels],
            "top_channels": channels,
            "files": [str(file) for file in self.files],
        }

    def _repr_html_(self) -> str:
        """The picture itself, for notebooks."""
        return picture(self.pictures)


@dataclass(frozen=True)
class Figures:
    """What was drawn; of a dry run, what would be.

    Attributes:
        plans: By pair: detectors, images, how each figure looks, and the folder.
        drawn: The figures, in order; none of a dry run.
        formats: Of the pictures.
    """

    plans: tuple[FigurePlan, ...]
    drawn: tuple[DrawnFigure, ...]
    formats: tuple[str, ...]

    @property
    def pictures(self) -> list[Path]:
        """The pictures' files; of a dry run those that would be written."""
        names = [(one.folder, number) for one in self.plans for number in one.looks]
        return [folder / f"figure{number}.{kind}" for folder, number in names for kind in self.formats]

    @property
    def files(self) -> list[Path]:
        """All files that were written."""
        return [file for one in self.drawn for file in one.files]

    def _repr_html_(self) -> str:
        """All figures, one below the other, for notebooks."""
        return "".join(f"<h4>Figure {one.number}</h4>{one._repr_html_()}" for one in self.drawn)


def visualize(
    options: VisualizeOptions | None = None,
    *,
    on_figure: Callable[[DrawnFigure], None] | None = None,
    watcher: Watcher | None = None,
    **keywords: Any,
) -> Figures:
    """Draw Figures 4 to 8 of the paper from the features of a teacher and its student before distillation.

    Args:
        options: What to draw; or give its fields as keywords.
        on_figure: Called with each figure when it has been drawn.
        watcher: Told of what is being done, and of data that is drawn or checked.
        **keywords: The fields of `VisualizeOptions`; `teacher`, `student` and `distilled` may be a `Run`.

    Raises:
        PkdError: A wrong word, images or weights that are not there or don't fit.
    """
    from pkdcli.reporting.paper_figures import write

    options, watcher = options_of(VisualizeOptions, options, keywords), watcher or Watcher()
    found, drawn = plans(options, watcher), []
    for one in [] if options.dry_run else found:
        features = measured(one, watcher)
        for number, how in one.looks.items():
            with named_by("--output DIR"):
                files = write.write(number, features, how, one.folder, options.formats, options.dpi)
            drawn.append(DrawnFigure(number, how, features, tuple(files), tuple(files[: len(options.formats)])))
            if on_figure:
                on_figure(drawn[-1])
    return Figures(tuple(found), tuple(drawn), options.formats)


def measured(one: FigurePlan, watcher: Watcher) -> Features:
    """Have a process measure the features of a plan; they are kept beside the figures.

    Args:
        one: The plan.
        watcher: Told of what is being done.

    Raises:
        PkdError: What the process says went wrong.
    """
    recipe, kept = one.recipe, one.folder / f"features-{one.recipe.pair}.npz"
    request: dict[str, Any] = {
        **{"pair": recipe.pair, "data": recipe.data.name, "scale": recipe.scale.name, "seed": one.seed},
        "detectors": [
            {
                "key": source.key,
                "title": source.title,
                "recipe": _drawn_alike(source.recipe, recipe).model_dump(mode="json"),
                "weights": source.weights,
                "source": source.source,
            }
            for source in one.shown
        ],
        "images": list(one.pictures),
        "cache": str(cache_root()),
        "output": str(kept),
    }
    names = ", ".join(source.title for source in one.shown)
    count = len(one.pictures)
    with watcher.doing(f"measuring {names} on {count} image{'s' if count > 1 else ''} ..."):
        ask("pkdcli.engine.analysis.features", request, "the measurement")
    return Features.read(kept)


def _drawn_alike(recipe: Recipe, figure: Recipe) -> Recipe:
    """A detector's recipe with the data, and so the images' size, of the figure."""
    return recipe.model_copy(update={"data": figure.data})


def planned(one: FigurePlan, formats: Sequence[str]) -> dict[str, Any]:
    """What would be measured and drawn, as `pkd visualize --dry-run --json` prints it.

    Args:
        one: The plan.
        formats: Of the pictures.
    """
    return {
        "pair": one.recipe.pair,
        "figures": list(one.looks),
        "detectors": [{key: getattr(source, key) for key in ABOUT} for source in one.shown],
        "images": [picture["path"] for picture in one.pictures],
        "files": [str(one.folder / f"figure{number}.{kind}") for number in one.looks for kind in formats],
    }


def picture(files: Sequence[Path]) -> str:
    """One of a figure's pictures as HTML, with its content in it; the names where a browser can show none of them."""
    import base64
    from html import escape

    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    for kind, mime in kinds.items():
        for file in files:
            if file.suffix == kind and file.is_file():
                content = base64.b64encode(file.read_bytes()).decode()
                return f'<img alt="{escape(file.name)}" src="data:{mime};base64,{content}">'
    return "".join(f"<p>{escape(str(file))}</p>" for file in files)
