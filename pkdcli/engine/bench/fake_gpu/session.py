"""The time in which there is a fake GPU: what of torch says otherwise is changed inside, and put back after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.optim import optimizer
from torch.utils import _foreach_utils, dlpack
from torch.utils.data._utils.pin_memory import pin_memory

from pkdcli.engine.bench.fake_gpu import tensor
from pkdcli.engine.bench.fake_gpu.counts import Counts, counting, note_transfer, note_wait
from pkdcli.engine.bench.fake_gpu.tensor import CUDA, Dispatch, FakeGpuTensor, on_gpu


class FakeGpu:
    """A fake GPU, while it is there."""

    @staticmethod
    def count() -> AbstractContextManager[Counts]:
        """Count what happens inside: `with gpu.count() as counts: ...`."""
        return counting()

    @staticmethod
    def pin(batch: Any) -> Any:
        """A batch as a loader with `pin_memory` gives it."""
        return pin_memory(batch)


@contextmanager
def fake_gpu(devices: int = 1, tf32: bool = False) -> Iterator[FakeGpu]:
    """Let torch have so many GPUs, of which the first can be used.

    Args:
        devices: As torch.cuda.device_count() tells.
        tf32: Round the inputs of float32 convolutions (forward) and matrix products to TF32, where PyTorch's switches
            have a GPU do so; by default numbers are the CPU's.
    """
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(tensor, "rounding", tf32))
        for target, name, new in [*_machine(devices), *_methods(), *_functions()]:
            stack.enter_context(mock.patch.object(target, name, new, create=True))
        # Else optimizers and clipping would go over the weights one by one, as they do on no GPU.
        for types in (_foreach_utils._foreach_supported_types, optimizer._foreach_supported_types):
            types.append(FakeGpuTensor)
            stack.callback(types.remove, FakeGpuTensor)
        # A parameter moved to the device is another object in Python: it can't be changed from within.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, before)
        stack.enter_context(Dispatch())
        yield FakeGpu()


Patch = tuple[Any, str, Callable[..., Any]]


def _machine(devices: int) -> list[Patch]:
    """torch.cuda, as on a machine with GPUs."""
    answers = {
        "is_available": True, "device_count": devices, "current_device": 0, "_lazy_init": None, "set_device": None,
        "get_device_name": "a fake GPU", "get_device_capability": (8, 0), "memory_allocated": 0, "empty_cache": None,
        "max_memory_allocated": 0, "reset_peak_memory_stats": None, "is_bf16_supported": True,
        "mem_get_info": (1 << 30, 1 << 30),
    }  # fmt: skip
    found: list[Patch] = [
        (torch.cuda, name, lambda *_, answer=answer, **__: answer) for name, answer in answers.items()
    ]
    found.append((torch.cuda, "synchronize", lambda *_: note_wait("synchronize")))
    # It asks the driver whether a CUDA graph is being captured.
    found.append((optimizer.Optimizer, "_accelerator_graph_capture_health_check", lambda *_: None))
    found.append((optimizer.Optimizer, "_cuda_graph_capture_health_check", lambda *_: None))
    return found


def _methods() -> list[Patch]:
    """Methods of the CPU's tensors that C++ would ask a device which it takes for the CPU."""
    plain_to = Tensor.to

    def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args and on_gpu(args[0]):
            args = (CUDA, args[0].dtype, *args[1:])
        names = {key: value for key, value in kwargs.items() if key != "copy"}
        device = None if args and isinstance(args[0], Tensor) else torch._C._nn._parse_to(*args, **names)[0]
        if device is None or device.type != "cuda":
            return plain_to(self, *args, **kwargs)
        _, dtype, non_blocking, form = torch._C._nn._parse_to(*args, **names)
        form = {} if form is None else {"memory_format": form}
        return torch.ops.aten._to_copy(self, dtype=dtype, device=CUDA, non_blocking=non_blocking, **form)

    def pin_memory(self: Tensor, *_: Any) -> Tensor:
        if not self.is_pinned():
            self = self.clone()
            self.pinned = True
        return self

    return [
        (Tensor, "to", to),
        (Tensor, "type_as", lambda self, other: self.to(other)),
        (Tensor, "cuda", lambda self, device=None, non_blocking=False, **_: self.to(CUDA, non_blocking=non_blocking)),
        (Tensor, "pin_memory", pin_memory),
        (Tensor, "is_pinned", lambda self, *_: getattr(self, "pinned", False)),
    ]


def _functions() -> list[Patch]:
    """Functions that make a tensor of Python's numbers, or take one by its memory."""
    plain_tensor, plain_dlpack, plain_autocast = torch.tensor, dlpack.from_dlpack, torch.autocast.__init__
    plain_one_hot = nn.functional.one_hot

    def make_tensor(data: Any, *, device: Any = None, requires_grad: bool = False, **kwargs: Any) -> Tensor:
        if device is None or torch.device(device).type != "cuda":
            kwargs.pop("pin_memory", None)
            return plain_tensor(data, device=device, requires_grad=requires_grad, **kwargs)
        with torch._C._DisableTorchDispatch():
            made = plain_tensor(data, **kwargs)
        note_transfer(True, made.numel() * made.element_size(), False, False)
        return FakeGpuTensor(made).requires_grad_(requires_grad)

    def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
        if isinstance(data, Tensor):
            return data.to(device=device or data.device, dtype=dtype or data.dtype)
        return torch.tensor(data, dtype=dtype, device=device)

    def from_dlpack(value: Any, *args: Any, **kwargs: Any) -> Tensor:
        return FakeGpuTensor(plain_dlpack(value.inner)) if on_gpu(value) else plain_dlpack(value, *args, **kwargs)

    def one_hot(value: Tensor, num_classes: int = -1) -> Tensor:
        if not on_gpu(value):  # of others C++ makes the classes' numbers where it takes them to be: on the CPU
            return plain_one_hot(value, num_classes)
        count = num_classes if num_classes >= 0 else int(value.max()) + 1
        made = torch.zeros((*value.shape, count), dtype=torch.int64, device=CUDA)
        return made.scatter_(-1, value[..., None], 1)

    def autocast(self: Any, device_type: str, dtype: Any = None, **kwargs: Any) -> None:
        if device_type == "cuda":
            device_type, dtype = "cpu", dtype or torch.float16
        plain_autocast(self, device_type, dtype=dtype, **kwargs)

    return [
        (torch, "tensor", make_tensor),
        (torch, "as_tensor", as_tensor),
        (nn.functional, "one_hot", one_hot),
        (dlpack, "from_dlpack", from_dlpack),
        (torch.autocast, "__init__", autocast),
    ]
