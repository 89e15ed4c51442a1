"""The batch script of a job array: one task a run, `srun` and torchrun on its nodes.

Every word that comes from a recipe or a path is quoted for the shell; only the launcher's `setup` lines are shell.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.launch.job import JobSpec
from pkdcli.launch.torchrun import MODULE
from pkdcli.recipe.schema import sbatch

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Launcher

TASK_FILE = "task.json"
"""In a run directory: what its last Slurm task was, and once it has ended its exit code."""

# torchrun's agent would die of the signal that asks the workers to save: what is ignored before `exec` stays ignored,
# and the workers install their own handler. The static rendezvous puts rank 0 on the first node.
_TASK = 'trap "" USR1; export PET_NODE_RANK=$SLURM_NODEID; exec "$@"'
# srun itself takes the variable away where no GPU was asked for, and torch would see those of others.
_TASK_ON_CPU = _TASK.replace("export ", "export CUDA_VISIBLE_DEVICES= ")

# A container's runtime is a Go program, which takes the signal and leaves it to its default inside: ignored once more
# there.
_INSIDE = 'trap "" USR1; exec "$@"'

# Kept in the run directory, since a cluster without accounts forgets a job minutes after its end.
_NOTE = (
    "task() {",
    """    printf '{"job": "%s", "task": %d, "node": "%s", "restarts": %d, "code": %s}\\n' \\""",
    '        "$SLURM_ARRAY_JOB_ID" "$SLURM_ARRAY_TASK_ID" "$SLURMD_NODENAME" "${SLURM_RESTART_COUNT:-0}" "$1" \\',
    f'        >"$RUN_DIR/{TASK_FILE}.part" && mv -f "$RUN_DIR/{TASK_FILE}.part" "$RUN_DIR/{TASK_FILE}"',
    "}",
)


def render(specs: Sequence[JobSpec], launcher: Launcher) -> str:
    """The script of an array with one task for each job.

    Args:
        specs: Jobs with the same command but for its last word, the run directory, and the same environment.
        launcher: What to ask of the cluster.

    Raises:
        PkdError: A path that can't stand in a script.
    """
    head, *_ = {spec.argv[:-1] for spec in specs}
    assert all(spec.argv == (*head, str(spec.run_dir)) and spec.env == specs[0].env for spec in specs)
    inside = [*launcher.container, "sh", "-c", _INSIDE, "pkd"] if launcher.container else []
    words = [*inside, *_command(head, launcher), '"$RUN_DIR"']
    for word in (*head, *(str(spec.run_dir) for spec in specs), *specs[0].env.values()):
        if not word.isprintable():
            raise PkdError(f"{word!r}: a name with control characters can't go into a batch script.", "Rename it.")
    quoted = [word if word == '"$RUN_DIR"' else quote(word) for word in words]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH --{option}" for option in _options(specs, launcher)),
            "",
            *_environment(specs[0].env, launcher),
            *launcher.setup,
            "",
            "run_dirs=(",
            *(f"    {quote(str(spec.run_dir))}" for spec in specs),
            ")",
            "RUN_DIR=${run_dirs[SLURM_ARRAY_TASK_ID]}",
            *_NOTE,
            "task null",
            "",
            *_rendezvous(launcher),
            f"srun {_srun(launcher)}bash -c {quote(_TASK if launcher.gpus_per_node else _TASK_ON_CPU)} pkd \\",
            f'    {" ".join(quoted)} >>"$RUN_DIR/log.txt" 2>&1 &',
            "wait $!",
            "code=$?",
            *_requeue(launcher),
            'task "$code"',
            'exit "$code"',
            "",
        ]
    )


def _options(specs: Sequence[JobSpec], launcher: Launcher) -> list[str]:
    cpus = launcher.cpus_per_process
    cap = f"%{launcher.max_parallel}" if launcher.max_parallel else ""
    found = {
        "job-name": specs[0].name if len(specs) == 1 else f"pkd-{len(specs)}-runs",
        "array": f"0-{len(specs) - 1}{cap}",
        "nodes": launcher.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": (launcher.gpus_per_node or None) if sbatch.gpus(launcher.options) is None else None,
        "cpus-per-task": cpus * launcher.per_node if cpus else None,
        "mem": launcher.memory,
        "partition": launcher.partition,
        "account": launcher.account,
        "qos": launcher.qos,
        "constraint": launcher.constraint,
        "time": launcher.time,
        "signal": f"USR1@{launcher.save_seconds}",
        "open-mode": "append",
    }
    return [*(f"{key}={value}" for key, value in found.items() if value is not None), "requeue", *launcher.options]


def _environment(env: dict[str, str], launcher: Launcher) -> list[str]:
    lines = [f"export {name}={quote(value)}" for name, value in {**env, "PYTHONUNBUFFERED": "1"}.items()]
    if launcher.threads:
        lines.append(f"export OMP_NUM_THREADS={launcher.threads} MKL_NUM_THREADS={launcher.threads}")
    elif launcher.cpus_per_process:
        lines.append(f'export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-{launcher.cpus_per_process}}}"')
    elif launcher.per_node > 1:  # torchrun would name 1
        lines.append(f"CORES=$((${{SLURM_CPUS_PER_TASK:-${{SLURM_CPUS_ON_NODE:-1}}}} / {launcher.per_node}))")
        lines.append('export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((CORES > 0 ? CORES : 1))}"')
    return lines


def _command(head: Sequence[str], launcher: Launcher) -> list[str]:
    python = launcher.python or sys.executable
    head = [python if word == sys.executable else word for word in head]
    if launcher.nodes * launcher.per_node == 1:
        return head
    meeting = ["--standalone"]
    if launcher.nodes > 1:
        meeting = [f"--nnodes={launcher.nodes}"]
    options = [*meeting, f"--nproc-per-node={launcher.per_node}", "--max-restarts=0"]
    return [python, "-m", MODULE, *options, "--no-python", *head]


def _rendezvous(launcher: Launcher) -> list[str]:
    if launcher.nodes == 1:
        return []
    return [
        "# This shell runs on the first node: its address on the network that was named, or else its name.",
        'PET_MASTER_ADDR=$([ -z "${PKD_IFNAME:-}" ] || ip -o -4 address show dev "${PKD_IFNAME%%,*}" |',
        """    awk '{ sub("/.*", "", $4); print $4; exit }')""",
        '[ -n "$PET_MASTER_ADDR" ] || PET_MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        "PET_MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))",
        "export PET_MASTER_ADDR PET_MASTER_PORT",
    ]


def _srun(launcher: Launcher) -> str:
    # From Slurm 22.05 on, srun does not take this over from sbatch.
    cpus = '--cpus-per-task="$SLURM_CPUS_PER_TASK" ' if launcher.cpus_per_process else ""
    return f"{cpus}--kill-on-bad-exit=1 "


def _requeue(launcher: Launcher) -> list[str]:
    return [
        "# Saved before the time limit: go on as soon as there is room. A cancelled job does not get here.",
        f'if [ "$code" -ne 0 ] && [ "$RUN_DIR/status.json" -nt "$RUN_DIR/{TASK_FILE}" ] &&',
        """    grep -q '"state": "interrupted"' "$RUN_DIR/status.json" &&""",
        f'    [ "${{SLURM_RESTART_COUNT:-0}}" -lt {launcher.max_requeues} ]; then',
        '    scontrol requeue "$SLURM_JOB_ID" && sleep 60    # ended here by the requeue',
        "fi",
    ]
