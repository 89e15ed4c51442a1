"""Run a job on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

from pkdcli.errors import ExitCode
from pkdcli.launch.job import JobSpec
from pkdcli.runs.store import cannot_write


class LocalProcess:
    """A job's process, in a session of its own so that Ctrl-C reaches it only through us."""

    def __init__(self, spec: JobSpec) -> None:
        self.spec = spec
        try:
            spec.run_dir.mkdir(parents=True, exist_ok=True)
            log = (spec.run_dir / "log.txt").open("ab")
        except OSError as error:
            raise cannot_write(spec.run_dir / "log.txt", error) from error
        with log:
            self._process = subprocess.Popen(
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **spec.env},
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """The exit code; None while it runs. A death by signal is a failed run."""
        code = self._process.poll()
        return ExitCode.RUN_FAILED if code is not None and code < 0 else code

    @property
    def died_by(self) -> str | None:
        """The name of the signal that killed the process, if one did."""
        code = self._process.returncode
        return signal.Signals(-code).name if code is not None and code < 0 else None

    def stop(self) -> None:
        """Ask the job to save and stop."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the job and all its processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
