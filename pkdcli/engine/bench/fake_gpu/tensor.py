"""A tensor that says it is on `cuda:0` and computes on the CPU, and what becomes of an operation on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._library.custom_ops import OPDEFS
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from pkdcli.engine.bench.fake_gpu import rules
from pkdcli.engine.bench.fake_gpu.counts import note_kernel, note_transfer, note_wait, where

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
_HALVES = (torch.float16, torch.bfloat16)

rounding = False
"""Round what float32 convolutions and matrix products take to TF32, where PyTorch's switches say so."""


class FakeGpuTensor(Tensor):
    """A tensor on a device that is not there; `inner` holds its numbers.

    To C++ it is on the CPU, so that the backward pass wants no driver; to Python it is on `cuda:0`.
    """

    # Python's overrides are the methods below: a tensor of the CPU may have to answer for the device too.
    __torch_function__ = torch._C._disabled_torch_function_impl
    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> FakeGpuTensor:
        inner = inner.detach()
        made = Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device="cpu",
        )  # fmt: skip
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"FakeGpuTensor({tuple(self.shape)}, {self.dtype})"

    @property
    def device(self) -> torch.device:
        return CUDA

    @property
    def is_cuda(self) -> bool:
        return True

    @property
    def is_cpu(self) -> bool:
        return False

    def get_device(self) -> int:
        return 0

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, other: Tensor) -> None:
        if not isinstance(other, FakeGpuTensor) or other.shape != self.shape or other.dtype != self.dtype:
            raise RuntimeError("a fake GPU's tensor can take over the data of one alike only")
        self.inner = other.inner

    def is_pinned(self, *_: Any) -> bool:
        return False

    def cuda(self, *_: Any, **__: Any) -> Tensor:
        return self

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        return self.to(CPU)

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], Tensor):
            args = (args[0].device, args[0].dtype, *args[1:])
        device, dtype, non_blocking, form = torch._C._nn._parse_to(*args, **{k: v for k, v in kwargs.items()
                                                                           if k != "copy"})  # fmt: skip
        same_type = dtype is None or dtype == self.dtype
        if (device is None or device.type == "cuda") and same_type and form is None and not kwargs.get("copy"):
            return self
        more = {"memory_format": form} if form is not None else {}
        if device is not None and device.type == "cpu":
            more |= {"device": CPU, "non_blocking": non_blocking}
        if form is not None and not more.get("device") and same_type and self.is_contiguous(memory_format=form):
            return self
        return torch.ops.aten._to_copy(self, dtype=dtype, **more)

    def type_as(self, other: Tensor) -> Tensor:
        return self.to(other)

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=device or CUDA).requires_grad_(requires_grad)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = FakeGpuTensor(self.inner.clone())
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied, requires_grad=self.requires_grad)
        return memo.setdefault(id(self), copied)


def on_gpu(value: Any) -> bool:
    """Whether a value is a tensor of the device."""
    return isinstance(value, FakeGpuTensor)


class Dispatch(TorchDispatchMode):
    """Takes every operation inside, also those that make tensors on the device from nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


def dispatch(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Note what an operation does, carry it out on the CPU, and put what it gives on the right device.

    Args:
        operation: The overload, such as `aten.add.Tensor`.
        args: What it was called with.
        kwargs: The same by name.

    Raises:
        RuntimeError: Its tensors are on two devices.
    """
    namespace, name = operation.namespace, operation._schema.name.partition("::")[2]
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
    any_there = any(map(on_gpu, tensors))
    if namespace == "prim":
        return CUDA if any_there else CPU
    custom = OPDEFS.get(f"{namespace}::{name}")
    if custom is not None and any_there:
        # An operator in Python is no kernel, what it is made of are.
        with Dispatch(), torch.no_grad():
            return custom._init_fn(*args, **kwargs)
    if any_there and not all(map(on_gpu, tensors)):
        complaint = rules.mixed(operation, name, args, tensors, on_gpu)
        if complaint:
            raise RuntimeError(f"{complaint}, at {where()}")
    device = kwargs.get("device")
    there = any_there if device is None else torch.device(device).type == "cuda"
    there = there or ((any_there or not tensors) and _in_its_backward_pass())
    if name in ("copy_", "copy"):
        there = on_gpu(args[0])
    _note(operation, name, args, kwargs, any_there, there)
    return _carried_out(operation, args, kwargs, tensors, there)


