"""env.json: what a run ran on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pkdcli import cores, plugins
from pkdcli.config.used_plugins import record, used_plugins
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, read_object, write_json

PACKAGES = ("pkdcli", "torch", "torchvision", "mmdet", "mmrazor", "mmengine", "mmcv", "mmcv-lite", "numpy", "hotcoco",
            "pycocotools", "opencv-python")  # fmt: skip


def versions() -> dict[str, str | None]:
    """Versions of the packages that decide a result; None where one is not installed."""
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def git_commit(folder: Path) -> str | None:
    """The commit of a git checkout, with `+changes` where files differ from it; None elsewhere."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*words: str) -> str:
        command = [git, "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        commit = ask("rev-parse", "HEAD")
        return commit + ("+changes" if ask("status", "--porcelain", "--untracked-files=no") else "")
    except (subprocess.SubprocessError, OSError):
        return None


def describe() -> dict[str, Any]:
    """Versions, git commits of pkdcli and of the working folder, hardware and command."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "command": os.environ.get("PKD_COMMAND") or " ".join(sys.argv),
        "python": platform.python_version(),
        "versions": versions(),
        "git": {"pkdcli": git_commit(Path(__file__).parent), "here": git_commit(Path.cwd())},
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "cuda": torch.version.cuda if gpus else None,
    }


def _cores() -> dict[str, Any]:
    """The cores that this process may use, what limits them, and the machine's load."""
    found, load = cores.cores(), cores.load()
    given = {"usable": found.count, "machine": found.machine, "limited_by": found.limit, "process": cores.share()}
    return {**given, "load": load and round(load, 2)}


def note_threads(path: Path, loaders: int) -> None:
    """Add to env.json the threads and loader processes of this process, as they are once its runner is built.

    Args:
        path: env.json.
        loaders: Processes that load images.
    """
    import cv2
    import torch

    set_by = {name: os.environ[name] for name in cores.SHOWN if name in os.environ}
    known = {"compute": torch.get_num_threads(), "opencv": cv2.getNumThreads(), "loaders": loaders, "variables": set_by}
    write_json(path, {**read_object(path), "parallel": known})


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def write(paths: RunPaths, recipe: Recipe, launcher: Mapping[str, Any] | None = None) -> list[str]:
    """Write a run's env.json, with the plug-ins that it uses.

    Those that made its training states in other versions stay in it as `plugins_before`.

    Args:
        paths: The run directory.
        recipe: Of the run.
        launcher: The launcher recipe that started it, as its job.json has it.

    Returns:
        What is to be said of plug-ins in other versions than the run's training states were made with.
    """
    used = record(used_plugins(recipe, launcher))
    content = {**describe(), "plugins": used}
    old = read_json(paths.env) or {}
    begun = paths.checkpoints.is_dir() and any(paths.checkpoints.iterdir())
    before = [one for one in [*old.get("plugins_before", []), *old.get("plugins", [])] if begun and one not in used]
    if before:
        content["plugins_before"] = before
    write_json(paths.env, content)
    return [f"{text}." for text in plugins.changes(before, paths.run)]
