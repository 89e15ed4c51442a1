"""Several students in one process that share what is the same for all: each image is loaded, augmented and shown to the
teacher once a step.

Each student has its own model, optimizer, schedule, random numbers and run directory, and takes its step as it would
alone, one after the other; so its result is that of its run alone, on a CPU bit for bit. Those that stand at the same
step share it. After an interruption each goes on from its own last state: who is behind catches up first.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pkdcli.engine.register  # noqa: F401

# isort: split
from torch.utils.data import DataLoader

from pkdcli.engine.distill.shared_teacher import SharedTeacher
from pkdcli.engine.distributed import processes
from pkdcli.engine.distributed.stop import StopRequested
from pkdcli.engine.train.batches import Batches
from pkdcli.engine.worker import lifecycle
from pkdcli.engine.worker.isolation import free_memory
from pkdcli.engine.worker.member import Member, unwrapped
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths

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
        processes.init_process_group()
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
        self.shared_teacher = SharedTeacher()
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
                room = processes.broadcast(room - STATE * member.weights)
        return []

    def run(self) -> None:
        """Take steps until every student has ended."""
        while not self.broken and (waiting := [member for member in self.members if member.waits]):
            cancelled = processes.broadcast([index for index, member in enumerate(waiting) if member.cancel_requested])
            for index in cancelled:
                waiting[index].cancelled = True
                waiting[index].throw(StopRequested())
            waiting = [member for member in waiting if member.waits]
            if not waiting or self.broken:
                continue
            step = min(member.steps_taken for member in waiting)
            self._step([member for member in waiting if member.steps_taken == step], step)
            if self._asked_to_stop:
                for member in waiting:
                    if member.waits and not self.broken:
                        member.throw(StopRequested())

    @property
    def _asked_to_stop(self) -> bool:
        """All are asked at once: who sees it first ends at once, the others as soon as their gradients are used up."""
        return any(member.stopped for member in self.members)

    def _step(self, together: Sequence[Member], step: int) -> None:
        """Have those who stand at a step take the next."""
        begin = time.perf_counter()
        self.shared_teacher.begin()
        try:
            batch = self._batches.of(step)
        except Exception as error:
            for member in together:
                member.throw(error)
            return
        waited = (time.perf_counter() - begin) / len(together)
        taught = []
        for number, member in enumerate(together, 1):
            if self.broken or self._asked_to_stop:
                return
            before, asked = self.shared_teacher.seconds, self.shared_teacher.asked
            # A student's preprocessing and heads may write into its batch.
            member.step(batch if number == len(together) else copy.deepcopy(batch), waited)
            if self.shared_teacher.asked > asked:
                taught.append((member, self.shared_teacher.seconds - before))
        for member, seconds in taught:
            member.exclude_time(seconds - sum(seconds for _, seconds in taught) / len(taught))

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
        model = unwrapped(runner)
        if hasattr(model, "share_teacher"):
            section = {key: runner.cfg.model.get(key) for key in ("teacher", "teacher_ckpt", "teacher_speed")}
            section["preprocessor"] = runner.cfg.model.data_preprocessor.teacher
            if self._section is None:
                self._section = copy.deepcopy(section)
            if section != self._section:
                raise PkdError(f"it can't be trained together with {self._first.experiment_name}: another teacher.")
            model.share_teacher(self.shared_teacher)

    def find_failed_member(self, observer: Member) -> Member:
        """The student whose error has ended another process, which is all that the observer sees; else the observer."""
        deadline = time.monotonic() + lifecycle.WAIT
        while time.monotonic() < deadline:
            for member in self.members:
                if member.error_file.exists():
                    return member
            time.sleep(0.05)
        return observer
