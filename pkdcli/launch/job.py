"""What is launched: a command, its environment, where it writes, and what must be done before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class JobSpec:
    """One run to carry out; knows nothing of recipes.

    Attributes:
        name: The run's id.
        argv: The command, never passed through a shell.
        run_dir: Where the job writes; its output goes to `log.txt` there.
        env: Variables to add to the environment.
        needs: Names of the jobs that must end well before this one starts.
        processes: How many worker processes `argv` starts; with more than one it is torchrun's command.
    """

    name: str
    argv: tuple[str, ...]
    run_dir: Path
    env: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    processes: int = 1
