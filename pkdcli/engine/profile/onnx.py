"""A detector in onnxruntime, to be timed beside PyTorch."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pkdcli.engine.export import onnx_file, prepare
from pkdcli.engine.export.graph import graph_of, refusal
from pkdcli.errors import PkdError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# In a process of its own, where nothing else takes memory: what a session and one batch add to its peak. Linux has the
# peak that a process begins with from the one that has started it, but for that of its own memory map.
_PEAK = """
import resource, sys
import numpy, onnxruntime
path, batch, height, width, threads = sys.argv[1], *map(int, sys.argv[2:])
def peak():
    try:
        lines = open("/proc/self/status").read().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
before = peak()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
images = numpy.random.default_rng(0).uniform(0, 255, (batch, 3, height, width)).astype(numpy.float32)
session.run(None, {"images": images, "sizes": numpy.array([[height, width]] * batch, numpy.int64)})
print(peak() - before)
"""


def write(model: nn.Module, path: Path) -> str | None:
    """Export a detector, from images to boxes; returns why that does not work, None where it does.

    Args:
        model: mmdet's.
        path: The file.
    """
    if (why := refusal(model)) is not None:
        return why
    try:
        graph = graph_of(model, raw=False)
        onnx_file.write(graph, model, path, prepare.divisor_of(model), ["boxes", "scores", "labels"])
    except PkdError as error:
        return error.message
    except Exception as error:  # PyTorch's exporter has many of its own
        return f"PyTorch's exporter gives up: {(str(error).strip().splitlines() or [type(error).__name__])[0]}"
    finally:
        gc.collect()  # of a graph that is as large as its model
    return None


def provider(device: str) -> str | None:
    """What carries out a graph on a device; None where this onnxruntime has nothing for it.

    Args:
        device: `cpu`, `cuda:0`.
    """
    import onnxruntime

    name = _PROVIDERS.get(device.partition(":")[0])
    return name if name in onnxruntime.get_available_providers() else None


def arrays_of(images: Sequence[np.ndarray], divisor: int) -> tuple[np.ndarray, np.ndarray]:
    """Images as the graph takes them: (N, 3, H, W), float32, RGB, padded; and their sizes (N, 2).

    Args:
        images: (H, W, 3), uint8, BGR, of one size.
        divisor: Of height and width.
    """
    height, width = images[0].shape[:2]
    padded = np.zeros((len(images), 3, -(-height // divisor) * divisor, -(-width // divisor) * divisor), np.float32)
    for number, image in enumerate(images):
        padded[number, :, :height, :width] = image[:, :, ::-1].transpose(2, 0, 1)
    return padded, np.asarray([[height, width]] * len(images), np.int64)


def runner(
    path: Path, images: Sequence[np.ndarray], divisor: int, threads: int, device: str
) -> Callable[[], Sequence[Any]]:
    """A function that takes a batch through a written file, as `pkd profile` times it.

    Args:
        path: The file.
        images: As for `arrays_of`.
        divisor: As for `arrays_of`.
        threads: Of an operator.
        device: For which there is a `provider`.
    """
    arrays = arrays_of(images, divisor)
    session = onnx_file.session(path, threads, provider(device) or _PROVIDERS["cpu"])
    return lambda: session(*arrays)


def peak_memory(path: Path, shape: Sequence[int], threads: int) -> float | None:
    """What a session and one batch add to the memory of a process, at most, in MiB; None where that can't be found out.

    Args:
        path: The file.
        shape: (N, 3, H, W) of the batch.
        threads: Of an operator.
    """
    words = [str(path), *(str(shape[at]) for at in (0, 2, 3)), str(threads)]
    done = subprocess.run([sys.executable, "-c", _PEAK, *words], capture_output=True, text=True, check=False)
    return round(float(done.stdout), 1) if done.returncode == 0 else None
