"""A frozen teacher made faster: norms folded into convolutions, another precision or layout, compiled, no autograd.

What is done is a field of the recipe (`teacher_speed`), never the outcome of a timing, so that no result depends on how
fast a machine is. The defaults keep the feature maps within 1e-5 of the plain model's, both in full float32: a GPU that
computes with TF32 moves either by a hundred times more. `pkd bench --suggest` tells what others gain and cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils import dlpack

from pkdcli.engine.distill.encoder import run_encoder
from pkdcli.engine.speedups.conv_norms import Undo, change_norms
from pkdcli.engine.speedups.cpu_modules import quicken_modules
from pkdcli.errors import ExitCode, PkdError

FORMATS = {None: None, True: torch.channels_last, False: torch.contiguous_format}
COMPILED = 4  # times that a forward is compiled: sizes make no difference, a batch of one image may
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def prepare(teacher: nn.Module, fold: bool = True, precision: str = "float32", compile: bool = False) -> int:
    """Make a loaded teacher without heads faster, in place.

    Args:
        teacher: A detector in eval mode with `backbone` and `neck`, its weights loaded.
        fold: Fold each BatchNorm2d that follows a convolution into that.
        precision: Of weights and feature maps: float32, bfloat16 or float16 (CUDA only).
        compile: `torch.compile` backbone and neck, once for images of all sizes.

    Returns:
        The number of batch norms that are gone.

    Raises:
        PkdError: float16 without CUDA.
    """
    if precision == "float16" and not torch.cuda.is_available():
        raise PkdError(
            "teacher_speed.precision: float16 needs a GPU, and torch sees none.",
            "Set it to float32 or bfloat16.",
            ExitCode.MISSING,
        )
    folded = fold_batch_norms(teacher) if fold else 0
    quicken_modules(teacher)
    if folded:
        print_log(f"{folded} batch norms of the teacher are folded into its convolutions", "current")
    if precision != "float32":
        teacher.to(PRECISIONS[precision])
        if hasattr(teacher, "encoder"):  # deformable attention places its samples in float32
            teacher.encoder.float()
    if compile:
        _compile(teacher)
    return folded


def _compile(teacher: nn.Module) -> None:
    """Compile backbone and neck for sizes that change; what can't be compiled so is compiled a few times at most."""
    for name in ("recompile_limit", "cache_size_limit"):  # PyTorch's name for it, and before 2.6
        if hasattr(torch._dynamo.config, name):
            setattr(torch._dynamo.config, name, COMPILED)
    for name in ("backbone", "neck"):
        module = getattr(teacher, name, None)
        if module is None:  # a detector without a neck
            continue
        # Its forward alone, so that the recorders' hooks stay outside of what is compiled.
        module.forward = _explained(torch.compile(module.forward, dynamic=True))
    print_log(f"the teacher is compiled for images of all sizes; at most {COMPILED} times, then not", "current")


@torch.no_grad()
def forward_features(
    teacher: nn.Module, inputs: Tensor, encoder: bool = False, shapes: Sequence[tuple[int, int]] | None = None
) -> tuple[Tensor, ...]:
    """The feature maps of backbone and neck, level by level.

    Runs in inference mode, which keeps no account of versions and views. `as_constants` makes what comes out constants
    that autograd takes.

    Args:
        teacher: As `prepare` left it.
        inputs: (N, 3, H, W), normalised as its own config says.
        encoder: Run its encoder too, for those that record it.
        shapes: As for `run_encoder`.
    """
    with torch.inference_mode(inputs.device.type in ("cpu", "cuda")):
        return features(teacher, inputs, encoder, shapes)


def features(
    teacher: nn.Module, inputs: Tensor, encoder: bool = False, shapes: Sequence[tuple[int, int]] | None = None
) -> tuple[Tensor, ...]:
    """The same in the mode there is, in the teacher's own precision whatever the student's is.

    Autocast (`--amp`) would compute a float32 teacher in float16, and make its weights anew in every step.

    Args:
        teacher: As `prepare` left it.
        inputs: (N, 3, H, W), normalised as its own config says.
        encoder: As for `forward_features`.
        shapes: The same.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        found = teacher.extract_feat(inputs.to(next(teacher.parameters()).dtype))
        if encoder:
            run_encoder(teacher, found, inputs, shapes)
        return found


def as_constants(value: Any) -> Any:
    """The same tensors outside of inference mode, in whatever tuples, lists and dicts; nothing is copied."""
    if isinstance(value, Tensor):
        return dlpack.from_dlpack(value) if value.is_inference() else value
    if isinstance(value, (list, tuple)):
        return type(value)(as_constants(one) for one in value)
    if isinstance(value, dict):
        return {key: as_constants(one) for key, one in value.items()}
    return value


def fold_batch_norms(teacher: nn.Module) -> int:
    """Fold each BatchNorm2d into the convolution whose output alone it gets; returns how many.

    w' = w * gamma / sqrt(var + eps), b' = beta + (b - mean) * gamma / sqrt(var + eps), in float64 and rounded once.
    """
    return change_norms(teacher, partial(_fold, teacher), "the teacher's batch norms can't be folded")


def _fold(teacher: nn.Module, convolution: nn.Module, norm: nn.Module) -> Undo:
    """Fold one norm, and return what undoes it."""
    weight, bias = convolution.weight.data, convolution.bias
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.double()
    shift = ((0 if bias is None else bias.double()) - norm.running_mean.double()) * factor
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    convolution.weight.data = (weight.double() * factor.view(-1, 1, 1, 1)).to(weight.dtype)
    convolution.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)
    places = [
        (module, name) for module in teacher.modules() for name, child in module._modules.items() if child is norm
    ]
    for module, name in places:
        module._modules[name] = nn.Identity()

    def undo() -> None:
        convolution.weight.data, convolution.bias = weight, bias
        for module, name in places:
            module._modules[name] = norm

    return undo


def _explained(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled forward whose failure to compile is put in words."""

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return forward(*args, **kwargs)
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            first = str(error).strip().partition("\n")[0]
            raise PkdError(
                f"teacher_speed.compile: torch.compile can't compile the teacher here: {first}",
                "Set it to false; on a CPU torch.compile needs a C++ compiler.",
                ExitCode.MISSING,
            ) from error

    return run
