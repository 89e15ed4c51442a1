"""How a job ended, and who is told of what happens while jobs run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from pkdcli.errors import ExitCode

if TYPE_CHECKING:
    from pkdcli.launch.job import JobSpec


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        code: Its exit code; 0 is well.
        died_by: The signal that killed it, if one did.
        lacked: The job it needed that did not end well, if that kept it from starting.
        reason: How that job was stopped, where it was and not failed: the code is then that of an interruption.
        job: The cluster's job that it was handed over as, where nobody has waited for its end; the code is then 0.
    """

    code: int
    died_by: str | None = None
    lacked: str | None = None
    reason: str | None = None
    job: str | None = None

    @property
    def cause(self) -> str:
        """How a job that did not end well ended, in words."""
        if self.lacked and self.code == ExitCode.INTERRUPTED:
            return f"cancelled: {self.lacked}, which it needs, was {self.reason or 'stopped'}"
        if self.lacked:
            return f"not started, since {self.lacked} failed"
        cause = f"killed by {self.died_by}" if self.died_by else f"exit code {int(self.code)}"
        if self.died_by == "SIGKILL":
            cause += "; on Linux most often for want of memory: try a smaller --batch-size or --workers 0"
        return cause


class Counted(Protocol):
    """Told how many of many things are done."""

    def __call__(self, done: int, total: int | None, name: str = "") -> None:
        """So many are done.

        Args:
            done: So far.
            total: In all; None where nobody knows.
            name: Of the last one.
        """


def unheard(line: str) -> None:
    """What is said where nobody listens."""


class Watcher:
    """Told of everything that happens while runs are carried out. This one keeps it to itself; heirs show it.

    It is entered when the jobs begin and left when they have ended.
    """

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def at_scale_tiny(self) -> str:
        """What to type for the same at the scale that needs no COCO, for a hint."""
        return 'scale="tiny"'

    def doing(self, text: str) -> AbstractContextManager[Any]:
        """Something that takes seconds is done inside this context."""
        return nullcontext()

    def counting(self, text: str) -> AbstractContextManager[Counted]:
        """Many things are done inside this context, which is told how many so far, and how many there are."""
        return nullcontext(lambda done, total, name="": None)

    def on_note(self, text: str) -> None:
        """A word about the machine, the data or a run, without a full stop."""

    def on_warning(self, text: str) -> None:
        """Something about the data that a user should know whatever else is said."""

    def on_data(self, name: str, done: int | None, total: int | None) -> None:
        """A data set is being checked (`done` is None) or drawn, so many of its images so far.

        Args:
            name: Of the data set.
            done: Images so far; None for a check, which does not count them.
            total: Images in all.
        """

    def on_plan(self, runs: Mapping[str, Any], done: Sequence[str]) -> None:
        """What will be carried out.

        Args:
            runs: `pkdcli.experiment.plan.PlannedRun` by the run's id, teachers before their students.
            done: Those of them that have ended well before.
        """

    def on_share(self, runs: Sequence[str], teacher: str) -> None:
        """These runs train together, beside one teacher of that title.

        Args:
            runs: Their ids.
            teacher: Its title.
        """

    def on_rung(self, rung: Mapping[str, Any]) -> None:
        """The trials of a search have been compared.

        Args:
            rung: `rung` of `rungs` from 1, `step` after which they were measured, `trials` (`run`, `params`, `mAP`)
                with the best first, `spent` steps so far.
        """

    def on_submit(self, run: str, job: str | None, text: str) -> None:
        """A run has been handed to a cluster as `job`, or (None) was there before; `text` says which.

        Args:
            run: Its id; empty where it is said of all.
            job: The cluster's job; None where it was there before.
            text: What happened, in words.
        """

    def on_start(self, spec: JobSpec) -> None:
        """A job has started."""

    def on_tick(self, spec: JobSpec) -> None:
        """A job is still running; called about ten times a second."""

    def on_retry(self, spec: JobSpec, outcome: Outcome, left: int) -> None:
        """A lost job is started again; `left` more times if need be.

        Args:
            spec: The job.
            outcome: How it was lost.
            left: So many more times, if need be.
        """

    def on_end(self, spec: JobSpec, outcome: Outcome) -> None:
        """A job has ended, or can't start.

        Args:
            spec: The job.
            outcome: How it ended, or why it can't start.
        """

    def on_look(self, seeds: int, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """A sweep that adds seeds until it is decided has looked at its results.

        Args:
            seeds: How many there are so far.
            verdicts: A row for each method, with `text` as a line of it.
        """
