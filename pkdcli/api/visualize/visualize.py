"""What `pkd visualize` does: find detectors and images, have a process measure, draw, say what was found."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkdcli.api.visualize.images import Picture, chosen, given
from pkdcli.api.visualize.weights import ZOO, NotTrained, Source, Wanted, sources, together
from pkdcli.cli.progress.choose import watcher
from pkdcli.errors import PkdError
from pkdcli.experiment.data import with_data
from pkdcli.experiment.plan import with_weights_hash
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.request import ask
from pkdcli.options import OutputOptions
from pkdcli.recipe.library import names, parse, read_yaml
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.reporting.paper_figures.catalog import FIGURES, Look, look
from pkdcli.runs.features import Features
from pkdcli.runs.find import find_run

ABOUT = ("key", "title", "weights", "source")
"""What is said of a detector."""


@dataclass(frozen=True)
class Asked:
    """The options of `pkd visualize`; None means "the default".

    Attributes:
        figures: 4 to 8.
        images: Files, or none for some of the data set.
        count: How many of the data set.
        levels: Stages such as `P3`, or none for those of each figure.
    """

    figures: Sequence[int]
    pair: str | None = None
    teacher: str | None = None
    student: str | None = None
    distilled: str | None = None
    untrained: bool = False
    images: Sequence[Path] = ()
    count: int = 2
    levels: tuple[str, ...] = ()
    reduce: str = "max"
    color_scale: str | None = None
    formats: Sequence[str] = ("png", "pdf", "svg")
    dpi: int = 220
    output: Path | None = None
    scale: str | None = None
    data: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """The figures of one pair.

    Attributes:
        recipe: Of the pair, with the facts of the data.
        shown: The detectors.
        seed: Of the baseline, and of random weights.
        pictures: The images; empty where the data is not there yet (a dry run).
        looks: How each figure is drawn.
        folder: Where they go.
    """

    recipe: Recipe
    seed: int
    shown: Sequence[Source]
    pictures: Sequence[Picture]
    looks: dict[int, Look]
    folder: Path


def visualize(asked: Asked, where: OutputOptions) -> None:
    """Draw figures, and print what they show.

    Raises:
        PkdError: A wrong word, images or weights that are not there or don't fit.
    """
    run = _given_run(asked, where)
    pair = asked.pair if asked.pair is not None else (run.pair if run is not None else None)
    if asked.pair is None and pair is not None and pair not in names("pairs"):
        raise PkdError(f"{pair}: the pair of that run is of a file of your own.", "Name it: --pair FILE.yaml.")
    figures = defaultdict(list)
    for number in asked.figures:
        figures[FIGURES[number].pair if pair is None else pair].append(number)
    files = [word for word in (asked.teacher, asked.student, asked.distilled) if word and word != ZOO]
    if pair is None and files:
        raise PkdError(f"{files[0]}: of which pair is it?", "Say so with --pair; see `pkd list pairs`.")
    plans = _plans(asked, figures, where)
    if where.dry_run:
        for one in plans:
            _show(one, asked, where)
        return
    for one in plans:
        _carry_out(one, asked, where)


def _given_run(asked: Asked, where: OutputOptions) -> Recipe | None:
    """The recipe of the run that the user names as a student, which says pair, scale and data where nobody does."""
    for word in (asked.distilled, asked.student):
        paths = find_run(word, runs_root(where.runs)) if word and word != ZOO else None
        if paths is not None:
            return parse(Recipe, read_yaml(paths.recipe), str(paths.recipe))
    return None


def _plans(asked: Asked, figures: dict[str, list[int]], where: OutputOptions) -> list[Plan]:
    """The figures by pair; what is missing for any of them is said at once.

    Raises:
        PkdError: As `visualize`.
    """
    found, missing = [], []
    for pair, numbers in figures.items():
        try:
            found.append(_plan(asked, pair, numbers, where))
        except NotTrained as error:
            missing.append(error)
    if missing:
        raise together(missing)
    return found


def _plan(asked: Asked, pair: str, numbers: Sequence[int], where: OutputOptions) -> Plan:
    root, cache, run = runs_root(where.runs), cache_root(), _given_run(asked, where)
    scale = asked.scale if asked.scale is not None else (run.scale.name if run else "paper")
    seed = run.seed if run else asked.seed
    request = Request(pair=pair, scale=scale, data=asked.data, loss="pkd", init="scratch", seed=seed)
    recipe = with_weights_hash(resolve(request))
    if run and asked.data is None:
        recipe = recipe.model_copy(update={"data": run.data})
    if asked.images:
        from pkdcli.data.prepare import facts

        recipe = recipe.model_copy(update={"data": facts(recipe.data, cache)})
    else:
        (recipe,) = with_data([recipe], cache, None, watcher(json=where.json, quiet=where.quiet), dry_run=where.dry_run)
    if recipe.data.classes is None:
        # Heads are built for some number of classes, but the figures show necks.
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["object"]})})
    if asked.images:
        pictures = given(asked.images, recipe.data)
    else:
        # In a dry run the data may still be to be drawn.
        there = not where.dry_run or Path(recipe.data.val.annotations).is_file()
        pictures = chosen(recipe.data, asked.count) if there else []
    named = {"teacher": asked.teacher, "student": asked.student, "distilled": asked.distilled}
    shown = sources(Wanted(request, recipe, **named, untrained=asked.untrained, root=root, cache=cache))
    known = _stages(shown)
    looks = {number: look(number, asked.reduce, asked.color_scale, asked.levels, known) for number in numbers}
    folder = asked.output.expanduser().absolute() if asked.output else root / "figures" / _name(recipe, seed, asked)
    return Plan(recipe, seed, shown, pictures, looks, folder)


def _name(recipe: Recipe, seed: int, asked: Asked) -> str:
    """Of the folder: readable, and another one for other detectors or images."""
    named = [str(word) for word in (asked.teacher, asked.student, asked.distilled, *asked.images)]
    what = hashlib.sha256("\n".join([*named, str(asked.untrained), str(asked.count)]).encode()).hexdigest()[:8]
    return f"{recipe.pair}__{recipe.data.name}-{recipe.scale.name}__s{seed}-{what}"


def _stages(shown: Sequence[Source]) -> list[str]:
    """The stages that all detectors have, by their configs; P2 to P7 where a config does not tell."""
    from pkdcli.config.build import model_as_set
    from pkdcli.config.levels import neck_levels

    common = [f"P{n}" for n in range(2, 8)]
    for one in shown:
        strides = [level.stride for level in neck_levels(model_as_set(one.recipe), one.key)]
        if None not in strides:
            common = [f"P{stride.bit_length() - 1}" for stride in strides if f"P{stride.bit_length() - 1}" in common]
    return common


def _show(one: Plan, asked: Asked, where: OutputOptions) -> None:
    """What would be measured and drawn."""
    content = {
        "pair": one.recipe.pair,
        "figures": list(one.looks),
        "detectors": [{key: getattr(source, key) for key in ABOUT} for source in one.shown],
        "images": [picture["path"] for picture in one.pictures],
        "files": [str(one.folder / f"figure{number}.{kind}") for number in one.looks for kind in asked.formats],
    }
    if where.json:
        print(json.dumps(content))
        return
    print(f"pair {content['pair']}: figure {', '.join(map(str, content['figures']))}")
    for source in one.shown:
        print(f"  {source.key}: {source.title}, {source.source}")
    later = f"{asked.count} of the val split of {one.recipe.data.name}, which is not there yet"
    for path in content["images"] or [later]:
        print(f"  image: {path}")
    for path in content["files"]:
        print(f"  would write: {path}")


def _carry_out(one: Plan, asked: Asked, where: OutputOptions) -> None:
    from pkdcli.reporting.formats import print_rich
    from pkdcli.reporting.paper_figures.numbers import overview
    from pkdcli.reporting.paper_figures.write import write

    quiet = where.quiet or where.json
    features = measured(one, quiet)
    if not quiet:
        print_rich([overview(features)], [])
    for number, how in one.looks.items():
        files = write(number, features, how, one.folder, asked.formats, asked.dpi)
        if where.json:
            print(json.dumps(_record(number, features, how, files)))
        elif where.quiet:
            print("\n".join(str(file) for file in files[: len(asked.formats)]))
        else:
            more = f", {len(files) - 1} more files beside" if len(files) > 1 else ""
            print(f"Wrote {files[0]}{more}", file=sys.stderr)


def measured(one: Plan, quiet: bool) -> Features:
    """Have a process measure the features of a plan; they are kept beside the figures.

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
    ask("pkdcli.engine.analysis.features", request, "the measurement")
    return Features.read(kept)


def _drawn_alike(recipe: Recipe, figure: Recipe) -> Recipe:
    """A detector's recipe with the data, and so the images' size, of the figure."""
    return recipe.model_copy(update={"data": figure.data})


def _record(number: int, features: Features, how: Look, files: Sequence[Path]) -> dict[str, Any]:
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
        "figure": number,
        **{key: features.meta[key] for key in ("pair", "data", "scale", "seed")},
        "detectors": [{key: one[key] for key in ABOUT} for one in features.detectors],
        "images": [image["path"] for image in features.images],
        "statistics": [features.statistics(one["key"], level) for one in features.detectors for level in levels],
        "noise": [row for row in features.meta["noise"] if row["level"] in how.levels],
        "top_channels": channels,
        "files": [str(file) for file in files],
    }
