"""Lets mmengine's checkpoints through torch's restricted unpickler, and nothing that could run code.

`torch.load` reads with `weights_only=True` unless told otherwise, and then builds only what is on an allow-list. A
checkpoint of mmengine carries its message hub beside the weights: `HistoryBuffer`s, which hold NumPy arrays and
scalars. Those few types go on the list; none of them calls anything that the file names.
"""

from __future__ import annotations

import functools
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np


def _statistic(owner: Any, name: str) -> Callable[..., Any]:
    """Stands for `getattr` in a checkpoint: gives a statistic of HistoryBuffer, which stores them, and nothing else.

    Raises:
        pickle.UnpicklingError: The file asks for anything but one of the four.
    """
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
        raise pickle.UnpicklingError(f"the checkpoint asks for {name!r} of {owner!r}, which is not allowed")
    return getattr(HistoryBuffer, name)


def allowed() -> list[Any]:
    """What a checkpoint may contain beyond torch's own list: objects, or (object, name in the file) pairs."""
    from mmengine.logging.history_buffer import HistoryBuffer

    multiarray = np.core.multiarray if np.lib.NumpyVersion(np.__version__) < "2.0.0" else np._core.multiarray
    rebuild = [
        # NumPy 2 renamed numpy.core to numpy._core, and a file remembers the name it was written under.
        (getattr(multiarray, name), f"{package}.multiarray.{name}")
        for name in ("_reconstruct", "scalar")
        for package in ("numpy.core", "numpy._core")
    ]
    scalars = [np.bool_, *(getattr(np, f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64))]
    scalars += [np.float16, np.float32, np.float64, np.str_, np.bytes_]
    # A dtype is built by calling numpy.dtype, and then filled in as an instance of its own class.
    kinds = {type(np.dtype(scalar)) for scalar in scalars}
    history = [HistoryBuffer, (_statistic, "builtins.getattr")]
    return [*history, np.ndarray, np.dtype, *rebuild, *scalars, *sorted(kinds, key=lambda kind: kind.__name__)]


def allow() -> None:
    """Registers the allow-list and makes downloads obey it too. May be called any number of times."""
    import torch
    from mmengine.utils import dl_utils

    torch.serialization.add_safe_globals(allowed())
    # torch.hub's loader, through which mmengine reads http addresses, still defaults to the unrestricted unpickler.
    if not isinstance(dl_utils.load_url, functools.partial):
        dl_utils.load_url = functools.partial(dl_utils.load_url, weights_only=True)
    loaded = sys.modules.get("mmengine.runner.checkpoint")
    if loaded is not None:
        loaded.load_url = dl_utils.load_url
