"""What is launched: a command, its environment, where it writes, and what must be done before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
        alone: One process is enough for it, however many others take: it only evaluates.
        members: The jobs that this one carries out in one go; empty for one by itself.
    """

    name: str
    argv: tuple[str, ...]
    run_dir: Path
    env: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    processes: int = 1
    alone: bool = False
    members: tuple[JobSpec, ...] = ()

    @property
    def parts(self) -> tuple[JobSpec, ...]:
        """The jobs whose outcomes this one has: its members, or itself."""
        return self.members or (self,)


def together(specs: Sequence[JobSpec]) -> JobSpec:
    """One job that carries out some jobs of the same worker in one go; its own output goes to the first one's log."""
    first = specs[0]
    if len(specs) == 1:
        return first
    return replace(
        first,
        argv=(*first.argv[:-1], *(str(spec.run_dir) for spec in specs)),
        needs=tuple(dict.fromkeys(need for spec in specs for need in spec.needs)),
        members=tuple(specs),
    )
