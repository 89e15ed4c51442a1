"""All detectors of the catalog as students and as teachers, each in a process of its own; the outcome is stored."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from pkdcli.engine.bench.detectors.page import CATALOG, MEASURED
from pkdcli.engine.bench.detectors.probe import SIDE, draw, facts_of, probe
from pkdcli.recipe.detectors.given import detector_of
from pkdcli.runs.store import write_text

LIMIT = 600
"""Seconds that a probe may take."""
Job = dict[str, Any]


def catalog() -> list[dict[str, Any]]:
    """The detectors of docs/detectors.md: each with `group`, `family`, `config`, and whatever else stands there."""
    groups = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    return [{"group": group, **entry} for group, entries in groups.items() for entry in entries]


def jobs_of(entry: dict[str, Any]) -> list[Job]:
    """What is to be found out of a detector: arguments of `probe`, `role` among them.

    Args:
        entry: One of `catalog`.
    """
    common = {"config": entry["config"], "side": entry.get("image", SIDE)}
    common |= {"changes": entry.get("set"), "one_class": entry.get("classes") == 1}
    roles = ["facts", "student", "teacher"]
    if detector_of(entry["config"], "catalog").mask:
        roles.append("boxes")  # as a student, on data without segmentations
    return [{"role": role, **common} for role in roles]


def measure(jobs: Sequence[Job], processes: int = 2) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Find things out of detectors, each in a process that this one forks.

    Args:
        jobs: As `jobs_of` makes them.
        processes: How many at a time.
    """
    with tempfile.TemporaryDirectory(prefix="pkd-detectors-") as folder:
        data = draw(Path(folder) / "pictures")
        waiting, running = list(enumerate(jobs)), {}
        while waiting or running:
            while waiting and len(running) < processes:
                number, job = waiting.pop(0)
                answer = Path(folder) / f"{number}.json"
                running[_fork(lambda job=job: _carry_out(job, data), answer)] = (job, answer, time.time())
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                for one, (_, _, begin) in running.items():
                    if time.time() - begin > LIMIT:
                        os.kill(one, signal.SIGKILL)
                time.sleep(0.05)
                continue
            job, answer, _ = running.pop(pid)
            if answer.is_file():
                yield job, json.loads(answer.read_text(encoding="utf-8"))
            else:
                last = (answer.with_suffix(".log").read_text(errors="replace").strip().splitlines() or [""])[-1]
                ended = f"its process ended with {os.waitstatus_to_exitcode(status)}: {last}"
                yield job, {"state": "fails", "reason": ended}


def _carry_out(job: Job, data: Path) -> dict[str, Any]:
    torch.set_num_threads(1)  # as many processes as cores
    os.fsync = lambda handle: None  # what is written is thrown away: no disk is waited for
    rest = {key: value for key, value in job.items() if key != "role"}
    if job["role"] == "facts":
        return facts_of(job["config"])
    if job["role"] == "boxes":
        return probe(role="student", masks=False, data=data, **rest)
    return probe(role=job["role"], data=data, **rest)


def _fork(work: Callable[[], dict[str, Any]], answer: Path) -> int:
    """Have a child do the work without a word, and write what comes of it to a file; returns its pid."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(answer.with_suffix(".log"), os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(log, stream)
        written = work()
        beside = answer.with_suffix(".part")
        beside.write_text(json.dumps(written), encoding="utf-8")
        beside.rename(answer)
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def measured(entries: Iterable[dict[str, Any]], processes: int, say: Callable[[str], None]) -> dict[str, Any]:
    """What is found out of detectors, by their configs: their facts, and `state` and `reason` in each role.

    Args:
        entries: Of `catalog`.
        processes: How many at a time.
        say: Told of each that is done.
    """
    found: dict[str, Any] = {}
    jobs = [job for entry in entries for job in jobs_of(entry)]
    for job, outcome in measure(jobs, processes):
        own = found.setdefault(job["config"], {})
        say(f"{outcome.get('state', 'looked')} {job['role']} {job['config']} {outcome.get('reason', '')}".rstrip())
        if job["role"] == "facts":
            own.update(outcome)
        else:
            own[job["role"]] = {key: outcome[key] for key in ("state", "reason") if outcome.get(key)}
    return found


def write(found: dict[str, Any]) -> None:
    """Put results into the stored file, beside those of other detectors, in the catalog's order."""
    kept = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    kept.update(found)
    ordered = {entry["config"]: kept[entry["config"]] for entry in catalog() if entry["config"] in kept}
    lines = [f"  {json.dumps(config)}: {json.dumps(one, sort_keys=True)}" for config, one in ordered.items()]
    write_text(MEASURED, "{\n" + ",\n".join(lines) + "\n}\n")
