"""The process behind `pkd profile`: `python -m pkdcli.engine.profile.profile REQUEST.json`.

Detectors take turns on each device, after a warm-up, so that a load that comes and goes slows all of them alike.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pkdcli.compat import activate

activate()

from pkdcli.engine import checkpoint  # noqa: E402
from pkdcli.engine.analysis.load_model import load_detector  # noqa: E402
from pkdcli.engine.bench.machine import machine  # noqa: E402
from pkdcli.engine.bench.measure import MB, extra_memory, interleaved, quartiles  # noqa: E402
from pkdcli.engine.predict.detect import device_named  # noqa: E402
from pkdcli.engine.profile import inputs, onnx  # noqa: E402
from pkdcli.engine.setup.detector import build_detector  # noqa: E402
from pkdcli.engine.sizes import Size, detector_size, size_at  # noqa: E402
from pkdcli.engine.worker.request import answer_lines  # noqa: E402
from pkdcli.errors import ExitCode, PkdError  # noqa: E402
from pkdcli.recipe.library import parse  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402

Say = Callable[..., None]
WARMUP = 2  # rounds before those that count
SMALL = 1e-9


class Profiled:
    """One detector.

    Args:
        about: `recipe` of it alone, `weights` (a file, or None for random ones).
        request: As for `profile`.
        folder: For files.
    """

    def __init__(self, about: dict[str, Any], request: dict[str, Any], folder: Path) -> None:
        self.recipe: Recipe = parse(Recipe, about["recipe"], "the recipe to profile")
        weights = Path(about["weights"]) if about["weights"] else None
        if weights is not None:
            self.model = load_detector(self.recipe, weights)
        else:
            self.model = build_detector(self.recipe, list(self.recipe.data.classes or []), folder).eval()
        self.image: tuple[int, int] = tuple(request["image"] or inputs.test_size(self.recipe))
        self.images, self.shown = inputs.pictures(self.recipe, request["batch"], self.image)
        self.batch = inputs.batch_of(self.images)
        self.folder = folder
        self.weights_mb = (weights.stat().st_size if weights else self._bytes_written()) / MB

    def size(self) -> Size:
        """Parameters, and operations at the size that it is timed at.

        Raises:
            PkdError: They can't be counted.
        """
        return detector_size(self.model, size_at(self.model, *self.image))

    @torch.inference_mode()
    def detect(self, model: nn.Module) -> Any:
        """From pixels in the processor's memory to boxes: upload, normalisation, network, decoding, suppression."""
        return model.test_step(self.batch)

    def _bytes_written(self) -> int:
        """The size of a file of its weights, as a run exports them."""
        path = self.folder / "weights.pth"
        checkpoint.export_student(self.model.state_dict(), path, {"dataset_meta": {"classes": [], "palette": []}})
        try:
            return path.stat().st_size
        finally:
            path.unlink()


def profile(request: dict[str, Any], say: Say) -> None:
    """Carry out a request of `pkd profile`.

    Args:
        request: `models` (each as for `Profiled`), `devices` (none for the CPU and the first GPU), `batch`, `threads`
            (or None), `image` ([height, width] or None for each detector's own), `repeat`, `onnx`.
        say: Prints one object: `machine` first; `doing` with words; then for each detector `place` with its `size`; and
            for each measurement `place` and `row`; `note` for what could not be done.

    Raises:
        PkdError: Weights that don't fit, a device that is not there, or a batch too large for it.
    """
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    devices = [device_named(one) for one in request["devices"]] or _all_devices()
    say(machine=machine())
    with tempfile.TemporaryDirectory(prefix="pkd-profile-") as folder:
        say(doing="loading the detectors")
        models = [Profiled(one, request, Path(folder)) for one in request["models"]]
        for place, one in enumerate(models):
            say(doing=f"counting {one.recipe.student.title}")
            size = one.size()
            say(place=place, size={**size.columns(), "flops": size.flops, "weights_mb": round(one.weights_mb, 3),
                                   "image": list(one.image), "images": one.shown, "why": size.why})  # fmt: skip
        files = _exported(models, Path(folder), say) if request["onnx"] else {}
        for device in devices:
            _on_device(device, models, files, request, say)


