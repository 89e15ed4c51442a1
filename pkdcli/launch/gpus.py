"""The GPUs of this machine, counted without torch, which would take seconds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def on_machine(root: Path = Path("/")) -> int | None:
    """How many GPUs there are; None where there is one whose kind can't be counted.

    Args:
        root: Where the system's files begin.
    """
    if found := [path for path in (root / "dev").glob("nvidia*") if path.name[6:].isdecimal()]:
        return len(found)
    if (root / "dev/dxg").exists():  # Windows' subsystem for Linux, which has no device files
        return _listed_by_nvidia()
    if (root / "dev/kfd").exists():  # ROCm: each processor is a node of this tree, and only GPUs have a number
        nodes = (root / "sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id")
        return sum(_read(path) not in ("", "0") for path in nodes) or None
    return 0


def visible(root: Path = Path("/"), env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs that the environment leaves visible, as CUDA_VISIBLE_DEVICES names them; none where none is known.

    Args:
        root: Where the system's files begin.
        env: The environment.
    """
    there = on_machine(root)
    named = env.get("CUDA_VISIBLE_DEVICES")
    if there == 0:
        return ()
    if named is None:
        return tuple(str(number) for number in range(there or 0))
    names = [name.strip() for name in named.split(",")]
    # CUDA reads the list up to the first name that is none.
    end = next((place for place, name in enumerate(names) if name in ("", "-1")), len(names))
    return tuple(names[:end])


def _listed_by_nvidia() -> int | None:
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return sum(line.startswith("GPU ") for line in answer.stdout.splitlines()) or None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
