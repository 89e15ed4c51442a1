"""The options that make a recipe: of one run, of a sweep, of a table, and how to train them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.options import HOW, LOCAL, WHAT, WHERE, like, option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkdcli.recipe.resolve import Request
    from pkdcli.recipe.sweep import Grid

AXES = "Axes (lists with commas)"


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """What a run, a sweep and a table have alike.

    Attributes:
        scale: Name or file of the scale.
        data: Name or file of the data set; None for the scale's own.
        init: How the student starts: scratch or inherit; None for the pair's own way.
        levels: Which pyramid levels are compared; None for level i with i.
        allow_bad_data: Train even where the check of the data says that it would be spoilt.
        sets: Assignments to keys of the resolved recipe, `a.b.c=value`.
    """

    scale: str = option(
        "paper", "paper: the mmdet models as they are. tiny: minutes on two cores.", panel=WHAT, names_of="scales"
    )
    data: str | None = option(
        None, "A data set's name or YAML file; coco, or shapes at scale tiny.", panel=WHAT, names_of="datasets"
    )
    allow_bad_data: bool = option(
        False, "Train even where the check of the data refuses: leakage, doubled boxes, corners as sizes.", panel=WHAT
    )
    init: str | None = option(None, "scratch, or inherit: start from the teacher's neck and head.", panel=WHAT)
    levels: str | None = option(
        None, "index (level i with i, the default), stride, or student:teacher levels such as 0:1,1:2.", panel=WHAT
    )
    sets: tuple[str, ...] = option(
        (),
        "Override any key of the resolved recipe.",
        names=("--set",),
        metavar="KEY=VALUE",
        panel=WHAT,
        repeatable=True,
    )


@dataclass(frozen=True, kw_only=True)
class StudentOptions(CommonOptions):
    """What a run and a sweep have alike, and the recipe of a table says itself.

    Attributes:
        tap: Modules that are compared in place of the necks: of both, `teacher=` or `student=`.
        training: By which settings students are trained: paper or own; None for what their configs suggest.
        distill_until: The share of a run after which the student learns on without its teacher; None for never.
    """

    tap: tuple[str, ...] = option(
        (),
        "Compare what this module puts out and not the neck: backbone, neck.0, a DETR's encoder, or any inside; of one "
        "detector by student=MODULE or teacher=MODULE.",
        metavar="[student=|teacher=]MODULE",
        panel=WHAT,
        repeatable=True,
    )
    training: str | None = option(
        None,
        "paper: by SGD and steps (appendix A.2). own: by the optimizer, schedule, augmentation, averages and hooks of "
        "the student's config; the default where that is not SGD of mmdet's 1x family.",
        panel=HOW,
        choices=("paper", "own"),
    )
    distill_until: float | None = option(
        None, "Learn without the teacher after this share of the run, such as 0.9.", metavar="SHARE", panel=HOW, above=0
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions(StudentOptions):
    """One student.

    Attributes:
        pair: Name or file of the pair of teacher and student.
        teacher: In place of the pair's: a detector's name or file, a config of mmdet's, or the file of one's own.
        student: The same.
        loss: Name of the distillation loss; none is the baseline.
        weight: Its weight; None for alpha by the teacher's kind.
        temperature: Of norm-kl; None for the loss's own.
        schedule: Name or file of the schedule; None for the pair's own.
        seed: Of every random number.
    """

    pair: str = option("gfl101-fcos50", "Teacher and student.", panel=WHAT, names_of="pairs")
    teacher: str | None = option(
        None,
        "In place of the pair's: a detector's name or file, a config of mmdet's by its name, or a .py of your own.",
        panel=WHAT,
        names_of="detectors",
    )
    student: str | None = option(None, "The same of the student.", panel=WHAT, names_of="detectors")
    loss: str = option("pkd", "Distillation loss; none is the baseline.", panel=WHAT, names_of="losses")
    weight: float | None = option(
        None, "Loss weight; by default alpha: 6 with a two-stage teacher, 10 with a one-stage one.", panel=WHAT, min=0
    )
    temperature: float | None = option(None, "Temperature of norm-kl (default 50).", panel=WHAT, above=0)
    schedule: str | None = option(None, "1x, 2x or 2x+ms; the pair's own by default.", panel=WHAT, names_of="schedules")
    seed: int = option(0, "Seed of every random number.", panel=WHAT, min=0)


@dataclass(frozen=True, kw_only=True)
class SweepOptions(StudentOptions):
    """One student for every combination of some lists; an empty one stands for its default.

    Attributes:
        losses: Names of distillation losses.
        weights: Loss weights.
        temperatures: Of the losses that have one.
        pairs: Names or files of pairs.
        teachers: In place of the pairs': names or files of detectors, or configs.
        students: The same.
        schedules: Names or files of schedules.
        seeds: A run each.
        baseline: Train each student alone too.
    """

    losses: tuple[str, ...] = like(
        RunOptions, "loss", ("mse",), help="Losses.", names=("--loss", "--losses"), panel=AXES
    )
    weights: tuple[float, ...] = like(
        RunOptions, "weight", (), help="Loss weights.", names=("--weights", "--weight"), panel=AXES
    )
    temperatures: tuple[float, ...] = like(
        RunOptions,
        "temperature",
        (),
        help="Temperatures of norm-kl.",
        names=("--temperatures", "--temperature"),
        panel=AXES,
    )
    pairs: tuple[str, ...] = like(
        RunOptions, "pair", ("gfl101-fcos50",), help="Pairs.", names=("--pair", "--pairs"), panel=AXES
    )
    teachers: tuple[str, ...] = like(
        RunOptions,
        "teacher",
        (),
        help="In place of the pairs': names or files of detectors, configs of mmdet's, or .py of your own.",
        names=("--teachers", "--teacher"),
        panel=AXES,
    )
    students: tuple[str, ...] = like(
        RunOptions, "student", (), help="The same of the students.", names=("--students", "--student"), panel=AXES
    )
    schedules: tuple[str, ...] = like(
        RunOptions, "schedule", (), help="Schedules.", names=("--schedule", "--schedules"), panel=AXES
    )
    seeds: tuple[int, ...] = like(RunOptions, "seed", (0,), help="Seeds.", names=("--seeds", "--seed"), panel=AXES)
    baseline: bool = option(True, "Also train the student alone.", names=("--baseline/--no-baseline",))


@dataclass(frozen=True, kw_only=True)
class TableOptions(CommonOptions):
    """The runs of a table.

    Attributes:
        table: Name or file of the table recipe.
        seeds: A run of each experiment each.
        only: Pairs to keep; all where empty.
    """

    table: str = option(
        help="table7, table8, table8-plain, or a YAML file.", metavar="TABLE", names_of="tables", argument=True
    )
    seeds: tuple[int, ...] = like(
        SweepOptions, "seeds", help="Seeds; several give mean ± standard deviation.", panel=None
    )
    only: tuple[str, ...] = option(
        (), "Only this pair of the table; repeatable.", metavar="PAIR", names_of="pairs", repeatable=True
    )


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """How runs are trained, and who is told.

    Attributes:
        epochs: Length instead of the schedule's.
        batch_size: Images a step over all devices; None for the scale's.
        accumulate: Steps whose gradients are added.
        amp: Mixed precision.
        deterministic: The same numbers again from the same GPU.
        max_iters: End after so many steps: a smoke run.
        val_interval: Epochs between evaluations; None for the scale's.
        checkpoint_minutes: Between two training states that are saved besides those of epoch ends; 0 for never.
        checkpoint_iters: Steps between two of them; None for no more than those.
        workers: Loader processes; None for the scale's.
        keep_predictions: Keep the detections of the last evaluation.
        tracker: Names of experiment trackers.
    """

    epochs: int | None = option(None, "Length instead of the schedule's; milestones follow.", panel=HOW, min=1)
    batch_size: int | None = option(None, "Images a step over all devices; the rate follows.", panel=HOW, min=1)
    accumulate: int = option(1, "Steps whose gradients are added.", panel=HOW, min=1)
    amp: bool = option(False, "Mixed precision; the distillation loss stays in float32.", panel=HOW)
    deterministic: bool = option(False, "The same numbers again from the same GPU, somewhat slower.", panel=HOW)
    max_iters: int | None = option(
        None, "A smoke run: so many steps, then 8 images evaluated (see --set val_images=N).", panel=HOW, min=1
    )
    val_interval: int | None = option(
        None, "Epochs between evaluations; the last is always evaluated.", panel=HOW, min=1
    )
    checkpoint_minutes: float | None = option(
        None,
        "Save the training state so often, besides at epoch ends (default 10; 0 for never).",
        metavar="M",
        panel=HOW,
        min=0,
    )
    checkpoint_iters: int | None = option(None, "Save it every so many steps too.", panel=HOW, min=1)
    workers: int | None = option(None, "Loader processes.", panel=HOW, min=0)
    keep_predictions: bool = option(
        True,
        "Keep the detections of the last evaluation, for `pkd compare`; a few MB on COCO.",
        names=("--keep-predictions/--no-keep-predictions",),
        panel=WHERE,
    )
    tracker: tuple[str, ...] = option(
        (),
        "Also tell tensorboard, mlflow, wandb (offline), dvclive, aim, clearml or neptune; repeatable. Its files "
        "are in trackers/ of the run's folder.",
        metavar="NAME",
        panel=WHERE,
        repeatable=True,
    )


@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Where weights come from, and how many students a teacher teaches at a time.

    Attributes:
        pretrained: Start from pretrained weights.
        teacher_checkpoint: The teacher's weights; None for the zoo's, or for training it first.
        share_teacher: Students that differ only in how they distill train in one process; None for where it pays.
    """

    pretrained: bool = option(
        True, "Start from pretrained weights.", names=("--pretrained/--no-pretrained",), panel=HOW
    )
    teacher_checkpoint: Path | None = option(
        None, "The teacher's weights; otherwise the zoo's, or it is trained first.", panel=HOW
    )
    share_teacher: bool | None = option(
        None,
        "Train students that differ only in loss, weight, temperature, levels or init in one process, which loads "
        "each image and asks the teacher once a step; the results are the same. By default wherever two such students "
        "or more are to be trained; as many at a time as fit into half of the free memory. On Slurm each run is a task "
        "of its own.",
        names=("--share-teacher/--no-share-teacher",),
        panel=LOCAL,
    )


def request(
    run: CommonOptions, recipe: RecipeOptions, teacher: TeacherOptions, devices: int = 1, trackers: Sequence[str] = ()
) -> Request:
    """What was asked for, as `pkdcli.recipe.resolve.resolve` takes it.

    Args:
        run: Of one run; or of a sweep or a table, whose own fields the caller fills in.
        recipe: How it is trained.
        teacher: Where weights come from.
        devices: Processes of a run, over which its batch is spread.
        trackers: The names of `recipe.tracker`, which were looked up.
    """
    from pkdcli.recipe.resolve import Request

    given = {**vars(run), **vars(recipe), **vars(teacher), "devices": devices, "trackers": tuple(trackers)}
    if teacher.teacher_checkpoint is not None:
        given["teacher_checkpoint"] = str(teacher.teacher_checkpoint)
    return Request(**{key: value for key, value in given.items() if key in Request.__dataclass_fields__})


def grid(sweep: SweepOptions) -> Grid:
    """The axes of a sweep, as `pkdcli.recipe.sweep.expand` takes them."""
    from pkdcli.recipe.sweep import Grid

    return Grid(**{name: getattr(sweep, name) for name in Grid.__dataclass_fields__ if hasattr(sweep, name)})
