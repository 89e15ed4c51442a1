"""Jobs as arrays: those that need nothing first, then for each thing needed an array that waits for it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.launch.job import JobSpec
from pkdcli.launch.run_state import SUBMITTED
from pkdcli.launch.slurm import cluster
from pkdcli.launch.slurm.script import TASK_FILE, render
from pkdcli.recipe.schema import sbatch
from pkdcli.runs.status import now
from pkdcli.runs.store import write_json, write_text

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Launcher

LARGEST = 1000  # tasks of an array: Slurm's MaxArraySize is 1001 unless it was changed


@dataclass(frozen=True)
class Batch:
    """One job array.

    Attributes:
        name: The name of its script.
        specs: Its tasks, in the order of their numbers.
        needs: Runs that must have ended well before any of its tasks starts.
        script: The whole batch script.
    """

    name: str
    specs: tuple[JobSpec, ...]
    needs: tuple[str, ...]
    script: str

    def options(self, folder: Path, ids: Mapping[str, str]) -> list[str]:
        """The options of sbatch that are known only when it is called.

        Args:
            folder: Where scripts and the output of the batch shells go.
            ids: The tasks of the runs that are needed; `<RUN>` stands for one that is not there yet.
        """
        # In sbatch's file names a percent sign is special, and two of them are one.
        found = [f"--output={str(folder).replace('%', '%%')}/%A_%a.out"]
        if self.needs:
            waits = ":".join(ids.get(need, f"<{need}>") for need in self.needs)
            found += [f"--dependency=afterok:{waits}", "--kill-on-invalid-dep=yes"]
        return found


def batches(specs: Sequence[JobSpec], launcher: Launcher, done: Sequence[str] = ()) -> list[Batch]:
    """The arrays of some jobs, in the order of their submission.

    Args:
        specs: What one needs stands before it, or is in `done`, or runs on the cluster already.
        launcher: What to ask of the cluster.
        done: Runs that have ended well, on which nothing waits.
    """
    depth: dict[str, int] = {}
    groups: dict[tuple[int, tuple[str, ...], bool, tuple[tuple[str, str], ...]], list[JobSpec]] = defaultdict(list)
    for spec in specs:
        needs = tuple(need for need in spec.needs if need not in done)
        depth[spec.name] = max((depth.get(need, 0) + 1 for need in needs), default=0)
        environment = tuple(spec.env.items())  # an array has one
        groups[depth[spec.name], needs, spec.alone, environment].append(spec)
    found = []
    needed = {need for spec in specs for need in spec.needs}
    for (_, needs, alone, _), members in sorted(groups.items(), key=lambda item: item[0][0]):
        members.sort(key=lambda spec: spec.name not in needed)  # what others wait for is first among its likes
        for start in range(0, len(members), LARGEST):
            part = tuple(members[start : start + LARGEST])
            script = render(part, for_one_process(launcher) if alone else launcher)
            digest = hashlib.sha256(script.encode()).hexdigest()[:8]
            found.append(Batch(f"{len(part)}-runs-{digest}.sbatch", part, needs, script))
    return found


def for_one_process(launcher: Launcher) -> Launcher:
    """The launcher of runs that only evaluate: one process, on one GPU where there are some."""
    gpus, options = min(1, launcher.gpus_per_node), sbatch.with_one_gpu(launcher.options)
    return launcher.model_copy(update={"nodes": 1, "processes": 1, "gpus_per_node": gpus, "options": options})


def folder(runs: Path) -> Path:
    """Where batch scripts and the output of their shells are kept, out of the way of the runs."""
    return runs / ".slurm"


def submit(found: Sequence[Batch], runs: Path, ids: Mapping[str, str]) -> dict[str, str]:
    """Submit arrays, each noted down in its run directories before the next.

    Args:
        found: The arrays, as `batches` gives them.
        runs: The runs folder.
        ids: Tasks of runs that are needed and already on the cluster.

    Returns:
        The task (`12_3`) of every run that was submitted.

    Raises:
        PkdError: The cluster refuses one; those before it stay submitted.
    """
    ids, new = dict(ids), {}
    for batch in found:
        path = folder(runs) / batch.name
        write_text(path, batch.script)
        for spec in batch.specs:
            with suppress(FileNotFoundError):
                (spec.run_dir / TASK_FILE).unlink()
        job = cluster.sbatch(batch.options(folder(runs), ids), str(path))
        for task, spec in enumerate(batch.specs):
            new[spec.name] = f"{job}_{task}"
            output = str(folder(runs) / f"{job}_{task}.out")
            write_json(spec.run_dir / SUBMITTED, {"job": job, "task": task, "output": output, "submitted": now()})
        ids |= new
    return new
