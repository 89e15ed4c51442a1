"""status.json: what a run is, how far it is, and why it stopped."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pkdcli.errors import ExitCode
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_object, write_json

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Recipe

DONE, FAILED, RUNNING, QUEUED, INTERRUPTED = "done", "failed", "running", "queued", "interrupted"


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def note_cancel(paths: RunPaths) -> None:
    """Write down who cancels a run; one that trains together with others saves and stops when it sees the file.

    Raises:
        PkdError: The run directory can't be written.
    """
    write_json(paths.cancel, {"by": f"{_user()} on {socket.gethostname()}", "at": now()})


def cancelled_by(paths: RunPaths) -> str | None:
    """Who has cancelled a run since it started, in words; None where nobody has."""
    by = read_object(paths.cancel).get("by")
    return f"cancelled with `pkd cancel` by {by}" if by else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may give a user no name
        return f"user {os.getuid()}"


def paused(status: Mapping[str, Any]) -> int | None:
    """The steps after which a run has paused as it was to; None where it has not.

    Args:
        status: What its status.json says.
    """
    step = status.get("paused") if status.get("state") == INTERRUPTED else None
    return step if isinstance(step, int) else None


def columns(recipe: Recipe, run: str) -> dict[str, Any]:
    """What identifies a run in every table: the same keys in status.json and result.json.

    Args:
        recipe: The run's.
        run: Its id.
    """
    from pkdcli.recipe.identity import (  # with pydantic, which whoever only reads does without
        comparable,
        digest,
        experiment,
    )

    distilled = recipe.role == "distill"
    return {
        "schema": 1,
        "run": run,
        "role": recipe.role,
        "pair": recipe.pair if recipe.role != "teacher" else None,
        "teacher": recipe.teacher.name if recipe.teacher else None,
        "teacher_title": recipe.teacher.title if recipe.teacher else None,
        "student": recipe.student.name,
        "student_title": recipe.student.title,
        "loss": recipe.loss.name,
        "weight": recipe.loss.weight,
        "temperature": recipe.loss.temperature,
        "schedule": recipe.schedule.name,
        "training": recipe.training,
        "distill_until": recipe.distill_until,
        "data": recipe.data.name,
        "scale": recipe.scale.name,
        "seed": recipe.seed,
        "batch": recipe.batch * recipe.accumulate,
        "levels": recipe.loss.levels if distilled else None,
        "init": recipe.init,
        "stat_chunk": recipe.loss.stat_chunk if distilled else None,
        "mask_head": recipe.mask_head,
        "recipe_hash": digest(recipe),
        "comparable": comparable(recipe),
        "experiment": experiment(recipe),
    }


class Status:
    """Writes the status of one run, whole at every change.

    Args:
        paths: The run directory.
        recipe: Gives the identifying columns; None to go on with those already written.
    """

    def __init__(self, paths: RunPaths, recipe: Recipe | None = None) -> None:
        self.paths = paths
        self.fields: dict[str, Any] = read_object(paths.status)
        if recipe is not None:
            self.fields.update(columns(recipe, paths.run))
        self.fields.setdefault("started", now())

    def write(self, durable: bool = True, **fields: Any) -> None:
        """Update some fields and write the file; what a phase has done and has to do goes with the phase.

        Args:
            durable: Wait until the disk has it. Of a step among many the next one tells as much.
            fields: What has changed.
        """
        if "phase" in fields:
            fields = {"phase_done": None, "phase_total": None, **fields}
        self.fields.update(fields)
        self.fields["updated"] = now()
        write_json(self.paths.status, self.fields, durable)

    def warn(self, text: str) -> None:
        """Add a warning to those that the command line prints and the result keeps; none stands twice."""
        if text not in self.fields.setdefault("warnings", []):
            self.write(warnings=[*self.fields["warnings"], text])

    def start(self) -> None:
        """The worker has started in this process."""
        self.fields.pop("paused", None)
        who = {"pid": os.getpid(), "host": socket.gethostname(), "shared_with": None}
        self.write(state=RUNNING, phase="start", error=None, started=now(), **who)

    def fail(self, message: str, hint: str | None = None, code: int = 1) -> None:
        """The run failed; what is on disk stays.

        Args:
            message: What is wrong and where.
            hint: What to do about it.
            code: The exit code of its process.
        """
        self.write(state=FAILED, phase=None, error={"message": message, "hint": hint, "code": code}, eta_s=None)

    def interrupt(self) -> None:
        """The user or the scheduler stopped the run; it can be resumed."""
        self.fields.pop("paused", None)
        by = cancelled_by(self.paths)
        error = by and {"message": by, "hint": None, "code": int(ExitCode.INTERRUPTED)}
        self.write(state=INTERRUPTED, phase=None, eta_s=None, error=error)

    def pause(self, step: int, steps: int) -> None:
        """The run has come to where it was to pause, and is to go on from there if somebody wants it to.

        Args:
            step: Steps taken.
            steps: Of the whole run.
        """
        error = {"message": f"paused after {step} of {steps} steps", "hint": None, "code": int(ExitCode.OK)}
        self.write(state=INTERRUPTED, phase=None, eta_s=None, iter=step, paused=step, error=error)

    def done(self) -> None:
        """The run's result is written."""
        self.write(state=DONE, phase=None, error=None, eta_s=0)
        with suppress(OSError):  # asked to stop when there was nothing left to stop
            self.paths.cancel.unlink(missing_ok=True)
