"""All detectors of the catalog as students and as teachers, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from pkdcli.engine.analysis.detectors.probe import Outcome, draw, probe

CATALOG = Path(__file__).with_name("catalog.yaml")
LIMIT = 300
"""Seconds that a probe may take."""


def catalog() -> list[dict[str, Any]]:
    """The detectors of docs/detectors.md: `group`, `family`, `config`, and `image` where SIDE is too small."""
    groups = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    return [{"group": group, **entry} for group, entries in groups.items() for entry in entries]


def measure(jobs: Sequence[dict[str, Any]], processes: int = 2) -> Iterator[tuple[dict[str, Any], Outcome]]:
    """Probe detectors, each in a process that this one forks.

    Args:
        jobs: Arguments of `probe`, all but its data.
        processes: How many at a time.
    """
    with tempfile.TemporaryDirectory(prefix="pkd-detectors-") as folder:
        data = draw(Path(folder) / "pictures")
        waiting, running = list(enumerate(jobs)), {}
        while waiting or running:
            while waiting and len(running) < processes:
                number, job = waiting.pop(0)
                answer = Path(folder) / f"{number}.json"
                running[_fork(lambda job=job: asdict(probe(data=data, **job)), answer)] = (job, answer, time.time())
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                for one, (_, _, begin) in running.items():
                    if time.time() - begin > LIMIT:
                        os.kill(one, signal.SIGKILL)
                time.sleep(0.05)
                continue
            job, answer, begin = running.pop(pid)
            if answer.is_file():
                yield job, Outcome(**json.loads(answer.read_text()))
            else:
                ended = f"its process ended with {os.waitstatus_to_exitcode(status)}"
                yield job, Outcome("fails", ended, seconds=time.time() - begin)


def _fork(work: Callable[[], dict[str, Any]], answer: Path) -> int:
    """Have a child do the work without a word, and write what comes of it to a file; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(answer.with_suffix(".log"), os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(log, stream)
        written = work()
        beside = answer.with_suffix(".part")
        beside.write_text(json.dumps(written))
        beside.rename(answer)
    finally:
        sys.stdout.flush()
        os._exit(0)
