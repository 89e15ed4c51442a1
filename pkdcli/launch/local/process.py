"""Run a job on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import weakref
from contextlib import suppress

from pkdcli.errors import ExitCode
from pkdcli.launch import torchrun
from pkdcli.launch.job import JobSpec
from pkdcli.launch.local import os_processes
from pkdcli.launch.local.starter import start
from pkdcli.runs.store import cannot_write


class LocalProcess:
    """A job's process, in a session of its own so that Ctrl-C reaches it only through us.

    With several workers it is torchrun's, whose workers have sessions of their own too. What they and their loaders
    leave in the folder for temporary files (sockets, torchrun's logs) goes when the job has ended.
    """

    def __init__(self, spec: JobSpec) -> None:
        self.spec = spec
        self._workers: list[int] = []
        self._log = spec.run_dir / "log.txt"
        try:
            spec.run_dir.mkdir(parents=True, exist_ok=True)
            log = self._log.open("ab")
            scratch = tempfile.mkdtemp(prefix="pkd-")
        except OSError as error:
            raise cannot_write(self._log, error) from error
        self._tidy = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        with log:
            self._log_begins = log.tell()
            self._process = start(
                spec.argv,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": scratch, **spec.env},
            )

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code; None while it runs. A death by signal is a failed run."""
        code = self._end()
        if code is not None:
            self._tidy()
        return ExitCode.RUN_FAILED if code is not None and code < 0 else code

    @property
    def died_by(self) -> str | None:
        """The name of the signal that killed the process, or the first of its workers, if one did."""
        code = self._end()
        return signal.Signals(-code).name if code is not None and code < 0 else None

    def stop(self) -> None:
        """Ask the job to save and stop."""
        # torchrun would pass the signal on, but only for 30 seconds: its workers are asked without it.
        workers = self._find_workers()
        os_processes.send(workers or [self.pid], signal.SIGINT)

    def kill(self) -> None:
        """End the job and all its processes at once."""
        rest = os_processes.descendants(self.pid) if self._process.poll() is None else self._workers
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os_processes.send(rest, signal.SIGKILL)
        self._process.wait()
        self._tidy()

    def _find_workers(self) -> list[int]:
        if len(self._workers) < self.spec.processes > 1:
            self._workers = os_processes.children(self.pid)
        return self._workers

    def _end(self) -> int | None:
        """The exit code of the first worker that failed, minus the signal's number where one killed it."""
        code = self._process.poll()
        if self.spec.processes == 1 or code == 0:
            return code
        if code is None:
            self._find_workers()
            return None
        if code < 0:  # torchrun itself was killed, and its workers know nothing of it
            os_processes.send(self._workers, signal.SIGKILL)
            return code
        with open(self._log, encoding="utf-8", errors="replace") as log:
            log.seek(self._log_begins)
            return torchrun.root_exit_code(log.read()) or code
