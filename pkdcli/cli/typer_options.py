"""Options that several commands share, defined once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from pkdcli.errors import PkdError


def _complete(kind: str):
    def complete(incomplete: str) -> list[str]:
        from pkdcli.recipe.library import names

        return [name for name in names(kind) if name.startswith(incomplete)]

    return complete


def _folder(text: str) -> Path:
    """A folder a user typed; Path("") would be the working folder.

    Raises:
        PkdError: An empty word, such as an unset variable leaves.
    """
    if not str(text):
        raise PkdError("--runs: an empty name.", "Leave it out, or give a folder; . is the working folder.")
    return Path(text)


_WHAT, _HOW, _WHERE = "What", "How", "Where and how to print"
_LOCAL, _SLURM = "Processes and machines", "On a Slurm cluster (--launcher slurm)"

Pair = Annotated[
    str, typer.Option(help="Teacher and student.", autocompletion=_complete("pairs"), rich_help_panel=_WHAT)
]
Loss = Annotated[
    str,
    typer.Option(
        help="Distillation loss; none is the baseline.", autocompletion=_complete("losses"), rich_help_panel=_WHAT
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(
        help="Loss weight; by default alpha: 6 with a two-stage teacher, 10 with a one-stage one.",
        rich_help_panel=_WHAT,
    ),
]
Temperature = Annotated[str | None, typer.Option(help="Temperature of norm-kl (default 50).", rich_help_panel=_WHAT)]
Schedule = Annotated[
    str | None,
    typer.Option(
        help="1x, 2x or 2x+ms; the pair's own by default.", autocompletion=_complete("schedules"), rich_help_panel=_WHAT
    ),
]
ScaleName = Annotated[
    str,
    typer.Option(
        "--scale",
        help="paper: the mmdet models as they are. tiny: minutes on two cores.",
        autocompletion=_complete("scales"),
        rich_help_panel=_WHAT,
    ),
]
DataName = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="A data set's name or YAML file; coco, or shapes at scale tiny.",
        autocompletion=_complete("datasets"),
        rich_help_panel=_WHAT,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random number.", rich_help_panel=_WHAT)]
Init = Annotated[
    str | None,
    typer.Option(help="scratch, or inherit: start from the teacher's neck and head.", rich_help_panel=_WHAT),
]
Levels = Annotated[
    str | None,
    typer.Option(
        help="index (level i with i, the default), stride, or student:teacher levels such as 0:1,1:2.",
        rich_help_panel=_WHAT,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override any key of the resolved recipe.", rich_help_panel=_WHAT),
]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Length instead of the schedule's; milestones follow.", rich_help_panel=_HOW),
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Images a step over all devices; the rate follows.", rich_help_panel=_HOW)
]
Accumulate = Annotated[int, typer.Option(min=1, help="Steps whose gradients are added.", rich_help_panel=_HOW)]
Amp = Annotated[
    bool, typer.Option("--amp", help="Mixed precision; the distillation loss stays in float32.", rich_help_panel=_HOW)
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic", help="The same numbers again from the same GPU, somewhat slower.", rich_help_panel=_HOW
    ),
]
MaxIters = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="A smoke run: so many steps, then 8 images evaluated (see --set val_images=N).",
        rich_help_panel=_HOW,
    ),
]
Pretrained = Annotated[
    bool, typer.Option("--pretrained/--no-pretrained", help="Start from pretrained weights.", rich_help_panel=_HOW)
]
TeacherCheckpoint = Annotated[
    Path | None,
    typer.Option(help="The teacher's weights; otherwise the zoo's, or it is trained first.", rich_help_panel=_HOW),
]
ValInterval = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs between evaluations; the last is always evaluated.", rich_help_panel=_HOW),
]
CheckpointMinutes = Annotated[
    str | None,
    typer.Option(
        metavar="M",
        help="Save the training state so often, besides at epoch ends (default 10; 0 for never).",
        rich_help_panel=_HOW,
    ),
]
CheckpointIters = Annotated[
    int | None, typer.Option(min=1, help="Save it every so many steps too.", rich_help_panel=_HOW)
]
Workers = Annotated[int | None, typer.Option(min=0, help="Loader processes.", rich_help_panel=_HOW)]
Trackers = Annotated[
    list[str] | None,
    typer.Option(
        "--tracker",
        metavar="NAME",
        help="Also tell tensorboard, mlflow, wandb (offline), dvclive, aim, clearml or neptune; repeatable. Its files "
        "are in trackers/ of the run's folder.",
        rich_help_panel=_WHERE,
    ),
]
Runs = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        parser=_folder,
        metavar="PATH",
        help="Folder of runs (default $PKD_RUNS, or ./runs).",
        rich_help_panel=_WHERE,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would run, and run nothing.", rich_help_panel=_WHERE)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.", rich_help_panel=_WHERE)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.", rich_help_panel=_WHERE)]

LauncherName = Annotated[
    str,
    typer.Option(
        "--launcher",
        help="local, slurm, or the YAML file of a launcher of your own.",
        autocompletion=_complete("launchers"),
        rich_help_panel=_LOCAL,
    ),
]
Gpus = Annotated[int | None, typer.Option(min=1, help="The first N GPUs, a process each.", rich_help_panel=_LOCAL)]
Devices = Annotated[
    str | None, typer.Option(metavar="0,1", help="These GPUs, a process each.", rich_help_panel=_LOCAL)
]
Procs = Annotated[
    int | None, typer.Option(min=1, help="Processes of a run on the CPU (on each node).", rich_help_panel=_LOCAL)
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Compute threads of a process; by default $OMP_NUM_THREADS, or the cores that it has. No part of a run's "
        "name: the numbers differ by rounding.",
        rich_help_panel=_LOCAL,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Runs at a time, which share out the GPUs given, or are spread over all there are.",
        rich_help_panel=_LOCAL,
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(min=0, help="Start a run whose worker was killed again, so many times.", rich_help_panel=_LOCAL),
]
ShareTeacher = Annotated[
    bool | None,
    typer.Option(
        "--share-teacher/--no-share-teacher",
        help="Train students that differ only in loss, weight, temperature, levels or init in one process, which loads "
        "each image and asks the teacher once a step; the results are the same. By default wherever two such students "
        "or more are to be trained; as many at a time as fit into half of the free memory. On Slurm each run is a task "
        "of its own.",
        rich_help_panel=_LOCAL,
    ),
]
Nodes = Annotated[int | None, typer.Option(min=1, help="Machines of a run.", rich_help_panel=_SLURM)]
GpusPerNode = Annotated[
    int | None, typer.Option(min=0, help="GPUs of a run on each, a process each.", rich_help_panel=_SLURM)
]
CpusPerProcess = Annotated[int | None, typer.Option(min=1, help="Cores of each process.", rich_help_panel=_SLURM)]
Partition = Annotated[str | None, typer.Option(rich_help_panel=_SLURM)]
Account = Annotated[str | None, typer.Option(rich_help_panel=_SLURM)]
Qos = Annotated[str | None, typer.Option(rich_help_panel=_SLURM)]
Constraint = Annotated[str | None, typer.Option(rich_help_panel=_SLURM)]
Time = Annotated[
    str | None,
    typer.Option(help="Time limit of a job; a run saves before it and is queued again.", rich_help_panel=_SLURM),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="64G", help="Memory of a node; what the data wants is said without.", rich_help_panel=_SLURM),
]
SbatchOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sbatch-option",
        metavar="NAME[=VALUE]",
        help="Any other option of sbatch, such as gres=gpu:a100:4, exclusive or reservation=x; repeatable.",
        rich_help_panel=_SLURM,
    ),
]
Setup = Annotated[
    list[str] | None,
    typer.Option(metavar="LINE", help="A line of shell before the run; repeatable.", rich_help_panel=_SLURM),
]
MaxParallel = Annotated[int | None, typer.Option(min=1, help="Runs of an array at a time.", rich_help_panel=_SLURM)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the jobs to end.", rich_help_panel=_SLURM)]


def number(text: str | None, option: str, *, above: float | None = None, least: float | None = None) -> float | None:
    """A finite number a user typed.

    Raises:
        PkdError: Not a number, not finite, or out of bounds.
    """
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (above is not None and value <= above) or (least is not None and value < least):
        bound = (
            ""
            if above is None and least is None
            else f" above {above:g}"
            if above is not None
            else f" of {least:g} or more"
        )
        raise PkdError(f"{option}: {text!r} is not a finite number{bound}.", f"Example: {option} 10")
    return value


def numbers(text: str | None, option: str, *, above: float | None = None, least: float | None = None) -> list[float]:
    """Finite numbers with commas between them."""
    values = [number(word, option, above=above, least=least) for word in words(text, option)]
    return [value for value in values if value is not None]


def whole_numbers(text: str | None, option: str) -> list[int]:
    """Whole numbers of zero or more, with commas between them."""
    values = numbers(text, option, least=0)
    if any(value != int(value) for value in values):
        raise PkdError(f"{option}: {text!r} has a number that is not whole.", f"Example: {option} 0,1,2")
    return [int(value) for value in values]


def words(text: str | None, option: str) -> list[str]:
    """Words with commas between them; none where the option was not given.

    Raises:
        PkdError: The option was given without a word.
    """
    found = [word.strip() for word in (text or "").split(",") if word.strip()]
    if text is not None and not found:
        raise PkdError(f"{option}: an empty list.", "Leave it out, or give some values with commas between them.")
    return found
