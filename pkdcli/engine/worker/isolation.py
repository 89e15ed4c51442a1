"""What the code of one training finds in its process, kept apart from that of others who train in the same one."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

_MANAGED = (MessageHub, MMLogger, DefaultScope)
"""Classes of mmengine whose newest instance counts as the current one."""

_OUTPUTS = (1, 2)


class ProcessIsolation:
    """Random numbers, mmengine's current instances, and where the output goes.

    Args:
        log: Takes what is printed inside, by Python or anybody else in this process.

    Raises:
        OSError: The log can't be written.
    """

    def __init__(self, log: Path) -> None:
        self._log = open(log, "a", buffering=1, encoding="utf-8", errors="replace")  # noqa: SIM115 (`close` closes it)
        self._random = _random_state()
        self._before = _current()
        self._current: dict[type, str] = {}

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Everything as it was when this was last left, and outside as it was before."""
        outside, current = _random_state(), _current()
        _set_random_state(self._random)
        _make_current(self._current)
        with _into(self._log), redirect_stdout(self._log), redirect_stderr(self._log):
            try:
                yield
            finally:
                self._random, self._current = _random_state(), _current()
                _set_random_state(outside)
                _make_current(current)

    def close(self) -> None:
        """Close the log, and have mmengine let go of what was made inside."""
        for kind, name in self._current.items() - self._before.items():
            kind._instance_dict.pop(name, None)
        self._log.close()


def _random_state() -> tuple[Any, ...]:
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), devices


def _set_random_state(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
    if state[3] is not None:
        torch.cuda.set_rng_state_all(state[3])


def _current() -> dict[type, str]:
    return {kind: next(reversed(kind._instance_dict)) for kind in _MANAGED if kind._instance_dict}


def _make_current(names: dict[type, str]) -> None:
    for kind, name in names.items():
        if name in kind._instance_dict:
            kind._instance_dict.move_to_end(name)


@contextmanager
def _into(log: TextIO) -> Iterator[None]:
    """Have the process's own outputs go to a file, for what does not ask Python where to write."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(number) for number in _OUTPUTS]
    try:
        for number in _OUTPUTS:
            os.dup2(log.fileno(), number)
        yield
    finally:
        log.flush()
        for number, kept in zip(_OUTPUTS, before, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that are free on the device, or to this process on a machine without one.

    Args:
        root: Where the system's files begin.
    """
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    found = []
    with suppress(OSError, StopIteration):
        found.append(1024 * _field(root / "proc/meminfo", "MemAvailable:"))
    with suppress(OSError, StopIteration, ValueError):  # a container's own limit, "max" where there is none
        group = root / "sys/fs/cgroup"
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        # Files that were read are let go of when memory is wanted.
        found.append(limit - used + _field(group / "memory.stat", "inactive_file"))
    return min(found, default=sys.maxsize)


def _field(path: Path, name: str) -> int:
    return int(next(line.split()[1] for line in path.read_text().splitlines() if line.startswith(name)))
