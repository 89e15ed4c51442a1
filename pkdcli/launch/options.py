"""The options about machines, and from them to a launcher."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkdcli.errors import ExitCode, PkdError
from pkdcli.options import LOCAL, option

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Launcher


SLURM = "On a Slurm cluster (--launcher slurm)"


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """Where runs are carried out, and on how much of it; None for what the launcher's recipe says.

    Attributes:
        launcher: Name or file of the launcher.
        gpus: The first so many GPUs, a process each.
        devices: The numbers of GPUs with commas between them, a process each.
        procs: Processes of a run on the CPU.
        threads: Compute threads of a process.
        jobs: Runs at a time.
        retries: How often a run whose worker was killed is started again.
        nodes: Machines of a run.
        gpus_per_node: GPUs of a run on each of them.
        cpus_per_process: Cores of each process.
        memory: Of a node, as Slurm writes it, such as 64G.
        partition: Slurm's partition.
        account: Slurm's account.
        qos: Slurm's quality of service.
        constraint: Slurm's constraint on nodes.
        time: Time limit of a job, as Slurm writes it.
        sbatch_option: Other options of sbatch, NAME or NAME=VALUE each.
        setup: Lines of shell before the run.
        max_parallel: Runs of an array at a time.
        wait: Wait for the jobs to end.
    """

    launcher: str = option(
        "local", "local, slurm, or the YAML file of a launcher of your own.", panel=LOCAL, names_of="launchers"
    )
    gpus: int | None = option(None, "The first N GPUs, a process each.", panel=LOCAL, min=1)
    devices: str | None = option(None, "These GPUs, a process each.", panel=LOCAL, metavar="0,1")
    procs: int | None = option(None, "Processes of a run on the CPU (on each node).", panel=LOCAL, min=1)
    threads: int | None = option(
        None,
        "Compute threads of a process; by default $OMP_NUM_THREADS, or the cores that it has. No part of a run's "
        "name: the numbers differ by rounding.",
        panel=LOCAL,
        min=1,
    )
    jobs: int | None = option(
        None,
        "Runs at a time, which share out the GPUs given, or are spread over all there are.",
        names=("--jobs", "-j"),
        panel=LOCAL,
        min=1,
    )
    retries: int | None = option(None, "Start a run whose worker was killed again, so many times.", panel=LOCAL, min=0)
    nodes: int | None = option(None, "Machines of a run.", panel=SLURM, min=1)
    gpus_per_node: int | None = option(None, "GPUs of a run on each, a process each.", panel=SLURM, min=0)
    cpus_per_process: int | None = option(None, "Cores of each process.", panel=SLURM, min=1)
    memory: str | None = option(
        None, "Memory of a node; what the data wants is said without.", panel=SLURM, metavar="64G"
    )
    partition: str | None = option(None, panel=SLURM)
    account: str | None = option(None, panel=SLURM)
    qos: str | None = option(None, panel=SLURM)
    constraint: str | None = option(None, panel=SLURM)
    time: str | None = option(None, "Time limit of a job; a run saves before it and is queued again.", panel=SLURM)
    sbatch_option: tuple[str, ...] = option(
        (),
        "Any other option of sbatch, such as gres=gpu:a100:4, exclusive or reservation=x; repeatable.",
        panel=SLURM,
        metavar="NAME[=VALUE]",
        repeatable=True,
    )
    setup: tuple[str, ...] = option(
        (), "A line of shell before the run; repeatable.", panel=SLURM, metavar="LINE", repeatable=True
    )
    max_parallel: int | None = option(None, "Runs of an array at a time.", panel=SLURM, min=1)
    wait: bool = option(False, "Wait for the jobs to end.", panel=SLURM)


def launcher(options: LaunchOptions | None = None, *, dry_run: bool = False) -> Launcher:
    """A launcher recipe with what was asked for in its place.

    Args:
        options: What was asked for; None for the default launcher as it is.
        dry_run: Nothing will run, so devices need not be there.

    Raises:
        PkdError: An option of the other kind of launcher, a value Slurm can't take, a device that is not there.
    """
    from pkdcli.launch.local.slots import devices_per_job
    from pkdcli.recipe import library
    from pkdcli.recipe.schema import LOCAL_KEYS, SLURM_KEYS, Launcher, sbatch

    given = dict(vars(options or LaunchOptions()))
    name = given.pop("launcher")
    del given["wait"]  # no part of a launcher: the command waits
    recipe: Launcher = library.load("launchers", name)
    given = {key: value for key, value in given.items() if value is not None and value != ()}
    # A launcher of a plug-in says itself which of them it takes.
    others = {"local": (*SLURM_KEYS, "sbatch_option"), "slurm": (*LOCAL_KEYS, "gpus")}.get(recipe.kind, ())
    wrong = ["--" + key.replace("_", "-") for key in given if key in others]
    if wrong:
        kind = "slurm" if recipe.kind == "local" else "local"
        hint = f"Give --launcher {kind} too, or leave it out." if len(wrong) == 1 else f"They are for {kind}."
        raise PkdError(f"{', '.join(wrong)}: not for --launcher {name}.", hint)
    if "devices" in given and not given["devices"].strip():
        raise PkdError("--devices: an empty list.", "Leave it out, or give some values with commas between them.")
    gpus, devices = given.pop("gpus", None), given.pop("devices", None)
    if given.get("procs") and (gpus or devices or given.get("gpus_per_node")):
        raise PkdError("--procs is for the CPU: each GPU has a process of its own.", "Leave out one of the two.")
    if gpus and devices:
        raise PkdError("--gpus and --devices name the same thing twice.", "Leave out one of the two.")
    if "procs" in given:
        given["processes"] = given.pop("procs")
    if gpus or devices:
        given["devices"] = _named(devices) if devices else _first(gpus)
        if not dry_run:
            _check_there(given["devices"])
    content = {**recipe.model_dump(exclude_unset=True), **given}
    if "setup" in given:
        content["setup"] = [*recipe.setup, *given["setup"]]
    if "sbatch_option" in given:
        content["options"] = [*recipe.options, *content.pop("sbatch_option")]
    if sbatch.gpus(recipe.options) is not None and "gpus_per_node" not in given:
        content.pop("gpus_per_node", None)  # which follows from the options
    found = library.parse(Launcher, content, f"launcher {recipe.name}")
    devices_per_job(found.devices, found.processes, found.jobs)
    return found


def processes(launcher: Launcher) -> int:
    """Worker processes of one run, over all its machines."""
    from pkdcli.launch.kinds import launcher_of

    return launcher_of(launcher).processes()


def _named(text: str) -> list[str]:
    names = [word.strip() for word in text.split(",")]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PkdError(f"--devices: {', '.join(twice)} stands twice.", "Example: --devices 0,1")
    return names


def _first(count: int) -> list[str]:
    """The first so many GPUs, of those that the environment leaves visible."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(count)]
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if len(names) < count:
        raise PkdError(
            f"--gpus {count}: CUDA_VISIBLE_DEVICES={visible!r} leaves {len(names)} visible.",
            "Give a smaller number, or change the variable.",
            ExitCode.MISSING,
        )
    return names[:count]


def _check_there(devices: list[str]) -> None:
    from pkdcli.launch import gpus

    found = gpus.on_machine()
    if found is None:
        return
    numbers = [int(name) for name in devices if name.isdecimal()]
    if found <= max(numbers, default=0):
        word = "GPU" if found == 1 else "GPUs"
        hint = "For processes on the CPU: --procs N." if not found else f"Give numbers below {found}."
        raise PkdError(f"devices {','.join(devices)}: this machine has {found or 'no'} {word}.", hint, ExitCode.MISSING)
