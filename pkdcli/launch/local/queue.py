"""Run many jobs on this machine: each after what it needs, one failure stopping nothing but what depends on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pkdcli.errors import ExitCode
from pkdcli.launch.job import JobSpec, together
from pkdcli.launch.local.process import LocalProcess
from pkdcli.launch.local.slots import Slot
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import DONE, FAILED, INTERRUPTED, paused
from pkdcli.runs.store import read_object

POLL_SECONDS = 0.1


def run_all(
    specs: Sequence[JobSpec],
    watcher: Watcher,
    done: Sequence[str] = (),
    slots: Sequence[Slot] = (Slot(),),
    retries: int = 0,
) -> dict[str, Outcome]:
    """Run jobs, one in each slot at a time, in the order given but for what they need.

    The first Ctrl-C asks the running jobs to save and stop, and starts no other; a second one kills them.

    Args:
        specs: The jobs; what one needs is among them or in `done`. A job with members has an outcome for each of them.
        watcher: Told of what happens.
        done: Names of jobs that have ended well before.
        slots: Where jobs run, and so how many at a time.
        retries: How many times a job that was killed by a signal is started again.

    Returns:
        How each job ended, by name.

    Raises:
        KeyboardInterrupt: After Ctrl-C, when the running jobs have ended.
    """
    return _Queue(specs, watcher, done, slots, retries).run()


class _Queue:
    def __init__(
        self, specs: Sequence[JobSpec], watcher: Watcher, done: Sequence[str], slots: Sequence[Slot], retries: int
    ) -> None:
        self.waiting = list(specs)
        self.watcher = watcher
        self.free = list(slots)
        self.retries = {part.name: retries for spec in specs for part in spec.parts}
        self.running: list[tuple[JobSpec, Slot, LocalProcess]] = []
        self.outcomes = dict.fromkeys(done, Outcome(ExitCode.OK))
        self.known = {part.name: part for spec in specs for part in spec.parts}

    def run(self) -> dict[str, Outcome]:
        try:
            self.begin()
            while self.running:
                for spec, _, _ in self.running:
                    for part in self._open(spec):
                        self.watcher.on_tick(part)
                time.sleep(POLL_SECONDS)
                for job in list(self.running):
                    self.look(*job)
                self.begin()
        except BaseException as error:  # a closed pipe, say: whatever it is, no process is left behind
            _end([process for _, _, process in self.running])
            if isinstance(error, KeyboardInterrupt):
                for spec, _, process in self.running:
                    code = ExitCode.OK if process.poll() == 0 else ExitCode.INTERRUPTED
                    for part in self._open(spec):
                        self.watcher.on_end(part, (spec.members and _told(part)) or Outcome(code))
            raise
        return self.outcomes

    def begin(self) -> None:
        """Start what can be started, and give up what never can or was cancelled."""
        for spec in list(self.waiting):
            if not self.free:
                break
            # As `pkd cancel` writes.
            cancelled = [part for part in spec.parts if _state(part).get("state") == INTERRUPTED]
            if cancelled:
                self._without(spec, cancelled, Outcome(ExitCode.INTERRUPTED))
                break
            to_come = {part.name for other in self.waiting for part in other.parts}
            to_come |= {part.name for other, _, _ in self.running for part in other.parts}
            lacked = next((need for need in spec.needs if self._failed(need, to_come)), None)
            if lacked:
                in_need = [part for part in spec.parts if lacked in part.needs]
                self._without(spec, in_need, self._lacking(lacked))
                break
            if all(need in self.outcomes for need in spec.needs):
                self.waiting.remove(spec)
                self.start(spec, self.free.pop(0))

    def _without(self, spec: JobSpec, parts: Sequence[JobSpec], outcome: Outcome) -> None:
        """Note how some parts of a waiting job end, and begin without them."""
        rest, place = [part for part in spec.parts if part not in parts], self.waiting.index(spec)
        self.waiting[place : place + 1] = [together(rest)] if rest else []
        for part in parts:
            self.end(part, outcome)
        self.begin()

    def _lacking(self, need: str) -> Outcome:
        """How a job ends that never starts for want of another: who cancels a teacher cancels its students."""
        if need in self.outcomes and self.outcomes[need].code == ExitCode.INTERRUPTED:
            error = _state(self.known[need]).get("error")
            reason = error.get("message") if isinstance(error, dict) else None
            return Outcome(ExitCode.INTERRUPTED, lacked=need, reason=reason)
        return Outcome(ExitCode.RUN_FAILED, lacked=need)

    def _failed(self, need: str, to_come: set[str]) -> bool:
        return self.outcomes[need].code != ExitCode.OK if need in self.outcomes else need not in to_come

    def _open(self, spec: JobSpec) -> list[JobSpec]:
        """The parts of a job that have not ended."""
        return [part for part in spec.parts if part.name not in self.outcomes]

    def start(self, spec: JobSpec, slot: Slot) -> None:
        """Start a job in a slot."""
        self.running.append((spec, slot, LocalProcess(slot.place(spec))))
        for part in spec.parts:
            self.watcher.on_start(part)

    def look(self, spec: JobSpec, slot: Slot, process: LocalProcess) -> None:
        """Heed a job that has ended: start it again where it was lost, and else give its slot to another."""
        code = process.poll()
        for part in self._open(spec) if spec.members else ():
            if told := _told(part):
                self.end(part, told)
        if code is None:
            return
        self.running.remove((spec, slot, process))
        outcome, lost = Outcome(code, process.died_by), self._open(spec)
        if lost and self._again(spec, lost, outcome):
            self.start(together(lost), slot)
            return
        self.free.insert(0, slot)
        if spec.members and not code:
            outcome = Outcome(ExitCode.RUN_FAILED)  # which these have not said of themselves
        for part in lost:
            self.end(part, outcome)

    def _again(self, spec: JobSpec, lost: Sequence[JobSpec], outcome: Outcome) -> bool:
        """Whether those of a job's parts that are lost shall be started again; the watcher is told."""
        if outcome.died_by and all(self.retries[part.name] for part in lost):
            for part in lost:
                self.retries[part.name] -= 1
                self.watcher.on_retry(part, outcome, self.retries[part.name])
            return True
        # Several processes can't go on without each other: one member's failure may have ended them all.
        failed = next((part.name for part in spec.members if self.outcomes.get(part.name, outcome).code == 1), None)
        return not outcome.died_by and len(lost) < len(spec.parts) and failed is not None

    def end(self, spec: JobSpec, outcome: Outcome) -> None:
        """Note how a job ended."""
        self.outcomes[spec.name] = outcome
        self.watcher.on_end(spec, outcome)


def _state(spec: JobSpec) -> dict[str, Any]:
    return read_object(RunPaths(spec.run_dir).status)


def _told(spec: JobSpec) -> Outcome | None:
    """How a member of a group ended, in its own words: the group goes on."""
    status = _state(spec)
    error = status.get("error")
    code = {DONE: ExitCode.OK, INTERRUPTED: ExitCode.INTERRUPTED}.get(status.get("state"))
    if paused(status):
        code = ExitCode.OK
    if status.get("state") == FAILED:
        code = (error.get("code") if isinstance(error, dict) else None) or ExitCode.RUN_FAILED
    return None if code is None else Outcome(code)


def _end(processes: Sequence[LocalProcess]) -> None:
    """Ask processes to save and stop, and wait; Ctrl-C ends the patience."""
    try:
        for process in processes:
            process.stop()
        while any(process.poll() is None for process in processes):
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for process in processes:
            process.kill()
