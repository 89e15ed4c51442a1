"""What CUDA does with an operation: which launch a kernel, which make the processor wait, which refuse two devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

OnGpu = Callable[[Any], bool]

_NO_KERNEL = {
    "_local_scalar_dense", "_reshape_alias", "_unsafe_view", "alias", "detach", "empty", "empty_like", "empty_strided",
    "is_same_size", "lift_fresh", "new_empty", "new_empty_strided", "record_stream", "resize_", "set_",
}  # fmt: skip
_WAITS = {
    "_local_scalar_dense": "reading a number", "_unique2": "unique", "equal": "equal", "masked_select": "masked_select",
    "nms": "nms", "nonzero": "nonzero", "unique_consecutive": "unique", "unique_dim": "unique",
}  # fmt: skip
_INDEXING = {"index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put"}
_STRICT = {"cat", "stack"}  # take no number of the processor either
_COPIES = {"_to_copy", "copy_", "copy"}


def launches(operation: Any, name: str) -> bool:
    """Whether an operation on the device launches a kernel.

    Args:
        operation: The overload that is dispatched, such as `aten.add.Tensor`.
        name: Its name without namespace and overload: `add`.
    """
    return name not in _NO_KERNEL and not operation.is_view


def reason_to_wait(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], on_gpu: OnGpu) -> str | None:
    """Why the processor waits for an operation on the device; None where it doesn't. Copies are counted elsewhere.

    Args:
        name: Of the operation, without namespace and overload.
        args: What it was called with.
        kwargs: The same by name.
        on_gpu: Tells which tensors are on the device.
    """
    if name == "repeat_interleave":
        size = kwargs.get("output_size")
        return None if size is not None else "repeat_interleave without output_size"
    if name in _INDEXING and any(one.dtype in (torch.bool, torch.uint8) for one in args[1] if one is not None):
        # A number is written by a kernel that takes the mask itself; everything else needs the number of places.
        one_value = len(args) > 2 and not on_gpu(args[2]) and args[2].numel() == 1 and not (len(args) > 3 and args[3])
        return None if one_value else "indexing with a mask"
    return _WAITS.get(name)


def mixed(operation: Any, name: str, args: Sequence[Any], tensors: Sequence[Tensor], on_gpu: OnGpu) -> str | None:
    """CUDA's complaint about an operation whose tensors are on both devices; None where it takes them.

    It takes numbers (tensors without axes) of the processor among others of the device, and indices of the processor
    for a tensor of the device.

    Args:
        operation: The overload that is dispatched.
        name: Its name without namespace and overload.
        args: What it was called with.
        tensors: All tensors among that.
        on_gpu: Tells which of them are on the device.
    """
    if name in _COPIES:
        return None
    if name in _INDEXING:
        if not on_gpu(args[0]):
            return "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
        values = args[2:3]
        return _two_devices(name) if values and not on_gpu(values[0]) and values[0].dim() else None
    written = [arg for arg, value in _with_schema(operation, args) if arg.alias_info and arg.alias_info.is_write
               and isinstance(value, Tensor) and not on_gpu(value)]  # fmt: skip
    if written or any(tensor.dim() or name in _STRICT for tensor in tensors if not on_gpu(tensor)):
        return _two_devices(name)
    return None


def indices_of_the_processor(name: str, args: Sequence[Any], on_gpu: OnGpu) -> list[Tensor]:
    """The indices that have to be copied to the device first.

    Args:
        name: Of the operation.
        args: What it was called with; the second are the indices.
        on_gpu: Tells which tensors are on the device.
    """
    if name not in _INDEXING:
        return []
    return [one for one in args[1] if one is not None and not on_gpu(one)]


def _with_schema(operation: Any, args: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(operation._schema.arguments, args, strict=False))


def _two_devices(name: str) -> str:
    return f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({name})"


def as_tf32(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a convolution or a matrix product computes with: float32 to 10 bits of mantissa, where PyTorch lets it.

    Args:
        name: Of the operation.
        args: What it was called with.
    """
    if name == "convolution":
        switch = getattr(torch.backends.cudnn, "conv", None)
        on = torch.backends.cudnn.allow_tf32 if switch is None else switch.fp32_precision == "tf32"
    elif name in ("mm", "addmm", "bmm", "baddbmm"):
        switch = torch.backends.cuda.matmul
        on = switch.fp32_precision == "tf32" if hasattr(switch, "fp32_precision") else switch.allow_tf32
    else:
        return args
    return tuple(_rounded(one) if isinstance(one, Tensor) and one.dim() > 1 else one for one in args) if on else args


def _rounded(x: Tensor) -> Tensor:
    """float32 to the nearest number of 10 bits of mantissa, ties away from zero; other types as they are."""
    if x.dtype != torch.float32:
        return x
    return ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32).view(x.shape)
