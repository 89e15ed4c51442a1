"""What `pkd eval` does: find the weights and their recipe, have them evaluated, show and keep the metrics."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pkdcli.cli.render import err, metrics_table, out
from pkdcli.data.prepare import prepare
from pkdcli.errors import ExitCode, PkdError, nearest, unknown
from pkdcli.places import cache_root, runs_root
from pkdcli.recipe.library import load, parse, read_yaml
from pkdcli.recipe.own import with_content
from pkdcli.recipe.resolve import Request, load_data, resolve
from pkdcli.recipe.schema import Recipe
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
    if data is not None:
        recipe = recipe.model_copy(update={"data": load_data(data)})
    classes = recipe.data.classes
    recipe = recipe.model_copy(update={"data": prepare(recipe.data, cache_root())})
    if paths is not None and data is not None:
        _same_classes(parse(Recipe, read_yaml(paths.recipe), str(paths.recipe)).data.classes, recipe)
    elif classes:
        _same_classes(classes, recipe)
    name = f"{'teacher-' if model == 'teacher' else ''}{recipe.data.name}"
    output = paths.evaluation(name, split) if paths is not None else None
    samples = paths.evaluation_samples(name, split) if paths is not None else None
    written = run_worker(recipe, weights, split, paths, output, samples, model, quiet or as_json)
    if as_json:
        print(json.dumps(written))
        return
    out().print(metrics_table([(recipe.student.title, written["metrics"])], title=f"{recipe.data.name}, {split}"))
    if output and not quiet:
        print(output)


def find_run(target: str, root: Path) -> RunPaths | None:
    """The run a word names: a run's folder, its id, or the only id that begins so; None for a checkpoint file.

    Raises:
        PkdError: It names no run and no file, or more than one run.
    """
    if not target:
        raise PkdError("give a run or a checkpoint file: this is an empty word.", "`pkd list runs` shows the runs.")
    path = Path(target).expanduser()
    if path.is_file():
        return None
    if path.is_dir() and (path / "recipe.yaml").is_file():
        return RunPaths(path.absolute())
    known = sorted(folder.name for folder in root.glob("*") if (folder / "recipe.yaml").is_file())
    found = [name for name in known if name == target] or [name for name in known if name.startswith(target)]
    if len(found) > 1:
        raise PkdError(f"{target!r} begins {len(found)} runs:\n" + "\n".join(f"  {name}" for name in found))
    if not found:
        guess = nearest(target, known)
        hint = f"Did you mean {guess!r}?" if guess else f"Runs are looked for in {root}; `pkd list runs` shows them."
        raise PkdError(f"there is no run and no checkpoint file {target!r}.", hint)
    return RunPaths(root / found[0])


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
        raise PkdError(
            f"{weights}: what detector is it?",
            "Say so with --detector NAME (and --scale tiny); see `pkd list detectors`.",
        )
    which = with_content(load("detectors", detector))
    recipe = resolve(Request(loss="none", scale="paper" if scale is None else scale, data=data))
    return alone(recipe.model_copy(update={"student": which})), weights.absolute()


def alone(recipe: Recipe) -> Recipe:
    """A recipe that builds just the detector, without pretrained weights, to load some into."""
    update = {
        "role": "baseline",
        "pretrained": False,
        "weights": None,
        "pair": None,
        "teacher": None,
        "init": "scratch",
    }
    none = {"name": "none", "type": "none"}
    # What a user set in the config of a distilled run speaks of a model that is not built here.
    content = {**recipe.model_dump(), **update, "loss": none, "teacher_checkpoint": None, "config": {}}
    return Recipe.model_validate(content)


def _same_classes(classes: list[str] | None, recipe: Recipe) -> None:
    if classes and recipe.data.classes != classes:
        raise PkdError(
            f"data set {recipe.data.name} has other classes than the detector was trained for: "
            f"{', '.join(recipe.data.classes or [])} instead of {', '.join(classes)}.",
            "Evaluate on data with the same classes in the same order.",
        )


def run_worker(
    recipe: Recipe,
    weights: Path,
    split: str,
    paths: RunPaths | None,
    output: Path | None,
    samples: Path | None,
    model: str,
    quiet: bool,
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
