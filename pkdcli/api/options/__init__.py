"""The options of the verbs that look at detectors and at this machine. The command line reads them at every start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkdcli.options import WHAT, WHERE, OutputOptions, like, option
from pkdcli.recipe.options import RunOptions

LOOK = "How it looks"
MEASURE = "What and how to measure"

SECTIONS = (
    *("losses", "launches", "step", "group", "eval", "data", "startup", "suggest", "experiment"),
    *("operators", "coco", "import", "report", "predict", "compare", "predictions"),
)
"""What can be measured."""

DEFAULT = SECTIONS[:7]
"""What is measured where nobody says what."""


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is evaluated, and on what.

    Attributes:
        target: A run's id or folder, or a file of weights.
        data: Name or file of a data set; None for the run's own, or the scale's.
        split: val, test or train.
        model: Which detector of a run: student or teacher.
        detector: Name or file of the detector that a bare file of weights is of.
        scale: Name or file of its scale; None for full size, on images as the detector's own config tests.
        runs: The folder of runs; None for $PKD_RUNS, or ./runs.
    """

    target: str = option(
        help="A run's id or folder, or a checkpoint file.", metavar="RUN|CHECKPOINT", argument=True
    )
    data: str | None = like(RunOptions, "data")
    split: str = option("val", "val, test or train.")
    model: str = option("student", "student or teacher (of a run).")
    detector: str | None = option(None, "What a bare checkpoint is of; a run knows.", names_of="detectors")
    scale: str | None = option(
        None, "Of a bare checkpoint; by default full size, on images as its own config tests."
    )
    runs: Path | None = like(OutputOptions, "runs")


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """On whose features the mathematics is checked.

    Attributes:
        pair: Name or file of the pair of teacher and student.
        scale: Name or file of the scale.
        data: Name or file of the data set; None for the scale's own.
        images: Files; none for the data set's first two.
        runs: The folder of runs; None for $PKD_RUNS, or ./runs.
        output: The folder of plot, CSV and JSON; None for verify/ in the folder of runs.
    """

    pair: str = like(RunOptions, "pair")
    scale: str = like(RunOptions, "scale", "tiny")
    data: str | None = like(RunOptions, "data")
    images: tuple[Path, ...] = option(
        (),
        "Instead of the data set's first two val images; repeatable.",
        names=("--image",),
        metavar="FILE",
        repeatable=True,
    )
    runs: Path | None = like(OutputOptions, "runs")
    output: Path | None = option(
        None,
        "Folder of plot, CSV and JSON; default: verify/ in the runs folder.",
        names=("--output", "-o"),
        metavar="DIR",
    )


