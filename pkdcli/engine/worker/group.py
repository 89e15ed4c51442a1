"""Several students in one process that share what is the same for all: each image is loaded, augmented and shown to the
teacher once a step.

Each student has its own model, optimizer, schedule, random numbers and run directory, and takes its step as it would
alone, one after the other; so its result is that of its run alone, on a CPU bit for bit. Those that stand at the same
step share it. After an interruption each goes on from its own last state: who is behind catches up first.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pkdcli.engine.register  # noqa: F401

# isort: split
import torch
from mmengine.hooks import IterTimerHook
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import DataLoader

from pkdcli.engine.distill.shared_teacher import Lesson
from pkdcli.engine.distributed import processes
from pkdcli.engine.distributed.stop import StopRequested
from pkdcli.engine.train.batches import Alone, Batches, Steps
from pkdcli.engine.train.divergence import Diverged
from pkdcli.engine.train.hooks.run_status import PkdProgressHook, status_of
from pkdcli.engine.worker import main
from pkdcli.engine.worker.isolation import World
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.lock import RunLock
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status

STATE = 4
"""A student takes so many times its weights: these, their gradients, the optimizer's momentum, and room to move."""

SHARE_OF_FREE = 0.5
"""So much of the free memory the students beyond the first may take; those that do not fit follow afterwards."""


def train_group(run_dirs: Sequence[Path | str]) -> dict[str, int]:
    """Train the runs of prepared directories together.

    All have the same data, batch, seed and length, and those with a teacher the same one (`pkdcli.experiment.groups`
    runs). What one of them fails for stops only that one. Called in every process that the launcher has started; with
    several, what one process alone fails for ends them all, and the others' runs can go on in a new group.

    Args:
        run_dirs: Run directories with recipe.yaml and job.json.

    Returns:
        The exit code of each run by its id, as that of its worker alone.
    """
    members = [Member(RunPaths(Path(folder).absolute())) for folder in run_dirs]
    todo, broken = members, False
    try:
        processes.join()
        while todo and not broken and not any(one.stopped for one in members):
            group = _Group(todo)
            todo = group.begin()
            group.run()
            broken = group.broken
    except (KeyboardInterrupt, StopRequested):
        pass
    for one in members:
        if one.code is None:
            one.give_up(None if broken else ExitCode.INTERRUPTED)
    if not broken:
        processes.leave()
    return {one.paths.run: int(one.code) for one in members}


