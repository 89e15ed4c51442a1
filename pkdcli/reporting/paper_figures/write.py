"""A figure's files: pictures, the numbers behind it, and its caption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pkdcli.reporting.formats import to_csv
from pkdcli.reporting.paper_figures.catalog import FIGURES, Look
from pkdcli.reporting.paper_figures.numbers import COLUMNS, outside, percent, rows, stage, top_channel
from pkdcli.runs.features import Features
from pkdcli.runs.store import write_text


def write(
    number: int, features: Features, look: Look, folder: Path, formats: Sequence[str], dpi: int = 220
) -> list[Path]:
    """Draw a figure and write it with its numbers and its caption.

    Args:
        number: 4 to 8.
        features: Measured.
        look: How it is drawn.
        folder: `figure4.png`, `figure4-statistics.csv`, `figure4.md` and so on go there.
        formats: `png`, `pdf`, `svg`.
        dpi: Dots an inch, of a PNG and of the pictures inside the others.

    Returns:
        The files, pictures first.
    """
    from pkdcli.reporting.paper_figures.layouts import draw
    from pkdcli.reporting.plots.style import save

    stem = f"figure{number}"
    pictures = {kind: folder / f"{stem}.{kind}" for kind in formats}
    save(lambda: draw(number, features, look), pictures, dpi)
    files = list(pictures.values())
    found = rows(features, look)
    for kind, columns in COLUMNS.items():
        path = folder / f"{stem}-{kind}.csv"
        if kind in found:
            files.append(path)
            write_text(path, to_csv(found[kind], columns))
        else:
            path.unlink(missing_ok=True)  # of another look, it would speak of another picture
    files.append(folder / f"{stem}.md")
    write_text(files[-1], caption(number, features, look))
    return files


def caption(number: int, features: Features, look: Look) -> str:
    """What a figure shows, of which weights and images, and what the paper leaves open, in Markdown.

    Args:
        number: Which figure.
        features: What was measured of the detectors.
        look: How the figure is drawn.
    """
    from pkdcli.reporting.paper_figures.patterns import caption_of_reduction

    paper, meta = FIGURES[number], features.meta
    *most, last = [one["title"] for one in features.detectors]
    names = f"{', '.join(most)} and {last}" if most else last
    stages = [level for level in features.levels_of_all() if level in (*look.levels, *look.channel_levels)]
    lines = [f"# Figure {number}: {paper.title} of {names}", "", paper.shows]
    if look.levels:
        lines[-1] += f" {caption_of_reduction(look)}"
    if any(image["boxes"] for image in features.images) and look.levels:
        lines[-1] += " Boxes: the annotated objects."
    lines += ["", f"Stages: {', '.join(stage(features, level) for level in stages)}.", ""]
    lines += [f"- {one['title']}: {one['source']}" for one in features.detectors]
    lines += [f"- image {n}: {image['path']}" for n, image in enumerate(features.images)]
    lines += [f"- pair {meta['pair']}, data {meta['data']}, scale {meta['scale']}, seed {meta['seed']}", ""]
    for one in features.detectors:
        lines += [f"- {text}" for level in stages for text in [_finding(features, one, level, look)] if text]
    normalised = "Normalisation is pkd's, (x - mean) / (std + 1e-6), of each channel over all positions of all images."
    notes = [*paper.notes, *([normalised] if look.channel_levels else [])]
    if meta["pair"] != paper.pair:
        notes.insert(0, f"The paper's Figure {number} is drawn here of {meta['pair']} instead of {paper.pair}.")
    lines += ["", *(f"Note: {note}\n" for note in notes)] if notes else []
    return "\n".join(lines).rstrip() + "\n"


def _finding(features: Features, detector: dict, level: str, look: Look) -> str:
    """A stage's numbers in one line."""
    key, parts = detector["key"], []
    row = features.statistics(key, level)
    if level in look.levels:
        parts.append(f"mean {row['mean']:.3g}, std {row['std']:.3g}, max {row['max']:.3g}, skew {row['skew']:.3g}")
        off = outside(features, key, level)
        if off:
            parts.append(f"{percent(off[0])} of the activation off the objects, on {percent(off[1])} of the area")
    if level in look.channel_levels:
        before, after = (top_channel(features, key, level, normalised) for normalised in (False, True))
        parts.append(
            f"channel {before[0]} is the largest in {percent(before[1])} of the positions; after normalisation "
            f"channel {after[0]} in {percent(after[1])}"
        )
    return f"{detector['title']}, {level}: {'; '.join(parts)}."
