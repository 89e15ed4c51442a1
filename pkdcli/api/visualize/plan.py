"""What there is to draw: figures by pair, whose features, of which images, and how each figure looks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pkdcli.api.options import VisualizeOptions
from pkdcli.api.visualize.images import Picture, chosen, given
from pkdcli.api.visualize.not_trained import NotTrained, together
from pkdcli.api.visualize.source import ZOO, Source, WeightsQuery
from pkdcli.api.visualize.weights import sources
from pkdcli.destinations import check_destination
from pkdcli.errors import PkdError
from pkdcli.experiment.data import with_data
from pkdcli.experiment.derived_recipes import recipe_of
from pkdcli.experiment.plan import with_weights_hash
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.outcome import Watcher
from pkdcli.recipe.library import names
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.reporting.paper_figures.catalog import FIGURES, Look, look, numbers
from pkdcli.runs.find import find_run


@dataclass(frozen=True)
class FigurePlan:
    """The figures of one pair.

    Attributes:
        recipe: Of the pair, with the facts of the data.
        seed: Of the baseline, and of random weights.
        shown: The detectors.
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


def plans(options: VisualizeOptions, watcher: Watcher) -> list[FigurePlan]:
    """The figures by pair; what is missing for any of them is said at once.

    Args:
        options: What was asked for.
        watcher: Told of data that is drawn or checked.

    Raises:
        PkdError: A wrong word, images or weights that are not there or don't fit.
    """
    asked, run = numbers(options.figure), _given_run(options)
    pair = options.pair if options.pair is not None else (run.pair if run is not None else None)
    if options.pair is None and pair is not None and pair not in names("pairs"):
        raise PkdError(f"{pair}: the pair of that run is of a file of your own.", "Name it: --pair FILE.yaml.")
    figures = defaultdict(list)
    for number in asked:
        figures[FIGURES[number].pair if pair is None else pair].append(number)
    files = [word for word in (options.teacher, options.student, options.distilled) if word and word != ZOO]
    if pair is None and files:
        raise PkdError(f"{files[0]}: of which pair is it?", "Say so with --pair; see `pkd list pairs`.")
    found, missing = [], []
    for of, its in figures.items():
        try:
            found.append(_plan(options, of, its, run, watcher))
        except NotTrained as error:
            missing.append(error)
    if missing:
        raise together(missing)
    return found


def _given_run(options: VisualizeOptions) -> Recipe | None:
    """The recipe of the run that the user names as a student, which says pair, scale and data where nobody does."""
    for word in (options.distilled, options.student):
        paths = find_run(word, runs_root(options.runs)) if word and word != ZOO else None
        if paths is not None:
            return recipe_of(paths)
    return None


def _plan(
    options: VisualizeOptions, pair: str, asked: Sequence[int], run: Recipe | None, watcher: Watcher
) -> FigurePlan:
    """The figures of one pair."""
    if options.output is not None:
        check_destination(options.output, "--output", folder=True)
    root, cache = runs_root(options.runs), cache_root()
    scale = options.scale if options.scale is not None else (run.scale.name if run else "paper")
    seed = run.seed if run else options.seed
    request = Request(pair=pair, scale=scale, data=options.data, loss="pkd", init="scratch", seed=seed)
    recipe = with_weights_hash(resolve(request))
    if run and options.data is None:
        recipe = recipe.model_copy(update={"data": run.data})
    recipe = _with_data(recipe, options, watcher)
    if options.images:
        pictures = given(options.images, recipe.data)
    else:
        # In a dry run the data may still be to be drawn.
        there = not options.dry_run or Path(recipe.data.val.annotations).is_file()
        pictures = chosen(recipe.data, options.count) if there else []
    named = {name: getattr(options, name) for name in ("teacher", "student", "distilled", "untrained")}
    shown = sources(WeightsQuery(request, recipe, **named, root=root, cache=cache))
    known = _stages(shown)
    looks = {number: look(number, options.reduce, options.color_scale, options.levels, known) for number in asked}
    folder = options.output.expanduser().absolute() if options.output else None
    return FigurePlan(recipe, seed, shown, pictures, looks, folder or root / "figures" / _name(recipe, seed, options))


def _with_data(recipe: Recipe, options: VisualizeOptions, watcher: Watcher) -> Recipe:
    """The recipe with the facts of its data, which has to be there unless images are given or nothing is drawn."""
    from pkdcli.data.prepare import facts

    cache = cache_root()
    if options.images:
        recipe = recipe.model_copy(update={"data": facts(recipe.data, cache, watcher.on_warning)})
    else:
        (recipe,) = with_data([recipe], cache, None, watcher, dry_run=options.dry_run)
    if recipe.data.classes is None:
        # Heads are built for some number of classes, but the figures show necks.
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["object"]})})
    return recipe


def _name(recipe: Recipe, seed: int, options: VisualizeOptions) -> str:
    """Of the folder: readable, and another one for other detectors or images."""
    named = [str(word) for word in (options.teacher, options.student, options.distilled, *options.images)]
    what = hashlib.sha256("\n".join([*named, str(options.untrained), str(options.count)]).encode()).hexdigest()[:8]
    return f"{recipe.pair}__{recipe.data.name}-{recipe.scale.name}__s{seed}-{what}"


def _stages(shown: Sequence[Source]) -> list[str]:
    """The stages that all detectors have, by their configs; P2 to P7 where a config does not tell."""
    from pkdcli.config.build import imports_of, model_as_set
    from pkdcli.config.levels import outputs
    from pkdcli.config.levels.look import looker

    common = [f"P{n}" for n in range(2, 8)]
    for one in shown:
        look = looker(imports_of(one.recipe))
        strides = {level.stride for level in outputs(model_as_set(one.recipe), one.key, look).levels}
        if None not in strides:
            stages = [f"P{stride.bit_length() - 1}" for stride in sorted(strides)]
            common = [stage for stage in stages if stage in common]
    return common
