"""A run's detector for use elsewhere: `pkdcli.export()` and `pkd export`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pkdcli.api.options.deploy import ExportOptions, PredictOptions
from pkdcli.api.options.keywords import options_of
from pkdcli.api.predict.predict import wanted
from pkdcli.data.images.given import given_images
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import make_room, runs_root
from pkdcli.launch.outcome import Watcher, unheard
from pkdcli.runs.find import find_run
from pkdcli.runs.store import named_by, write_with

NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime")}
INSTALL = "pip install 'pkdcli[export]'"
OnStep = Callable[[str, int | None, int | None], None]
"""Told of what is being done, and of the images that are done and all, where they are counted."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Of the files.
        files: They, in the order in which they were written.
        about: By a file's name, what its JSON says of it: inputs and outputs, preprocessing, the differences from
            PyTorch, the mAP.
    """

    folder: Path
    files: tuple[Path, ...]
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The same as plain data, as `pkd export --json` prints it."""
        return {"schema": 1, "folder": str(self.folder), "files": [str(one) for one in self.files], "about": self.about}


def export(
    options: ExportOptions | None = None,
    *,
    on_step: OnStep | None = None,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
    **keywords: Any,
) -> Exported:
    """Write a run's student (or its teacher) for use elsewhere, checked against PyTorch on real images.

    Args:
        options: What to write; or give its fields as keywords.
        on_step: Called with what is being done.
        say: Called with each line that a user should read.
        watcher: Told of what is being done.
        **keywords: The fields of `ExportOptions`; `target` may be a `Run`.

    Raises:
        PkdError: Nothing of that name, a head that is not covered, a package that is not there, a folder that is there
            already, or a file that is not the detector.
    """
    options, watcher = options_of(ExportOptions, options, keywords), watcher or Watcher()
    formats = list(dict.fromkeys(options.formats))
    if options.int8 and "onnx" not in formats:
        raise PkdError("--int8 is a form of ONNX.", "Add --format onnx.")
    if options.int8 and options.raw:
        raise PkdError("--int8 is for graphs with boxes; --raw has none.", "Leave out one of the two.")
    if options.raw and not {"onnx", "torchscript"} & set(formats):
        raise PkdError("--raw is for graphs, and none is asked for.", "Add --format onnx, or --format torchscript.")
    for name in formats:
        _check_packages(name)
    (model,), name = wanted(_as_predict(options))
    paths = find_run(options.target, runs_root(options.runs))
    folder = (options.output or runs_root(options.runs) / "exports" / name).expanduser()
    make_room(folder, options.force)
    images = [str(image) for image in given_images(options.images)]
    folder.mkdir(parents=True, exist_ok=True)
    written = _for_mmdet(model.weights, folder) if paths is not None else []
    about: dict[str, dict[str, Any]] = {}
    request = {
        "name": model.name if paths is not None else "student",
        "recipe": model.recipe.model_dump(mode="json"),
        "weights": str(model.weights),
        "folder": str(folder),
        "formats": [one for one in formats if one != "mmdet"],
        "raw": options.raw,
        "int8": options.int8,
        "images": images,
        "map": options.map,
        "run": paths.run if paths is not None else None,
    }
    if request["formats"]:
        try:
            _carry_out(request, written, about, on_step, say or unheard, watcher)
        except BaseException:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            raise
    return Exported(folder, tuple(written), about)


def _carry_out(
    request: dict[str, Any],
    written: list[Path],
    about: dict[str, dict[str, Any]],
    on_step: OnStep | None,
    say: Callable[[str], None],
    watcher: Watcher,
) -> None:
    from pkdcli.launch.request import ask_lines

    doing = "loading the detector"
    with watcher.doing(f"exporting {request['name']} ..."):
        for line in ask_lines("pkdcli.engine.export.export", request, "the export"):
            if "file" in line:
                written.append(Path(line["file"]))
                about[written[-1].name] = line["about"]
            elif "note" in line:
                say(f"note: {line['note']}.")
            else:
                doing = line.get("doing", doing)
                if on_step:
                    on_step(doing, line.get("done"), line.get("total"))


def _as_predict(options: ExportOptions) -> PredictOptions:
    """The options that say which detector is meant."""
    shared = {key: getattr(options, key) for key in ("target", "model", "detector", "scale", "data", "runs")}
    return PredictOptions(inputs=(), **shared)


def _for_mmdet(weights: Path, folder: Path) -> list[Path]:
    """Copies of the weights and the config that every finished run has for stock mmdet."""
    found = []
    for path in (weights, weights.with_suffix(".py")):
        if path.is_file():
            with named_by("-o DIR"):
                write_with(folder / path.name, lambda beside, path=path: shutil.copyfile(path, beside))
            found.append(folder / path.name)
    return found


def _check_packages(name: str) -> None:
    """Make sure that what writes a format is installed.

    Raises:
        PkdError: It is not.
    """
    absent = [package for package in NEEDS.get(name, ()) if find_spec(package) is None]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        raise PkdError(
            f"--format {name} needs {', '.join(absent)}, which {are} not installed.",
            f"Type: {INSTALL}",
            ExitCode.MISSING,
        )
