"""What `pkd eval` does: find the weights and their recipe, have them evaluated, show and keep the metrics."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pkdcli.cli.console import err, metrics_table, out
from pkdcli.config.alone import alone, on_other_data
from pkdcli.config.data import check_sides, image_size, own_test_size, sides
from pkdcli.data.prepare import prepare, thinnest
from pkdcli.errors import ExitCode, PkdError, unknown
from pkdcli.folders import cache_root, runs_root
from pkdcli.recipe.library import load, parse, read_yaml
from pkdcli.recipe.own import with_content
from pkdcli.recipe.resolve import Request, load_data, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.find import find_run
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json

SPLITS = ("val", "test", "train")
MODELS = ("student", "teacher")


def evaluate(
    target: str,
    data: str | None,
    split: str,
    model: str,
    detector: str | None,
    scale: str | None,
    runs: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Evaluate a run's student or teacher, or a bare checkpoint.

    Raises:
        PkdError: Nothing of that name, no such split, weights that don't fit, or the evaluation failed.
    """
    for kind, word, allowed in (("split", split, SPLITS), ("model", model, MODELS)):
        if word not in allowed:
            raise unknown(kind, word, allowed)
    paths = find_run(target, runs_root(runs))
    if paths is not None:
        if detector is not None or scale is not None:
            raise PkdError("--detector and --scale are for bare checkpoints.", "A run knows its own.")
        recipe, weights = of_run(paths, model)
    else:
        recipe, weights = of_checkpoint(Path(target), detector, scale, data)
        for text in said_of_size(recipe, scale):
            print(f"note: {text}", file=sys.stderr)
    if data is not None:
        recipe = recipe.model_copy(update={"data": load_data(data)})
    if data is not None or split != "val":
        recipe = on_other_data(recipe)
    recipe = recipe.model_copy(update={"data": prepare(recipe.data, cache_root())})
    thin = {name: image for name, image in thinnest(recipe.data, cache_root()).items() if name == split}
    check_sides(recipe, thin)
    if paths is not None and data is not None:
        _same_classes(parse(Recipe, read_yaml(paths.recipe), str(paths.recipe)).data.classes, recipe)
    name = f"{'teacher-' if model == 'teacher' else ''}{recipe.data.name}"
    output = paths.evaluation(name, split) if paths is not None else None
    samples = paths.evaluation_samples(name, split) if paths is not None else None
    own = paths is None and scale is None
    written = run_worker(recipe, weights, split, paths, output, samples, model, quiet or as_json, own)
    for text in written["notes"]:
        print(f"note: {text}", file=sys.stderr)
    if paths is not None:
        _for_stock_mmdet(paths)
    if as_json:
        print(json.dumps(written))
        return
    out().print(metrics_table([(recipe.student.title, written["metrics"])], title=f"{recipe.data.name}, {split}"))
    if output and not quiet:
        print(output)


def of_run(paths: RunPaths, model: str) -> tuple[Recipe, Path]:
    """The recipe of a run's student or teacher alone, and its weights.

    Raises:
        PkdError: The run is not finished, or has no teacher.
    """
    from pkdcli.config.teacher import teacher_recipe

    recipe = parse(Recipe, read_yaml(paths.recipe), str(paths.recipe))
    if model == "teacher":
        if recipe.teacher is None:
            raise PkdError(f"{paths.run} has no teacher.", "It is a baseline or a teacher itself: --model student.")
        weights = RunPaths(Path((read_json(paths.job) or {}).get("teacher", ""))).teacher
        recipe = teacher_recipe(recipe)
    else:
        weights = paths.weights(recipe.role)
    if not weights.is_file():
        hint = "Type its command again to go on with it." if model == "student" else None
        raise PkdError(f"{paths.run} is not finished: there is no {weights}.", hint)
    return alone(recipe), weights


