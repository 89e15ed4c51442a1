"""Options of sbatch that pkd has no option of its own for: single words, checked before they reach a batch script."""

from __future__ import annotations

import re
from collections.abc import Sequence

WORD = re.compile(r"[A-Za-z0-9_.,:=@&|*+()\[\]/-]{1,200}")
_NAME = re.compile(r"[a-z][a-z0-9-]+")

_PROCESSES = "a node has one task, whose torchrun starts the processes: see --nodes, --gpus-per-node and --procs"
_GPUS = "give --gpus-per-node N, or for GPUs of a type gres=gpu:TYPE:N"
_LOGS = "the log of a run is in its folder, and what the batch shell says in runs/.slurm"
_ORDER = "students wait for their teachers as it is"
_ANSWER = "pkd reads sbatch's answer"
_ENVIRONMENT = "a run needs its environment; for more of it there is --setup 'export NAME=VALUE'"
OWN = {
    **dict.fromkeys(("ntasks", "ntasks-per-node", "ntasks-per-core"), _PROCESSES),
    **dict.fromkeys(("ntasks-per-socket", "ntasks-per-gpu"), _PROCESSES),
    **dict.fromkeys(("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"), _GPUS),
    **dict.fromkeys(("tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task"), _GPUS),
    **dict.fromkeys(("cpus-per-task", "cpus-per-gpu"), "give --cpus-per-process"),
    **dict.fromkeys(("output", "error", "input", "open-mode"), _LOGS),
    **dict.fromkeys(("dependency", "kill-on-invalid-dep"), _ORDER),
    **dict.fromkeys(("parsable", "test-only", "help", "usage", "version", "verbose", "quiet", "wrap"), _ANSWER),
    **dict.fromkeys(("export", "export-file"), _ENVIRONMENT),
    **dict.fromkeys(("requeue", "no-requeue"), "give max_requeues in a launcher of your own"),
    "array": "give --max-parallel",
    "job-name": "jobs are named by their runs",
    "signal": "give save_seconds in a launcher of your own",
    "clusters": "set SLURM_CLUSTERS, which squeue and scancel see too",
    "mem": "give --memory",
    "wait": "give --wait to pkd",
    **{name: f"give --{name}" for name in ("nodes", "partition", "account", "qos", "constraint", "time")},
}
"""Options that pkd sets itself or that would lead it astray, and what to do in their place."""


def checked(word: str) -> str:
    """An option as it stands in a script, without its dashes: `exclusive`, `gres=gpu:a100:4`.

    Raises:
        ValueError: It is no single word, has no long name, or is one that pkd sets itself.
    """
    word = word.removeprefix("--")
    name = word.partition("=")[0]
    if not WORD.fullmatch(word) or not _NAME.fullmatch(name):
        raise ValueError(
            "should be one option of sbatch by its long name, NAME or NAME=VALUE, of letters, digits and "
            "_ . , : = @ & | * + ( ) [ ] / -"
        )
    # sbatch takes the beginning of a name for the whole of it.
    if own := next((own for own in OWN if own.startswith(name)), None) if name not in OWN else name:
        raise ValueError(f"{name}: pkd sets --{own} itself: {OWN[own]}")
    return word


def merged(words: Sequence[str]) -> list[str]:
    """Options of which none stands twice: a later one takes the place of an earlier one."""
    return list({word.partition("=")[0]: word for word in words}.values())


def gpus(words: Sequence[str]) -> int | None:
    """How many GPUs of a node the options ask for by `gres`; None where they don't.

    Raises:
        ValueError: Their number is none.
    """
    found = [part for part in _gres(words) if part.split(":")[0] == "gpu"]
    return sum(_count(part) for part in found) if found else None


def with_one_gpu(words: Sequence[str]) -> list[str]:
    """The options with one GPU, of the first type that they name, in the place of all they ask for."""
    if not gpus(words):
        return list(words)
    kept, first = [], None
    for part in _gres(words):
        if part.split(":")[0] != "gpu":
            kept.append(part)
        elif first is None:
            names = [name for name in part.split(":") if not name.isdecimal()]
            first = ":".join([*names, "1"])
            kept.append(first)
    return [f"gres={','.join(kept)}" if word.startswith("gres=") else word for word in words]


def _gres(words: Sequence[str]) -> list[str]:
    return next((word.removeprefix("gres=").split(",") for word in words if word.startswith("gres=")), [])


def _count(part: str) -> int:
    last = part.split(":")[-1]
    if not last.isdecimal():
        return 1
    if int(last) == 0:
        raise ValueError(f"gres: {part}: a number of GPUs should be above 0")
    return int(last)