def _in_its_backward_pass() -> bool:
    """Whether one of PyTorch's own gradients is being computed, which makes its zeros where C++ takes the tensors for.

    A gradient written in Python says itself where.
    """
    node = torch._C._current_autograd_node()
    return node is not None and not isinstance(node, torch.autograd.function.BackwardCFunction)


def _note(operation: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any], before: bool, after: bool) -> None:
    """Count an operation; before and after tell whether it takes from the device, and gives to it."""
    if name in ("_to_copy", "copy_", "copy"):
        source = args[0] if name == "_to_copy" else args[1]
        if on_gpu(source) != after:
            here = source if after else args[0]
            non_blocking = kwargs.get("non_blocking") or (len(args) > 2 and args[2])
            pinned = getattr(here, "pinned", False)
            note_transfer(after, source.numel() * source.element_size(), pinned, bool(non_blocking))
            return
    if not (before or after):
        return
    for index in rules.indices_of_the_processor(name, args, on_gpu):
        note_transfer(True, index.numel() * index.element_size(), False, False)
    reason = rules.reason_to_wait(name, args, kwargs, on_gpu)
    if reason:
        note_wait(reason)
    if rules.launches(operation, name):
        note_kernel(name)


def _carried_out(operation: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor], there: bool) -> Any:
    known = {id(one.inner if on_gpu(one) else one): one for one in tensors}
    pinned = bool(kwargs.get("pin_memory"))

    def inside(value: Any) -> Any:
        if on_gpu(value):
            return value.inner
        return CPU if isinstance(value, torch.device) else value

    def outside(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) in known:  # what was written to stays what it was
            return known[id(value)]
        if pinned and not there:
            value.pinned = True
        return FakeGpuTensor(value) if there and not on_gpu(value) else value

    # A view shares the version of what it is of, which tensors made in inference mode have none of.
    inference = tensors[0].is_inference() if operation.is_view and tensors else torch.is_inference_mode_enabled()
    inner_kwargs = {key: tree_map(inside, value) for key, value in kwargs.items() if key != "pin_memory"}
    inner_args = tree_map(inside, tuple(args))
    if rounding and there:
        inner_args = rules.as_tf32(operation._schema.name.partition("::")[2], inner_args)
    with torch._C._DisableAutocast():
        given = _on_cpu(operation, inner_args, inner_kwargs)
    with torch.inference_mode(inference):
        return tree_map(outside, given)


def _on_cpu(operation: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """An operation on the CPU; in float32 where the CPU has none for half precision."""
    try:
        return operation(*args, **kwargs)
    except (RuntimeError, NotImplementedError) as error:
        if not any(word in str(error) for word in ("Half", "BFloat16")):
            raise
    given = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor) and one.dtype in _HALVES]
    half = given[0].dtype if given else torch.float16
    wide = {id(one): one.float() for one in given}

    def up(value: Any) -> Any:
        if isinstance(value, Tensor):
            return wide.get(id(value), value)
        return torch.float32 if isinstance(value, torch.dtype) and value in _HALVES else value

    made = operation(*tree_map(up, args), **tree_map(up, kwargs))
    back = {id(wide[id(one)]): one for one in given}
    for argument, value in zip(operation._schema.arguments, args, strict=False):
        if argument.alias_info and argument.alias_info.is_write and id(value) in wide:
            value.copy_(wide[id(value)])

    def down(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        return back[id(value)] if id(value) in back else value.to(half)

    return tree_map(down, made)
