"""Writes a finished detector for use elsewhere: `python -m pkdcli.engine.export.export REQUEST.json`.

Each file is made beside its place, checked against PyTorch on real images, and only then put there.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pkdcli.compat import activate

activate()

from mmengine.dataset import Compose  # noqa: E402
from torch import nn  # noqa: E402

from pkdcli.engine.analysis.load_model import load_detector  # noqa: E402
from pkdcli.engine.export import check, other_files, prepare  # noqa: E402
from pkdcli.engine.export.graph import graph_of, names_of  # noqa: E402
from pkdcli.engine.worker.request import answer_lines  # noqa: E402
from pkdcli.errors import ExitCode, PkdError  # noqa: E402
from pkdcli.recipe.library import parse  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402
from pkdcli.runs.store import named_by, write_json  # noqa: E402

Say = Callable[..., None]
CHECKED = 8  # real images on which a file is compared with PyTorch


class Export:
    """One export.

    Args:
        request: `name` of the files, `recipe` of the detector alone, `weights`, `folder`, `formats`, `raw`, `int8`,
            `images` (files to check on; none for some of the val split), `map` (measure it), `run`.
        say: Prints an object: `doing` with words, `done` and `total`, or `file` with what is to be said of it.
    """

    def __init__(self, request: dict[str, Any], say: Say) -> None:
        self.request, self.say = request, say
        self.recipe: Recipe = parse(Recipe, request["recipe"], "the recipe to export")
        self.folder, self.name, self.raw = Path(request["folder"]), request["name"], request["raw"]
        self.model: nn.Module = load_detector(self.recipe, Path(request["weights"]))
        self.classes = list(self.model.dataset_meta["classes"])
        self.pipeline = Compose(prepare.steps_of(self.model))
        self.divisor = prepare.divisor_of(self.model)

    def write(self) -> None:
        """Write every file that is asked for.

        Raises:
            PkdError: A head that is not covered, or a file that is not the detector.
        """
        formats = self.request["formats"]
        graphs = {"onnx", "torchscript"} & set(formats)
        if graphs:
            graph_of(self.model, self.raw)  # refuses before anything is written
            if not self.raw and getattr(self.model, "with_mask", False):
                kind = type(self.model).__name__
                self.say(note=f"a graph finds boxes, scores and classes: the masks of {kind} are left out")
            about = prepare.described(self.model)
            images = self._images()
        if "safetensors" in formats:
            path = self.folder / f"{self.name}.safetensors"
            meta = {"classes": self.classes, "run": self.request["run"], "detector": self.recipe.student.name}
            self._kept(path, lambda part: other_files.write_safetensors(self.model, part, meta))
            self.say(file=str(path), about={"format": "safetensors"})
        if "torchscript" in formats:
            self._torchscript(images, about)
        if "onnx" in formats:
            self._onnx(images, about)

    def _images(self) -> list[prepare.Ready]:
        paths = self.request["images"] or [
            one["path"] for one in check.images_of(self.recipe.data.val, CHECKED) if Path(one["path"]).is_file()
        ]
        if not paths:
            raise PkdError(
                f"no image to check the file on: those of data set {self.recipe.data.name} are not here.",
                "Name some with --image FILE; it may be repeated.",
                ExitCode.MISSING,
            )
        return list(check.loaded(paths, self.recipe, self.pipeline, self.divisor))

    def _torchscript(self, images: list[prepare.Ready], about: dict[str, Any]) -> None:
        self.say(doing="tracing to TorchScript")
        path = self.folder / f"{self.name}.torchscript.pt"
        graph = graph_of(self.model, self.raw, plain=True)

        def write(part: Path) -> None:
            other_files.write_torchscript(graph, self.model, part, self.divisor)
            self._compared(told, graph, other_files.torchscript_run(part), images)

        told = self._told("torchscript", path, graph, about)
        self._kept(path, write)
        write_json(path.with_name(f"{self.name}.torchscript.json"), told)
        self.say(file=str(path), about=told)

    def _onnx(self, images: list[prepare.Ready], about: dict[str, Any]) -> None:
        from pkdcli.engine.export import onnx_file

        self.say(doing="exporting to ONNX")
        path = self.folder / f"{self.name}.onnx"
        graph = graph_of(self.model, self.raw)
        told = self._told("onnx", path, graph, about)
        eight: dict[str, Any] = {}
        part = self._beside(path)
        small = self._beside(path.with_suffix(".int8.onnx"))
        try:
            with named_by("-o DIR", path):
                told |= onnx_file.write(graph, self.model, part, self.divisor, told["outputs"])
            self.say(doing="comparing with PyTorch")
            run = onnx_file.session(part)
            self._compared(told, graph, run, images)
            runs = {"onnx": run}
            if self.request["int8"]:
                eight = {**told, "format": "onnx, int8", "file": path.with_suffix(".int8.onnx").name}
                eight.pop("difference")
                with named_by("-o DIR", path.with_suffix(".int8.onnx")):
                    self._quantize(part, small)
                runs["int8"] = onnx_file.session(small)
            if self.request["map"] and not self.raw:
                self._measure(runs, told, eight)
            os.replace(part, path)
            if eight:
                os.replace(small, path.with_suffix(".int8.onnx"))
        finally:
            part.unlink(missing_ok=True)
            small.unlink(missing_ok=True)
        write_json(path.with_name(f"{path.name}.json"), told)
        self.say(file=str(path), about=told)
        if eight:
            write_json(path.with_suffix(".int8.json"), eight)
            self.say(file=str(path.with_suffix(".int8.onnx")), about=eight)
        if not self.raw:
            script = Path(__file__).with_name("standalone.py")
            shutil.copyfile(script, self.folder / "predict.py")
            self.say(file=str(self.folder / "predict.py"), about={"format": "script"})

    def _told(self, kind: str, path: Path, graph: nn.Module, about: dict[str, Any]) -> dict[str, Any]:
        """What the JSON beside a graph says of it."""
        import torch

        from pkdcli.engine.export.graph import example

        with torch.inference_mode():
            outputs = graph(*example(self.model, self.divisor, 1))
        return {
            "schema": 1, "format": kind, "file": path.name, "run": self.request["run"],
            "detector": self.recipe.student.name, "classes": self.classes, "inputs": ["images", "sizes"],
            "outputs": names_of(outputs, self.raw), "preprocess": about,
        }  # fmt: skip

    def _compared(self, told: dict[str, Any], graph: nn.Module, run: check.Run, images: list[prepare.Ready]) -> None:
        if self.raw:
            told["difference"] = check.raw_differences(graph, run, images)
            return
        told["difference"] = check.differences(self.model, run, images, graph.limit)

    def _quantize(self, source: Path, path: Path) -> None:
        from pkdcli.engine.export import int8

        self.say(doing="quantizing on training images")
        there = [one["path"] for one in check.images_of(self.recipe.data.train, int8.IMAGES)]
        there = [path for path in there if Path(path).is_file()]
        if not there:
            raise PkdError(
                f"--int8 needs training images: those of data set {self.recipe.data.name} are not here.",
                "Export where the data is, or without --int8.",
                ExitCode.MISSING,
            )
        int8.write(source, path, check.loaded(there, self.recipe, self.pipeline, self.divisor))

    def _measure(self, runs: dict[str, check.Run], told: dict[str, Any], eight: dict[str, Any]) -> None:
        """The mAP of PyTorch, ONNX and int8 on the validation split.

        Raises:
            PkdError: That of ONNX is another one.
        """
        self.say(doing="measuring mAP")
        forms: dict[str, Any] = {"pytorch": lambda image: check.expected(self.model, image)}
        for name, run in runs.items():
            forms[name] = lambda image, run=run: prepare.detections(run(image.images, image.sizes), image.scale)

        def step(done: int, total: int) -> None:
            self.say(done=done, total=total)

        found = check.mean_ap(forms, self.recipe, self.classes, self.pipeline, self.divisor, step)
        if found is None:
            self.say(note=f"mAP was not measured: the data set {self.recipe.data.name} is not here")
            return
        told["mAP"] = {"pytorch": found["pytorch"], "onnx": found["onnx"]}
        if eight:
            eight["mAP"] = {"pytorch": found["pytorch"], "int8": found["int8"]}
        if abs(found["onnx"] - found["pytorch"]) > check.POINTS:
            raise PkdError(
                f"the exported file is not the detector: its mAP is {found['onnx']:.2f}, "
                f"PyTorch's {found['pytorch']:.2f}.",
                "The file was not kept; --raw exports the head's own outputs.",
                ExitCode.RUN_FAILED,
            )

    def _kept(self, path: Path, write: Callable[[Path], None]) -> None:
        """Put a file into its place once it is written and checked."""
        part = self._beside(path)
        try:
            with named_by("-o DIR", path):
                write(part)
            part.chmod(0o644)  # safetensors makes files that nobody else may read
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _beside(self, path: Path) -> Path:
        return path.with_name(f".part-{path.name}")


def export(request: dict[str, Any], say: Say) -> None:
    """Carry out a request of `pkd export`; the arguments are those of `Export`.

    Args:
        request: As for `Export`.
        say: As for `Export`.
    """
    Export(request, say).write()


if __name__ == "__main__":
    sys.exit(answer_lines(sys.argv[1:], export))