@dataclass(frozen=True, kw_only=True)
class VisualizeOptions:
    """Which figures are drawn, of which detectors and images, and how.

    Attributes:
        figure: Numbers from 4 to 8 with commas between them, or all.
        pair: Name or file of the pair; None for each figure's own, or that of the run that is named.
        teacher: A run, a file of weights or zoo; None for what a training would take.
        student: The same; None for the baseline.
        distilled: A run or a file of weights to show as a third detector, or None.
        untrained: Random weights for what is not named.
        images: Files; none for some of the data set.
        count: How many images of the data set's val split.
        scale: Name or file of the scale; None for paper, or that of the run that is named.
        data: Name or file of the data set; None for the scale's own, or the run's.
        seed: Of the baseline, and of random weights.
        levels: Stages such as P3; none for those of each figure.
        reduce: How a position's channels become one number: max, mean or norm.
        color_scale: shared, detector or own; None for each figure's own way.
        formats: png, pdf and svg, or some of these.
        dpi: Dots an inch.
        output: The folder of the files; None for one in the folder of runs.
        runs: The folder of runs; None for $PKD_RUNS, or ./runs.
        dry_run: Find out what would be drawn, and draw nothing.
    """

    figure: str = option("all", "Which; several with commas between.", metavar="4|...|8|all", panel=WHAT)
    pair: str | None = option(
        None, "Teacher and student; each figure's own by default.", names_of="pairs", panel=WHAT
    )
    teacher: str | None = option(
        None,
        "Its weights; by default those that pkd train would take.",
        metavar="RUN|CHECKPOINT|zoo",
        panel=WHAT,
    )
    student: str | None = option(
        None, "Its weights; by default the baseline's.", metavar="RUN|CHECKPOINT|zoo", panel=WHAT
    )
    distilled: str | None = option(
        None, "A third detector: the student after distillation.", metavar="RUN|CHECKPOINT", panel=WHAT
    )
    untrained: bool = option(False, "Random weights for what is not named.", panel=WHAT)
    images: tuple[Path, ...] = option(
        (),
        "Instead of images of the data set; repeatable.",
        names=("--image",),
        metavar="FILE",
        panel=WHAT,
        repeatable=True,
    )
    count: int = option(2, "Images of the data set's val split.", panel=WHAT, min=1, max=16)
    scale: str | None = option(
        None, "paper (the default) or tiny, as for pkd train.", names_of="scales", panel=WHAT
    )
    data: str | None = like(RunOptions, "data")
    seed: int = like(RunOptions, "seed")
    levels: tuple[str, ...] = option(
        (), "Stages by their strides (P3 has 8); each figure's own by default.", metavar="P3,P4", panel=LOOK
    )
    reduce: str = option(
        "max",
        "How a position's channels become one number.",
        metavar="max|mean|norm",
        panel=LOOK,
        choices=("max", "mean", "norm"),
    )
    color_scale: str | None = option(
        None,
        "One colour scale for all patterns, one a detector, or each its own; each figure's own way by default.",
        metavar="shared|detector|own",
        panel=LOOK,
        choices=("shared", "detector", "own"),
    )
    formats: tuple[str, ...] = option(
        ("png", "pdf", "svg"),
        "Kinds of pictures.",
        names=("--format",),
        metavar="png,pdf,svg",
        panel=LOOK,
        choices=("png", "pdf", "svg"),
    )
    dpi: int = option(220, "Dots an inch of pictures.", panel=LOOK, min=50, max=1200)
    output: Path | None = option(
        None,
        "Folder of the files; default: figures/<name>/ in the runs folder.",
        names=("--output", "-o"),
        metavar="DIR",
        panel=WHERE,
    )
    runs: Path | None = like(OutputOptions, "runs")
    dry_run: bool = like(OutputOptions, "dry_run")


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """What is measured on this machine, and how.

    Attributes:
        pair: Name or file of the pair of teacher and student.
        scale: Name or file of the scale.
        loss: Name of the distillation loss.
        image: Height and width in pixels, as in 256x320; None for the scale's on this machine.
        batch: Images a step; None for the scale's.
        threads: Of a step on the CPU; None for PyTorch's own choice.
        only: Some of `SECTIONS`; none for `DEFAULT`.
        suggest: Propose faster settings for the teacher.
        clock: wall, or cpu for the processor time of one thread.
        repeat: Rounds of each comparison.
        students: That share a teacher.
        eval_images: Images of the evaluation, and of compare.
        report_runs: Runs that the report reads.
        coco_images: Images of the annotations for coco, and of VOC files for import in proportion.
        epochs: Of the experiment, and of the runs for predictions.
        sets: Assignments to keys of the resolved recipe, `a.b.c=value`.
    """

    pair: str = like(RunOptions, "pair")
    scale: str = like(RunOptions, "scale", "tiny")
    loss: str = like(RunOptions, "loss")
    image: str | None = option(None, "Size of the images in pixels.", metavar="HxW", panel=MEASURE)
    batch: int | None = option(None, "Images a step.", panel=MEASURE, min=1)
    threads: int | None = option(None, "Of a step on the CPU; PyTorch's own choice.", panel=MEASURE, min=1)
    only: tuple[str, ...] = option((), f"Sections: {', '.join(SECTIONS)}.", metavar="A,B", panel=MEASURE)
    suggest: bool = option(False, "Propose faster settings for the teacher.", panel=MEASURE)
    clock: str = option(
        "wall",
        "cpu: processor time, on one thread; steadier where others use the machine too.",
        metavar="wall|cpu",
        panel=MEASURE,
        choices=("wall", "cpu"),
    )
    repeat: int = option(5, "Rounds of each comparison.", panel=MEASURE, min=1)
    students: int = option(5, "Students that share a teacher.", panel=MEASURE, min=1)
    eval_images: int = option(200, "Images of eval and compare; 5000 is COCO's val.", panel=MEASURE, min=1)
    report_runs: int = option(200, "Runs that the report reads.", panel=MEASURE, min=1)
    coco_images: int = option(118_287, "Images of the annotations for coco; COCO has 118287.", panel=MEASURE, min=1)
    epochs: int = option(12, "Of experiment and predictions.", panel=MEASURE, min=1)
    sets: tuple[str, ...] = like(RunOptions, "sets")
