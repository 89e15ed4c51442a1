"""Batch norms behind convolutions: which there are, and changing them without changing a detector's features."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmcv.ops import ModulatedDeformConv2d
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pkdcli.engine.setup.precision import full_float32

Undo = Callable[[], None]
Change = Callable[[nn.Module, nn.Module], Undo]
"""Changes a convolution and the norm behind it; returns what undoes that."""

SAME = 1e-4  # a change moves features by rounding, 1e-6 or so; what moves more was no convolution with its norm
_CONVOLUTIONS = (nn.Conv2d, ModulatedDeformConv2d)  # DeformConv2d has no place for a bias
_PROBE = 64  # pixels a side


@torch.no_grad()
def change_norms(
    detector: nn.Module, change: Change, what: str, suits: Callable[[nn.Module, nn.Module], bool] = lambda *_: True
) -> int:
    """Change each batch norm that alone gets the output of a convolution; returns how many.

    Which convolution feeds a norm is not guessed from names: a small picture is sent through and watched. A detector
    whose features are not the same afterwards, for whatever reason, stays as it was, and so does one that fails on the
    picture. They are compared in full float32, whatever a GPU computes with afterwards.

    Args:
        detector: Has `extract_feat`; its modules' modes and statistics stay as they are.
        change: Of a convolution and its norm.
        what: Could not be done, in the log, where the features would change.
        suits: Which convolutions and norms are meant.
    """
    if not any(isinstance(module, _BatchNorm) for module in detector.modules()):
        return 0
    first = next(detector.parameters())
    probe = torch.randn(1, 3, _PROBE, _PROBE, generator=torch.Generator().manual_seed(0)).to(first.device, first.dtype)
    with _at_rest(detector), full_float32():
        try:
            found, before = _watch(detector, probe)
        except Exception as error:  # a detector that does not take this picture can be used all the same
            print_log(f"{what}: {type(error).__name__}: {error}", "current", logging.WARNING)
            return 0
        pairs = [pair for pair in found if suits(*pair)]
        undo = [change(*pair) for pair in pairs]
        if not pairs or _apart(detector.extract_feat(probe), before) <= SAME:
            return len(pairs)
    for one in reversed(undo):
        one()
    print_log(f"{what}: the features would change", "current", logging.WARNING)
    return 0


@contextmanager
def _at_rest(detector: nn.Module) -> Iterator[None]:
    """Every module in eval mode, and back in its own afterwards."""
    modes = [(module, module.training) for module in detector.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _watch(detector: nn.Module, probe: Tensor) -> tuple[list[tuple[nn.Module, nn.Module]], tuple[Tensor, ...]]:
    """(convolution, norm) wherever a norm's input is a convolution's output and nothing else is done with either."""
    made: dict[int, tuple[nn.Module, Tensor]] = {}  # the tensors too, so that no address is given out twice
    fed: dict[nn.Module, list[nn.Module | None]] = {}
    calls: dict[nn.Module, int] = {}

    def watch(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, _BatchNorm):
            source = made.get(id(inputs[0]))
            fed.setdefault(module, []).append(source and source[0])
        else:
            made[id(output)] = (module, output)

    hooks = [
        module.register_forward_hook(watch)
        for module in detector.modules()
        if isinstance(module, (*_CONVOLUTIONS, _BatchNorm))
    ]
    try:
        features = tuple(feature.clone() for feature in detector.extract_feat(probe))
    finally:
        for hook in hooks:
            hook.remove()
    pairs = [
        (sources[0], norm)
        for norm, sources in fed.items()
        if len(sources) == 1 and sources[0] is not None and calls[sources[0]] == 1 and norm.running_var is not None
    ]
    return pairs, features


def _apart(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest relative distance over the levels; infinite where one is not finite."""
    return max(distance(a, b) for a, b in zip(ours, theirs, strict=True))


def distance(ours: Tensor, theirs: Tensor) -> float:
    """|a - b| / |b| of two feature maps, in float64.

    Args:
        ours: A feature map.
        theirs: Another of the same shape.
    """
    ours, theirs = ours.double(), theirs.double()
    found = ((ours - theirs).norm() / theirs.norm().clamp_min(1e-30)).item()
    return found if math.isfinite(found) else math.inf
