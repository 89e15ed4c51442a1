"""A graph as an ONNX file, by PyTorch's own exporter, with ONNX's NonMaxSuppression in the place of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxscript
import torch
from onnxscript import BOOL, FLOAT, INT64
from onnxscript import opset18 as op
from torch import nn

from pkdcli.engine.export.graph import example
from pkdcli.errors import ExitCode, PkdError

OPSET = 18
"""Of the files that are written: the least that the exporter makes without converting between versions."""
INPUTS = ["images", "sizes"]


@onnxscript.script(onnxscript.values.Opset("pkd", 1), default_opset=op)
def keep_best(boxes: FLOAT, scores: FLOAT, labels: INT64, iou: float, groups: int) -> FLOAT:
    """`pkdcli.engine.export.boxes.keep_best` in ONNX's operators: a class's scores are -1 for the boxes of others.

    Args:
        boxes: As there, and so the rest.
        scores: Of the candidates.
        labels: Their groups.
        iou: The threshold.
        groups: How many there are.
    """
    last = op.Constant(value_ints=[1])
    depth = op.Reshape(op.Constant(value_int=groups), last)
    values = op.Constant(value_floats=[0.0, 1.0])
    mine = op.Cast(op.OneHot(labels, depth, values, axis=1), to=9)
    by_group = op.Where(mine, op.Unsqueeze(scores, last), op.Constant(value_floats=[-1.0]))
    most = op.Reshape(op.Shape(scores, start=1, end=2), last)
    zero = op.Constant(value_floats=[0.0])
    chosen = op.NonMaxSuppression(boxes, by_group, most, op.Constant(value_float=iou), zero)
    places = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)
    none = op.Expand(op.Constant(value_floats=[-1.0]), op.Shape(scores))
    return op.ScatterND(none, places, op.GatherND(scores, places))


@onnxscript.script(onnxscript.values.Opset("pkd", 1), default_opset=op)
def pool_regions(level: FLOAT, regions: FLOAT, mine: BOOL, side: int, scale: float, samples: int) -> FLOAT:
    """`pkdcli.engine.export.rois.pool_regions` in ONNX's operators; no name in it may be one of the file's outputs.

    Args:
        level: As there, and so the rest.
        regions: Of all images.
        mine: Those to look at.
        side: Of what comes of a region.
        scale: Positions of the map to a pixel.
        samples: To a side of a position.
    """
    last = op.Constant(value_ints=[1])
    places = op.Transpose(op.NonZero(mine), perm=[1, 0])
    chosen = op.GatherND(regions, places)
    corners = op.Gather(chosen, op.Constant(value_ints=[1, 2, 3, 4]), axis=1)
    image = op.Cast(op.Squeeze(op.Gather(chosen, op.Constant(value_ints=[0]), axis=1), last), to=7)
    found = op.RoiAlign(
        level, corners, image, coordinate_transformation_mode="half_pixel", mode="avg",
        output_height=side, output_width=side, sampling_ratio=samples, spatial_scale=scale,
    )  # fmt: skip
    sides = op.Expand(op.Reshape(op.Constant(value_int=side), last), op.Constant(value_ints=[2]))
    shape = op.Concat(op.Shape(regions, start=0, end=1), op.Shape(level, start=1, end=2), sides, axis=0)
    return op.ScatterND(op.Expand(op.Constant(value_floats=[0.0]), shape), places, found)


TRANSLATED = {torch.ops.pkd.keep_best.default: keep_best, torch.ops.pkd.pool_regions.default: pool_regions}
"""Operators of ours, and what they are in ONNX."""


def write(graph: nn.Module, model: nn.Module, path: Path, divisor: int, names: Sequence[str]) -> dict[str, Any]:
    """Export a graph whose batch, height and width are free.

    Args:
        graph: As `graph_of` makes it.
        model: mmdet's detector in it.
        path: The file.
        divisor: Of height and width.
        names: Of the outputs.

    Returns:
        What is free: `batch` and `size`, and the `opset`.

    Raises:
        PkdError: PyTorch's exporter has fixed one of these, as it does where a layer asks for it as a number.
    """
    arguments = example(model, divisor)
    batch = torch.export.Dim("batch", min=1, max=1024)
    height, width = (divisor * torch.export.Dim(name, min=2, max=4096 // divisor) for name in ("rows", "columns"))
    program = torch.onnx.export(
        graph,
        arguments,
        dynamo=True,
        opset_version=OPSET,
        input_names=INPUTS,
        output_names=list(names),
        dynamic_shapes=({0: batch, 2: height, 3: width}, {0: batch}),
        custom_translation_table=TRANSLATED,
        verbose=False,
    )
    program.save(str(path))
    fixed = _fixed(path)
    if fixed:
        raise PkdError(
            f"PyTorch's exporter makes {type(model).__name__} a graph of fixed sizes: {fixed}.",
            "A layer of it asks for its input's size as a number. --format torchscript may do.",
            ExitCode.RUN_FAILED,
        )
    return {"opset": OPSET, "batch": "any", "size": "any"}


def _fixed(path: Path) -> str:
    """The sizes of a file's inputs that are numbers where they should be free, in words."""
    import onnx

    dims = {one.name: one.type.tensor_type.shape.dim for one in onnx.load(path, load_external_data=False).graph.input}
    free = {"images": {0: "batch", 2: "height", 3: "width"}, "sizes": {0: "batch of sizes"}}
    found = [(name, dims[key][at]) for key, places in free.items() for at, name in places.items() if key in dims]
    return ", ".join(f"{name} {dim.dim_value}" for name, dim in found if not dim.dim_param)


def session(
    path: Path, threads: int = 0, provider: str = "CPUExecutionProvider"
) -> Callable[[np.ndarray, np.ndarray], Sequence[np.ndarray]]:
    """A written file in onnxruntime, as a function of arrays.

    Args:
        path: The file.
        threads: Of an operator; 0 for onnxruntime's own choice.
        provider: What carries it out.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    loaded = onnxruntime.InferenceSession(str(path), options, providers=[provider])

    def run(images: np.ndarray, sizes: np.ndarray) -> Sequence[np.ndarray]:
        return loaded.run(None, {"images": images, "sizes": sizes})

    return run
