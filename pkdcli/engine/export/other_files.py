"""Weights as safetensors, and a graph as TorchScript."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pkdcli.engine.export.graph import example
from pkdcli.errors import ExitCode, PkdError


def write_safetensors(model: nn.Module, path: Path, meta: Mapping[str, object]) -> None:
    """Write a detector's weights by their names in mmdet, with their classes in the file's metadata.

    Args:
        model: The detector.
        path: The file.
        meta: JSON values, each written as text.

    Raises:
        PkdError: What is read back is not what was written.
    """
    from safetensors import safe_open
    from safetensors.torch import save

    # Layers that share a tensor get one each: loading them is the same.
    state = {key: value.detach().cpu().clone().contiguous() for key, value in model.state_dict().items()}
    # By bytes: on a full disk the libraries' own files end in errors of theirs, or in the end of the process.
    path.write_bytes(save(state, {key: json.dumps(value) for key, value in meta.items()}))
    with safe_open(str(path), "pt") as file:
        same = set(file.keys()) == set(state) and all(torch.equal(file.get_tensor(key), state[key]) for key in state)
    if not same:
        raise PkdError(f"{path} does not hold the weights that were written.", "Try another disk.", ExitCode.RUN_FAILED)


def write_torchscript(graph: nn.Module, model: nn.Module, path: Path, divisor: int) -> None:
    """Write a graph that `torch.jit.load` reads, where torchvision is imported too.

    Args:
        graph: As `graph_of` makes it, of plain operators.
        model: The detector in it.
        path: The file.
        divisor: Of height and width.
    """
    with torch.no_grad():
        # Batch, height and width are traced as they come; whether all of them are free is checked on images after.
        traced = torch.jit.trace(graph, example(model, divisor), check_trace=False, strict=False)
    packed = io.BytesIO()
    torch.jit.save(traced, packed)
    path.write_bytes(packed.getbuffer())


def torchscript_run(path: Path):
    """A written TorchScript file as a function of arrays."""
    graph = torch.jit.load(str(path)).eval()

    def run(images: np.ndarray, sizes: np.ndarray) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            found = graph(torch.from_numpy(images), torch.from_numpy(sizes))
        return [one.numpy() for one in ((found,) if isinstance(found, Tensor) else found)]

    return run
