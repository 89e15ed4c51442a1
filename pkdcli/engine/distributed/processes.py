"""The processes of one run, as torchrun starts them: who they are, and what they agree on.

Gradients go over NCCL on GPUs and gloo on the CPU. What the processes agree on between steps (shall we stop?) goes over
gloo, which does not wait for the GPUs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any

import torch
from torch import distributed

from pkdcli.errors import ExitCode, PkdError

_control: Any = None  # the process group of agreements


def world_size() -> int:
    """The number of processes that share this run, as the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """This process's place among them."""
    return int(os.environ.get("RANK", "0"))


def init_process_group() -> None:
    """Meet the other processes; nothing for a process alone."""
    global _control
    if world_size() == 1 or distributed.is_initialized():
        return
    name_interface()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl")
        _control = distributed.new_group(backend="gloo")
    else:
        distributed.init_process_group("gloo")
        _control = distributed.group.WORLD


def name_interface() -> None:
    """Have every backend talk over the network interface in PKD_IFNAME, where they would choose one by themselves.

    What is set for a backend of its own stays.

    Raises:
        PkdError: This machine has no such interface.
    """
    names = [name for name in os.environ.get("PKD_IFNAME", "").split(",") if name]
    if not names:
        return
    there = [name for _, name in socket.if_nameindex()]
    for name in names:
        if name not in there:
            raise PkdError(
                f"PKD_IFNAME: {socket.gethostname()} has no network interface {name!r}.",
                f"It has {', '.join(there)}.",
                ExitCode.MISSING,
            )
    for variable in ("GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME"):
        os.environ.setdefault(variable, ",".join(names))
    os.environ.setdefault("NCCL_SOCKET_IFNAME", f"={','.join(names)}")  # without = it is how names begin


def leave() -> None:
    """Part from the others, all having come to the end."""
    global _control
    if distributed.is_initialized():
        distributed.destroy_process_group()
        _control = None


def joined() -> bool:
    """Whether this process has met others."""
    return _control is not None


def any_rank(yes: bool) -> bool:
    """Whether any process says yes; every process must ask at the same point."""
    if _control is None:
        return yes
    flag = torch.tensor([int(yes)])
    distributed.all_reduce(flag, distributed.ReduceOp.MAX, group=_control)
    return bool(flag.item())


def mean(values: torch.Tensor) -> torch.Tensor:
    """The mean over the processes of a tensor on the CPU, in float64; as it is for a process alone."""
    if _control is None:
        return values
    together = values.double()
    distributed.all_reduce(together, group=_control)
    return together / world_size()


def gather(rows: torch.Tensor) -> list[torch.Tensor]:
    """Every process's rows, (n, k) of one type and width on the CPU, to the first process; the others get none.

    Sent as they lie in memory, not pickled; n may differ. A process alone gets its own.
    """
    if _control is None:
        return [rows]
    counts = [torch.zeros(1, dtype=torch.int64) for _ in range(world_size())]
    distributed.all_gather(counts, torch.tensor([len(rows)]), group=_control)
    padded = rows.new_zeros((max(int(n) for n in counts), rows.shape[1]))
    padded[: len(rows)] = rows
    received = [torch.empty_like(padded) for _ in counts] if rank() == 0 else None
    distributed.gather(padded, received, dst=0, group=_control)
    return [part[: int(n)] for part, n in zip(received or [], counts, strict=False)]


def share(tensors: Iterable[torch.Tensor]) -> None:
    """Give all processes the first one's tensors, in place."""
    if _control is not None:
        for tensor in tensors:
            distributed.broadcast(tensor.data, src=0)


def broadcast(value: Any) -> Any:
    """What the first process gives, in all of them."""
    if _control is None:
        return value
    holder = [value]
    distributed.broadcast_object_list(holder, src=0, group=_control)
    return holder[0]


def first_given(value: Any) -> Any:
    """What the first of the processes that have one gives, in all of them; None where none has."""
    if _control is None:
        return value
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value, group=_control)
    return next((one for one in values if one is not None), None)
