"""One student of a group that trains in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmengine.hooks import IterTimerHook
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import DataLoader

from pkdcli.engine.distributed import processes
from pkdcli.engine.distributed.stop import Paused, StopRequested
from pkdcli.engine.train.batches import TrainingContext, TrainingCoroutine
from pkdcli.engine.train.divergence import Diverged
from pkdcli.engine.train.hooks.progress import PkdProgressHook
from pkdcli.engine.train.hooks.run_status import status_of
from pkdcli.engine.worker import lifecycle, single
from pkdcli.engine.worker.isolation import ProcessIsolation
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.lock import RunLock
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status


class Group(Protocol):
    """What a member asks of the students that it trains together with (`pkdcli.engine.worker.group`).

    Attributes:
        members: Those who train together, itself among them.
        broken: The processes have lost each other.
    """

    members: Sequence[Member]
    broken: bool

    def load(self, runner: Any) -> DataLoader:
        """The training loader of all."""

    def join(self, runner: Any) -> None:
        """Have a new runner share the teacher and the data sets."""

    def find_failed_member(self, observer: Member) -> Member:
        """The member whose error has ended another process, else the observer."""


class Member(TrainingContext):
    """One student of a group: its training, which takes a turn in every step.

    Attributes:
        steps_taken: Once it waits for a batch.
        code: Its exit code, once it has ended.
        error_file: Where another process than the first leaves its error.
        weights: Bytes of its weights, once it is built.
        cancelled: It alone was asked to stop.
    """

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths
        self.steps_taken: int | None = None
        self.code: int | None = None
        self.error_file = lifecycle.error_file(paths)
        self.weights = 0
        self.cancelled = self._began = False
        self._group: Group | None = None
        self._isolation: ProcessIsolation | None = None
        self._steps: TrainingCoroutine[None] | None = None
        self._runner: Any = None
        self._left = 0.0

    @property
    def cancel_requested(self) -> bool:
        """Whether `pkd cancel` has asked it to stop."""
        return self.paths.cancel.exists()

    @property
    def stopped(self) -> bool:
        """Whether it has stopped since all shall."""
        return self.code == ExitCode.INTERRUPTED and not self.cancelled

    @property
    def waits(self) -> bool:
        """Whether it waits for a batch."""
        return self.code is None and self.steps_taken is not None

    def begin(self, group: Group) -> None:
        """Build everything up to the first step."""
        self._group = group
        self._steps = self._life()
        try:
            self._isolation = ProcessIsolation(self.paths.log)
        except OSError as error:
            self._fail(error)
            self._let_go()
            return
        self._turn(lambda: next(self._steps))

    def step(self, batch: Any, waited: float) -> None:
        """Take a step, and whatever is due behind it, up to the next.

        Args:
            batch: Its own to write into.
            waited: Its share of the seconds that loading has taken.
        """
        self.exclude_time(time.perf_counter() - self._left - waited)
        self._turn(lambda: self._steps.send(batch))

    def throw(self, error: Exception) -> None:
        """Have it deal with an error in a batch's place."""
        self.exclude_time(time.perf_counter() - self._left)
        self._turn(lambda: self._steps.throw(error))

    def exclude_time(self, seconds: float) -> None:
        """Take time off its clocks in which others were at work."""
        if self._runner is None:
            return
        for hook in self._runner.hooks:
            if isinstance(hook, PkdProgressHook):
                hook.exclude_time(seconds)
            elif isinstance(hook, IterTimerHook):
                hook.t += seconds

    def give_up(self, code: int | None) -> None:
        """It has not ended, and will not: it was stopped, or (None) its processes have lost each other."""
        self.code = ExitCode.RUN_FAILED if code is None else code
        if processes.rank() == 0:
            if code is not None:
                Status(self.paths).interrupt()
            elif error := lifecycle.error_from_other_rank(self.error_file, wait=0):
                Status(self.paths).fail(error.message, error.hint, error.code)
        self._let_go()

    def _turn(self, advance: Callable[[], int]) -> None:
        with self._isolation.activate():
            try:
                self.steps_taken = advance()
            except StopIteration:
                self.code = ExitCode.OK
            except BaseException as error:
                self._fail(error)
        self._left = time.perf_counter()
        if self.code is not None:
            self._let_go()

    def _fail(self, error: BaseException) -> None:
        whose, rank = self, processes.rank()
        if processes.world_size() > 1 and not isinstance(error, (StopRequested, Paused, Diverged)):
            self._group.broken = True
            if rank == 0 and not isinstance(error, PkdError):
                whose = self._group.find_failed_member(self)
        # Who can't have the lock leaves the status to whoever has it.
        status = Status(whose.paths) if whose._began else None
        whose.code = lifecycle.explain(error, status, None, rank, whose.error_file)
        if isinstance(error, KeyboardInterrupt):
            self.code = whose.code
            raise error

    def _let_go(self) -> None:
        """Free what it held."""
        if self._group is not None:
            self._steps.close()
        if self._isolation is not None:
            self._isolation.close()
        self._runner = self._steps = self._group = self._isolation = None

    def _life(self) -> TrainingCoroutine[None]:
        rank, begin = processes.rank(), time.perf_counter()
        with RunLock(self.paths) if rank == 0 else nullcontext():
            self._began = True
            job = lifecycle.start(self.paths, rank)
            yield from single.run_steps(self.paths, job, self, begin)
            if rank == 0:
                Status(self.paths).done()

    def join(self, runner: Any) -> None:
        """Share what can be shared; called when the runner is built."""
        self._group.join(runner)
        self._runner = runner
        self.weights = sum(one.numel() * one.element_size() for one in runner.model.parameters())
        others = self.facts()["shared_with"]
        print_log(f"shares images and teacher with {', '.join(others) or 'nobody any more'}", "current")
        if processes.rank() == 0:
            status_of(runner).write(shared_with=others)

    def load(self, runner: Any) -> DataLoader:
        """The training loader that it shares."""
        return self._group.load(runner)

    def facts(self) -> dict[str, Any]:
        """Who it shares with."""
        others = [one for one in self._group.members if one is not self]
        return {"shared_with": [one.paths.run for one in others if one.code in (None, ExitCode.OK)]}


def unwrapped(runner: Any) -> nn.Module:
    """The model of a runner, without DDP's wrapper."""
    return getattr(runner.model, "module", runner.model)