def _all_devices() -> list[str]:
    return ["cpu", *(["cuda:0"] if torch.cuda.is_available() else [])]


def _exported(models: list[Profiled], folder: Path, say: Say) -> dict[int, Path]:
    files = {}
    for place, one in enumerate(models):
        say(doing=f"exporting {one.recipe.student.title} to ONNX")
        path = folder / f"{place}.onnx"
        why = onnx.write(one.model, path)
        if why is None:
            files[place] = path
        else:
            say(note=f"{one.recipe.student.title} is not timed in onnxruntime: {why}")
    return files


def _on_device(device: str, models: list[Profiled], files: dict[int, Path], request: dict[str, Any], say: Say) -> None:
    """Time all detectors on a device, in PyTorch and in onnxruntime, in turns."""
    on_gpu = device.startswith("cuda")
    threads = torch.get_num_threads()
    there = [one.model.to(device) for one in models]
    pieces: dict[tuple[int, str], Callable[[], Any]] = {
        (place, "pytorch"): partial(one.detect, model)
        for place, (one, model) in enumerate(zip(models, there, strict=True))
    }
    if files and onnx.provider(device) is None:
        say(note=f"onnxruntime is not timed on {device}: this one has no provider for it")
        files = {}
    for place, path in files.items():
        divisor = onnx.prepare.divisor_of(models[place].model)
        pieces[place, "onnxruntime"] = onnx.runner(path, models[place].images, divisor, threads, device)
    say(doing=f"timing on {device}")
    try:
        seconds = interleaved(pieces, request["repeat"], WARMUP, _waits(device))
        memory = {place: _weights(one) + extra_memory(pieces[place, "pytorch"], on_gpu)
                  for place, one in enumerate(there)}  # fmt: skip
    except (MemoryError, RuntimeError) as error:
        if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
            hint = "Give a smaller --batch or --size." if not on_gpu else "Give a smaller --batch, or --device cpu."
            raise PkdError(f"no memory left on {device}: {error}", hint, ExitCode.RUN_FAILED) from error
        raise
    for (place, runtime), samples in seconds.items():
        one = models[place]
        if runtime == "pytorch":
            peak = memory[place]
        else:
            shape = onnx.arrays_of(one.images, onnx.prepare.divisor_of(one.model))[0].shape
            peak = None if on_gpu else onnx.peak_memory(files[place], shape, threads)
        row = _row(samples, request["batch"])
        row |= {"device": device, "device_name": _name(device), "runtime": runtime, "threads": threads,
                "file_mb": round(files[place].stat().st_size / MB, 3) if runtime != "pytorch" else None,
                "peak_memory_mb": None if peak is None else round(peak, 1)}  # fmt: skip
        say(place=place, row=row)
    for one in models:
        one.model = one.model.to("cpu")


def _row(samples: list[float], batch: int) -> dict[str, Any]:
    low, median, high = quartiles(samples)
    return {
        "batch": batch,
        "latency_ms": round(1e3 * median, 4),
        "low_ms": round(1e3 * low, 4),
        "high_ms": round(1e3 * high, 4),
        "images_per_second": round(batch / max(median, SMALL), 3),
        "rounds": len(samples),
    }


def _waits(device: str) -> Callable[[], None]:
    """Waits for a device: its work goes on behind the processor's, which would otherwise be all that is timed."""
    return partial(torch.cuda.synchronize, device) if device.startswith("cuda") else _nothing


def _nothing() -> None:
    """The processor has done its work when a function returns."""


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else machine()["cpu"]


def _weights(model: nn.Module) -> float:
    """Of parameters and buffers, in MiB."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(one.numel() * one.element_size() for one in tensors) / MB


if __name__ == "__main__":
    sys.exit(answer_lines(sys.argv[1:], profile))