def of_checkpoint(weights: Path, detector: str | None, scale: str | None, data: str | None) -> tuple[Recipe, Path]:
    """The recipe to evaluate a bare checkpoint with.

    Raises:
        PkdError: It is not said what the checkpoint is of.
    """
    if detector is None:
        hint = "Say so with --detector NAME (and --scale tiny); see `pkd list detectors`."
        run = weights.absolute().parent
        if (run / "recipe.yaml").is_file():
            hint = f"It lies in a run, which knows: pkd eval {shlex.quote(str(run))}"
        raise PkdError(f"{weights}: what detector is it?", hint)
    which = with_content(load("detectors", detector))
    recipe = resolve(Request(loss="none", scale="paper" if scale is None else scale, data=data))
    return alone(recipe.model_copy(update={"student": which})), weights.absolute()


def _same_classes(classes: list[str] | None, recipe: Recipe) -> None:
    """Refuse data of other classes before anything is loaded; their order does not matter."""
    if classes and sorted(recipe.data.classes or []) != sorted(classes):
        raise PkdError(
            f"data set {recipe.data.name} has other classes than the detector was trained for: "
            f"{', '.join(recipe.data.classes or [])} instead of {', '.join(classes)}.",
            "Evaluate on data with the same classes, in whatever order.",
        )


def said_of_size(recipe: Recipe, scale: str | None) -> list[str]:
    """What is to be said of the size of images that a bare checkpoint is evaluated on.

    A detector is evaluated as its own config tests it, unless the user names a scale.

    Args:
        recipe: Names the detector as its student, and the scale.
        scale: What the user named.
    """
    own, named = own_test_size(recipe.student), image_size(recipe)
    if own is None or own == named or (scale is not None and recipe.scale.rules):
        return []
    if scale is None:
        return [f"images are {sides(own)}, as {recipe.student.name}'s own config tests; --scale names another size."]
    return [
        f"images are {sides(named)} (scale {recipe.scale.name}), where {recipe.student.name}'s own config tests at "
        f"{sides(own)}: without --scale it is evaluated so."
    ]


def _for_stock_mmdet(paths: RunPaths) -> None:
    """Write the config of a run's detector alone where a release that wrote none has made the run."""
    recipe = parse(Recipe, read_yaml(paths.recipe), str(paths.recipe))
    given = recipe.weights is not None  # its checkpoint alone knows its labels
    if not given and not paths.stock_config(recipe.role).exists() and Path(recipe.data.val.annotations).is_file():
        from pkdcli.config import stock

        print(f"wrote {stock.write(recipe, paths, recipe.data.classes or [])}", file=sys.stderr)


def run_worker(
    recipe: Recipe,
    weights: Path,
    split: str,
    paths: RunPaths | None,
    output: Path | None,
    samples: Path | None,
    model: str,
    quiet: bool,
    own_pipeline: bool = False,
) -> dict[str, Any]:
    """Have a worker process evaluate, and return what it wrote.

    Raises:
        PkdError: What the worker says went wrong.
    """
    with tempfile.TemporaryDirectory(prefix="pkd-eval-") as folder:
        request, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        columns = {"schema": 1, "run": paths.run if paths else None, "model": model, "student": recipe.student.name}
        columns |= {"data": recipe.data.name, "scale": recipe.scale.name}
        content = {
            "recipe": recipe.model_dump(mode="json"),
            "weights": str(weights),
            "split": split,
            "work_dir": folder,
            "output": str(answer),
            "columns": columns,
            "own_pipeline": own_pipeline,
            "samples": str(samples) if samples is not None else None,
        }
        write_json(request, content)
        command = [sys.executable, "-m", "pkdcli.engine.worker", folder, "--eval", str(request)]
        console = err()
        with (
            console.status(f"evaluating {recipe.student.title} on {recipe.data.name}, {split} ...")
            if not quiet
            else _no()
        ):
            process = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        written = read_json(answer)
        if written is None:
            error = (read_json(request) or {}).get("error") or {
                "message": f"the evaluation ended with exit code {process.returncode}.",
                "hint": "\n".join(process.stderr.splitlines()[-10:]) or None,
                "code": ExitCode.RUN_FAILED,
            }
            raise PkdError(error["message"], error["hint"], error["code"])
        if output is not None:
            write_json(output, written)
        return written


def _no() -> Any:
    from contextlib import nullcontext

    return nullcontext()
