"""The cluster's commands: sbatch, squeue, scancel, sacct. Nothing goes through a shell."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pkdcli.errors import ExitCode, PkdError

SECONDS = 60.0  # that a command may take

_GONE = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
}
_GONE |= {"TIMEOUT"}


@dataclass(frozen=True)
class Job:
    """A task of a job array, as the scheduler knows it.

    Attributes:
        id: `12_3`.
        state: Slurm's word: PENDING, RUNNING, CANCELLED, ...
        reason: Why it waits or ended, in Slurm's word.
        node: Where it runs or ran, if anywhere.
    """

    id: str
    state: str
    reason: str = ""
    node: str = ""

    @property
    def active(self) -> bool:
        """Whether it still waits or runs."""
        return self.state not in _GONE


def sbatch(options: Sequence[str], script: str) -> str:
    """Submit a script; returns the job's id.

    Args:
        options: Of sbatch.
        script: The file of the batch script.

    Raises:
        PkdError: There is no Slurm here (exit code 3), or it refuses.
    """
    answer = _run("sbatch", "--parsable", *options, script)
    if answer.returncode:
        words = " ".join(answer.stderr.split()).removeprefix("sbatch: error: ")
        raise PkdError(f"sbatch: {words or 'refused, without a word'}", f"The script is {script}.")
    return answer.stdout.strip().split(";")[0]


def jobs(wanted: Iterable[str] = ()) -> dict[str, Job] | None:
    """The user's tasks, by their ids; None where the scheduler does not answer.

    Those that ended a while ago are known only where the cluster keeps accounts.

    Args:
        wanted: Tasks that are asked of the accounts if the queue no longer knows them.
    """
    if shutil.which("squeue") is None:
        return None
    # `squeue --jobs` fails as a whole on one forgotten id, so all of the user's jobs are asked for.
    answer = _run("squeue", "--me", "--array", "--noheader", "--states=all", "--format=%F|%K|%T|%r|%B")
    if answer.returncode:
        return None
    found = {}
    for line in answer.stdout.splitlines():
        parts = line.split("|")
        if len(parts) == 5 and parts[1].isdecimal():
            job, task, state, reason, node = parts
            found[f"{job}_{task}"] = Job(f"{job}_{task}", state, reason, node if node != "n/a" else "")
    missing = sorted({one for one in wanted if one not in found})
    return {**_accounts(missing), **found} if missing else found


def _accounts(ids: Sequence[str]) -> dict[str, Job]:
    if shutil.which("sacct") is None:
        return {}
    words = ("--allocations", "--parsable2", "--noheader", "--format=JobID,State,Reason,NodeList")
    answer = _run("sacct", *words, f"--jobs={','.join(ids)}")
    found = {}
    for line in answer.stdout.splitlines() if not answer.returncode else ():
        parts = line.split("|")
        if len(parts) == 4 and parts[0] in ids:
            found[parts[0]] = Job(parts[0], parts[1].split()[0], parts[2], parts[3])
    return found


def scancel(ids: Sequence[str], signal: str | None = None) -> None:
    """Cancel tasks, or send their workers a signal; those that have ended are passed over.

    Args:
        ids: The tasks, as in 12_3.
        signal: The signal's name; None to cancel.

    Raises:
        PkdError: The cluster refuses.
    """
    if not ids:
        return
    answer = _run("scancel", *([f"--signal={signal}"] if signal else []), *ids)
    if answer.returncode and "Invalid job id" not in answer.stderr and "already comp" not in answer.stderr:
        raise PkdError(f"scancel: {' '.join(answer.stderr.split())}", code=ExitCode.RUN_FAILED)


def exit_cause(code: int) -> str:
    """What a task's exit code says: srun gives 128 and the signal's number where one killed a worker."""
    from pkdcli.launch.local.queue import Outcome

    return Outcome(1, died_by=_signal(code)).cause if code > 128 and _signal(code) else f"exit code {code}"


def _signal(code: int) -> str | None:
    import signal

    try:
        return signal.Signals(code - 128).name
    except ValueError:
        return None


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False
        )
    except FileNotFoundError:
        raise PkdError(
            f"{words[0]} is not on this machine.",
            "Type it where jobs are submitted on your cluster; --dry-run prints the script anywhere.",
            ExitCode.MISSING,
        ) from None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", f"no answer in {SECONDS:g} seconds")
