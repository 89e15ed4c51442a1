"""What carries runs out: this machine, a cluster, or what a plug-in brings. `launch.kinds` says who serves which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pkdcli.launch.job import JobSpec
    from pkdcli.launch.outcome import Outcome, Watcher
    from pkdcli.launch.run_state import RunState
    from pkdcli.recipe.schema import Recipe
    from pkdcli.runs.paths import RunPaths


class Launcher(Protocol):
    """Carries jobs out, and knows what has become of them.

    Attributes:
        shares_teachers: Whether one job may carry out several runs beside one teacher.
        takes: The keys of a launcher's recipe that it heeds, of those that not every kind has.
    """

    shares_teachers: bool
    takes: Sequence[str]

    def processes(self, *, alone: bool = False) -> int:
        """Worker processes of one run, over all its machines; of one that only evaluates, where `alone`."""

    def jobs_at_a_time(self) -> int:
        """How many jobs run beside each other, as far as this launcher decides it."""

    def known(self, paths: Sequence[RunPaths]) -> dict[str, str]:
        """Those of some runs that it has already been given and that have not ended: run id -> its job."""

    def notes(self, recipes: Sequence[Recipe], *, dry_run: bool) -> list[str]:
        """What there is to say before runs begin: idle or crowded devices, memory that nobody asked for.

        Args:
            recipes: Of the runs that are still to do.
            dry_run: Nothing will run, so the state of this machine is no matter.
        """

    def run(
        self,
        specs: Sequence[JobSpec],
        watcher: Watcher,
        done: Sequence[str],
        *,
        runs: Path,
        known: Mapping[str, str],
        wait: bool,
    ) -> dict[str, Outcome]:
        """Carry jobs out, each after what it needs.

        Args:
            specs: The jobs; what one needs is among them, in `done` or in `known`.
            watcher: Told of what happens.
            done: Runs that have ended well before.
            runs: The runs folder, where scripts and the like may be kept.
            known: As `known` gave it.
            wait: Wait for the end, where the jobs would go on without us.

        Returns:
            How each run ended, by its id; with `job` where it was handed over and nobody waits.

        Raises:
            PkdError: Jobs can't be started, or are refused.
            KeyboardInterrupt: After Ctrl-C.
        """

    def describe(self, specs: Sequence[JobSpec], done: Sequence[str], *, runs: Path) -> list[dict[str, Any]]:
        """What it would start for these jobs beside their own commands, for a dry run: `script` and `sbatch`, say."""

    def status(self, paths: RunPaths) -> RunState:
        """What is known of one of its runs."""

    def cancel(self, states: Sequence[RunState]) -> None:
        """Stop runs that are queued or running, each after it has saved; does not wait for that."""
