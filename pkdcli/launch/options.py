"""From the options about machines to a launcher."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pkdcli.errors import ExitCode, PkdError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkdcli.launch.local.slots import Slot
    from pkdcli.recipe.schema import Launcher


def launcher(name: str = "local", *, dry_run: bool = False, **options: Any) -> Launcher:
    """A launcher recipe with what was typed in its place.

    Args:
        name: Of the recipe, or the path of one's own.
        dry_run: Nothing will run, so devices need not be there.
        **options: By the names of the command line's options; None where one was not given.

    Raises:
        PkdError: An option of the other kind of launcher, a value Slurm can't take, a device that is not there.
    """
    from pkdcli.launch.local.slots import devices_per_job
    from pkdcli.recipe import library, sbatch
    from pkdcli.recipe.schema import LOCAL_KEYS, SLURM_KEYS, Launcher

    recipe: Launcher = library.load("launchers", name)
    given = {key: value for key, value in options.items() if value is not None and value != []}
    others = (*SLURM_KEYS, "sbatch_option") if recipe.kind == "local" else (*LOCAL_KEYS, "gpus")
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
    from pkdcli.launch.local.slots import devices_per_job

    if launcher.kind == "slurm":
        return launcher.nodes * launcher.per_node
    return devices_per_job(launcher.devices, launcher.processes, launcher.jobs)


def spread(launcher: Launcher) -> tuple[str, ...]:
    """The GPUs over which several jobs are spread that were given none: all that are visible."""
    from pkdcli.launch import gpus

    alone = launcher.kind == "local" and launcher.jobs > 1 and launcher.processes == 1 and not launcher.devices
    return gpus.visible() if alone else ()


def said_of_spread(launcher: Launcher, names: Sequence[str]) -> str | None:
    """Which GPUs several jobs are spread over, in words, and what that leaves crowded or idle."""
    if not names:
        return None
    jobs, there = launcher.jobs, len(names)
    text = f"{jobs} runs at a time on {'GPUs' if there > 1 else 'GPU'} {','.join(names[:jobs])}, a GPU each"
    if jobs > there:
        text = f"{jobs} runs at a time on {there} {'GPUs' if there > 1 else 'GPU'}: "
        text += f"up to {-(-jobs // there)} runs share one and its memory; --jobs {there} gives each its own"
    elif jobs < there:
        text += f"; {there - jobs} more of {there} stay idle: --jobs {there}, or --gpus {there // jobs * jobs} to share"
        text += " all out"
    return text


def said_of_load(room: Sequence[Slot]) -> str | None:
    """What to say of a machine that is busy with something else, where a run's threads would wait for each other."""
    from pkdcli.cores import busy, cores

    found = cores()
    load = busy(found)
    threads = room[0].asked or os.environ.get("OMP_NUM_THREADS") or room[0].threads or found.count
    if load is None or str(threads) == "1":
        return None
    return (
        f"this machine is busy: a load of {load:.1f} on {found.machine} core{'s' if found.machine > 1 else ''}. "
        "Threads that wait for each other lose most by that: --threads 1 --workers 0 may be many times faster"
    )


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
