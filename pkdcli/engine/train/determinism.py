"""`--deterministic`: the same numbers again from the same GPU, versions and number of processes.

On a CPU this is so without it. On a GPU PyTorch may add in whatever order is the fastest at the moment: cuDNN tries
several algorithms, cuBLAS works in buffers of changing sizes, and some kernels add from many threads at once. All that
has another way is told to take it; operations that have none warn, and are named in the log, status.json and env.json.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from pkdcli.config.environment import DETERMINISTIC
from pkdcli.runs.store import read_object, write_json

_NAMED = re.compile(r"^(?P<operation>.+?) does not have a deterministic implementation", re.DOTALL)
_listening: list[Listener] = []


class Listener:
    """Hears of operations that have no deterministic way, each once.

    Args:
        env_file: The run's env.json, which names them; None in a process that does not write it.
    """

    def __init__(self, env_file: Path | None) -> None:
        self.env_file = env_file
        self.operations: list[str] = []
        self._warn: Callable[[str], None] | None = None
        self._write()

    def tell(self, warn: Callable[[str], None]) -> None:
        """Have a sentence on each, also on those heard of before, taken by a function: the status of the run."""
        self._warn = warn
        for operation in self.operations:
            warn(_in_words(operation))

    def hear(self, operation: str) -> None:
        """One has run."""
        if operation in self.operations:
            return
        self.operations.append(operation)
        print_log(_in_words(operation), "current", logging.WARNING)
        if self._warn is not None:
            self._warn(_in_words(operation))
        self._write()

    def _write(self) -> None:
        """Put into env.json what is known by now."""
        if self.env_file is not None:
            found = {"asked": True, "operations_without": self.operations}
            write_json(self.env_file, {**read_object(self.env_file), "deterministic": found})


def switch_on(env_file: Path | None) -> Listener:
    """Have this process compute the same again, as far as PyTorch can, from now on; `env_file` as for `Listener`."""
    for name, value in DETERMINISTIC.items():  # read when the first product is computed
        os.environ.setdefault(name, value)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
    torch.use_deterministic_algorithms(True, warn_only=True)
    if not _listening:
        _listen()
    _listening.append(Listener(env_file))
    return _listening[-1]


def _in_words(operation: str) -> str:
    return f"--deterministic: {operation} can't be: numbers may differ in their last digits on another run"


def _listen() -> None:
    """Hand PyTorch's warnings on to the listeners instead of showing them."""
    show = warnings.showwarning

    def showwarning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        named = _NAMED.match(str(message))
        if named is None:
            show(message, *args, **kwargs)
            return
        for listener in _listening:
            listener.hear(named["operation"])

    warnings.showwarning = showwarning
    # Else Python shows a warning once a line of code, whoever listens by then.
    warnings.filterwarnings("always", message=".* does not have a deterministic implementation")