class _Group:
    """Students that train at the same time.

    Attributes:
        broken: The processes have lost each other.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.lesson = Lesson()
        self.broken = False
        self._batches: Batches | None = None
        self._first: Any = None  # the runner that the others must agree with
        self._section: dict[str, Any] | None = None  # what makes the teacher
        self._val: DataLoader | None = None

    def begin(self) -> Sequence[Member]:
        """Bring as many students to their first step as fit; those that do not."""
        room = None
        for index, member in enumerate(self.members):
            if room is not None and room < 0:
                follow = len(self.members) - index
                print(f"{follow} student{'s follow' if follow > 1 else ' follows'} afterwards, for want of memory")
                self.members, rest = self.members[:index], self.members[index:]
                return rest
            member.begin(self)
            if self.broken or member.stopped:
                break
            if member.waits:
                room = SHARE_OF_FREE * free_memory() if room is None else room
                room = processes.from_first(room - STATE * member.weights)
        return []

    def run(self) -> None:
        """Take steps until every student has ended."""
        while not self.broken and (waiting := [member for member in self.members if member.waits]):
            cancelled = processes.from_first([index for index, member in enumerate(waiting) if member.cancelled])
            for index in cancelled:
                waiting[index].dismissed = True
                waiting[index].tell(StopRequested())
            waiting = [member for member in waiting if member.waits]
            if not waiting or self.broken:
                continue
            step = min(member.step for member in waiting)
            self._take([member for member in waiting if member.step == step], step)
            if self._asked_to_stop:
                for member in waiting:
                    if member.waits and not self.broken:
                        member.tell(StopRequested())

    @property
    def _asked_to_stop(self) -> bool:
        """All are asked at once: who sees it first ends at once, the others as soon as their gradients are used up."""
        return any(member.stopped for member in self.members)

    def _take(self, together: Sequence[Member], step: int) -> None:
        """Have those who stand at a step take the next."""
        begin = time.perf_counter()
        self.lesson.begin()
        try:
            batch = self._batches.of(step)
        except Exception as error:
            for member in together:
                member.tell(error)
            return
        waited = (time.perf_counter() - begin) / len(together)
        taught = []
        for number, member in enumerate(together, 1):
            if self.broken or self._asked_to_stop:
                return
            before = self.lesson.seconds
            # A student's preprocessing and heads may write into its batch.
            member.take(batch if number == len(together) else copy.deepcopy(batch), waited)
            if member.listens:
                taught.append((member, self.lesson.seconds - before))
        for member, seconds in taught:
            member.was_away(seconds - sum(seconds for _, seconds in taught) / len(taught))

    def load(self, runner: Any) -> DataLoader:
        """The training loader of all."""
        if self._batches is None:
            self._batches = Batches(runner.build_dataloader(runner._train_dataloader, seed=runner.seed))
        return self._batches.loader

    def join(self, runner: Any) -> None:
        """Have a new runner share the teacher and the data sets.

        Raises:
            PkdError: It has others.
        """
        if self._first is None:
            self._first = copy.deepcopy(runner.cfg)
            self._val = runner._val_dataloader = runner.build_dataloader(runner._val_dataloader, seed=runner.seed)
        else:
            for key in ("train_dataloader", "val_dataloader", "train_cfg", "randomness"):
                if runner.cfg.get(key) != self._first.get(key):
                    raise PkdError(f"it can't be trained together with {self._first.experiment_name}: another {key}.")
            runner._val_dataloader = self._val
        model = _model(runner)
        if hasattr(model, "attend"):
            section = {key: runner.cfg.model.get(key) for key in ("teacher", "teacher_ckpt", "teacher_speed")}
            section["preprocessor"] = runner.cfg.model.data_preprocessor.teacher
            if self._section is None:
                self._section = copy.deepcopy(section)
            if section != self._section:
                raise PkdError(f"it can't be trained together with {self._first.experiment_name}: another teacher.")
            model.attend(self.lesson)

    def accused(self, witness: Member) -> Member:
        """The student whose error has ended another process, which is all that a witness sees; else the witness."""
        deadline = time.monotonic() + main.WAIT
        while time.monotonic() < deadline:
            for member in self.members:
                if member.told.exists():
                    return member
            time.sleep(0.05)
        return witness


class Member(Alone):
    """One student of a group: its training, which takes a turn in every step.

    Attributes:
        step: The steps it has taken, once it waits for a batch.
        code: Its exit code, once it has ended.
        told: Where another process than the first leaves its error.
        weights: Bytes of its weights, once it is built.
        listens: Whether it has a teacher.
        dismissed: It alone was asked to stop.
    """

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths
        self.step: int | None = None
        self.code: int | None = None
        self.told = main.told_file(paths)
        self.weights = 0
        self.listens = self.dismissed = self._began = False
        self._group: _Group | None = None
        self._world: World | None = None
        self._steps: Steps[None] | None = None
        self._runner: Any = None
        self._left = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether `pkd cancel` has asked it to stop."""
        return self.paths.cancel.exists()

    @property
    def stopped(self) -> bool:
        """Whether it has stopped since all shall."""
        return self.code == ExitCode.INTERRUPTED and not self.dismissed

    @property
    def waits(self) -> bool:
        """Whether it waits for a batch."""
        return self.code is None and self.step is not None

    def begin(self, group: _Group) -> None:
        """Build everything up to the first step."""
        self._group = group
        self._steps = self._life()
        try:
            self._world = World(self.paths.log)
        except OSError as error:
            self._fail(error)
            self._let_go()
            return
        self._turn(lambda: next(self._steps))

    def take(self, batch: Any, waited: float) -> None:
        """Take a step, and whatever is due behind it, up to the next.

        Args:
            batch: Its own to write into.
            waited: Its share of the seconds that loading has taken.
        """
        self.was_away(time.perf_counter() - self._left - waited)
        self._turn(lambda: self._steps.send(batch))

    def tell(self, error: Exception) -> None:
        """Have it deal with an error in a batch's place."""
        self.was_away(time.perf_counter() - self._left)
        self._turn(lambda: self._steps.throw(error))

    def was_away(self, seconds: float) -> None:
        """Take time off its clocks in which others were at work."""
        if self._runner is None:
            return
        for hook in self._runner.hooks:
            if isinstance(hook, PkdProgressHook):
                hook.was_away(seconds)
            elif isinstance(hook, IterTimerHook):
                hook.t += seconds

    def give_up(self, code: int | None) -> None:
        """It has not ended, and will not: it was stopped, or (None) its processes have lost each other."""
        self.code = ExitCode.RUN_FAILED if code is None else code
        if processes.rank() == 0:
            if code is not None:
                Status(self.paths).interrupt()
            elif error := main.from_another(self.told, wait=0):
                Status(self.paths).fail(error.message, error.hint, error.code)
        self._let_go()

    def _turn(self, advance: Callable[[], int]) -> None:
        with self._world.inside():
            try:
                self.step = advance()
            except StopIteration:
                self.code = ExitCode.OK
            except BaseException as error:
                self._fail(error)
        self._left = time.perf_counter()
        if self.code is not None:
            self._let_go()

    def _fail(self, error: BaseException) -> None:
        whose, rank = self, processes.rank()
        if processes.count() > 1 and not isinstance(error, (StopRequested, Diverged)):
            self._group.broken = True
            if rank == 0 and not isinstance(error, PkdError):
                whose = self._group.accused(self)
        # Who can't have the lock leaves the status to whoever has it.
        status = Status(whose.paths) if whose._began else None
        whose.code = main.explain(error, status, None, rank, whose.told)
        if isinstance(error, KeyboardInterrupt):
            self.code = whose.code
            raise error

    def _let_go(self) -> None:
        """Free what it held."""
        if self._group is not None:
            self._steps.close()
        if self._world is not None:
            self._world.forget()
        self._runner = self._steps = self._group = self._world = None

    def _life(self) -> Steps[None]:
        rank, begin = processes.rank(), time.perf_counter()
        with RunLock(self.paths) if rank == 0 else nullcontext():
            self._began = True
            job = main.start(self.paths, rank)
            yield from main.steps(self.paths, job, self, begin)
            if rank == 0:
                Status(self.paths).done()

    def join(self, runner: Any) -> None:
        """Share what can be shared; called when the runner is built."""
        self._group.join(runner)
        self._runner = runner
        self.weights = sum(one.numel() * one.element_size() for one in runner.model.parameters())
        self.listens = hasattr(_model(runner), "attend")
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


def _model(runner: Any) -> nn.Module:
    return getattr(runner.model, "module", runner.model)


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that are free on the device, or to this process on a machine without one.

    Args:
        root: Where the system's files begin.
    """
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    found = []
    with suppress(OSError, StopIteration):
        found.append(1024 * _field(root / "proc/meminfo", "MemAvailable:"))
    with suppress(OSError, StopIteration, ValueError):  # a container's own limit, "max" where there is none
        group = root / "sys/fs/cgroup"
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        # Files that were read are let go of when memory is wanted.
        found.append(limit - used + _field(group / "memory.stat", "inactive_file"))
    return min(found, default=sys.maxsize)


def _field(path: Path, name: str) -> int:
    return int(next(line.split()[1] for line in path.read_text().splitlines() if line.startswith(name)))
