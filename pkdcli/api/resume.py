"""Going on with runs that were interrupted, failed or lost: `pkdcli.resume()` and `pkd resume`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.outcome import Outcome, Watcher

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.launch.run_state import RunState


def plan_resume(states: Sequence[RunState], *, runs: Path | None, wait: bool, command: str) -> list[Experiment]:
    """The runs that are to go on, each behind its teacher, in the way they were launched before.

    Args:
        states: Of runs that have ended without a result.
        runs: The folder of runs.
        wait: Wait for a cluster's jobs to end.
        command: What somebody typed or called.

    Raises:
        PkdError: A run's recipe or its job.json is absent or damaged.
    """
    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.prepare import restored
    from pkdcli.folders import cache_root, runs_root
    from pkdcli.launch.options import launcher as default
    from pkdcli.recipe.library import parse
    from pkdcli.recipe.schema import Launcher
    from pkdcli.runs.plugins import changed_plugins

    found: dict[str, Experiment] = {}
    for state in states:
        planned, job = restored(state.paths, cache_root())
        try:
            launcher = parse(Launcher, job["launcher"], str(state.paths.job)) if job.get("launcher") else default()
        except PkdError as error:  # of a kind whose plug-in is gone, say
            hint = "".join(f"{text[0].upper()}{text[1:]}." for text in changed_plugins([state.paths]))
            raise PkdError(error.message, hint or error.hint, error.code) from None
        kept = found.setdefault(
            launcher.model_dump_json(), Experiment([], runs_root(runs), cache_root(), launcher, command, wait=wait)
        )
        kept.planned += [one for one in planned if one.run not in [known.run for known in kept.planned]]
    return list(found.values())


def resume(states: Sequence[RunState], *, runs: Path | None, wait: bool, watcher: Watcher, command: str) -> ExitCode:
    """Carry runs on from their last checkpoints.

    Args:
        states: Of runs that have ended without a result.
        runs: The folder of runs.
        wait: Wait for a cluster's jobs to end.
        watcher: Told of what happens.
        command: What somebody typed or called.

    Returns:
        What came of it, in a word: that of the first kind of launcher whose runs did not end well.

    Raises:
        PkdError: A run's recipe or its job.json is absent or damaged.
        Interrupted: After Ctrl-C.
    """
    from pkdcli.experiment.execute import exit_code

    ended: list[dict[str, Outcome]] = [
        one.execute(watcher) for one in plan_resume(states, runs=runs, wait=wait, command=command)
    ]
    return next((code for code in map(exit_code, ended) if code), ExitCode.OK)
