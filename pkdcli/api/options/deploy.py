"""The options of the verbs that take a finished detector elsewhere: to images of the user's, and out of here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkdcli.api.options import MEASURE, EvalOptions
from pkdcli.options import WHERE, OutputOptions, like, option
from pkdcli.recipe.options import RunOptions

SHOWN = "What is shown"


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Which detectors look at which images, and what is kept of it.

    Attributes:
        target: A run's id or folder, or a file of weights.
        inputs: Images, folders of images, videos.
        model: Which detectors of a run: student, teacher or both.
        score: The lowest of what is drawn and written.
        batch: Images at a time.
        device: cpu, cuda, cuda:1; None for the first GPU, or the CPU where there is none.
        pictures: Draw the boxes.
        html: Write a page with a score slider.
        detector: Name or file of the detector that a bare file of weights is of.
        scale: Name or file of its scale; None for full size, on images as the detector's own config tests.
        data: Of a bare file of weights that does not know its classes: name or file of their data set.
        output: The folder of what is written; None for predictions/<run> in the folder of runs.
        force: Write into a folder that is there, over what was predicted before.
        runs: The folder of runs; None for $PKD_RUNS, or ./runs.
    """

    target: str = like(EvalOptions, "target")
    inputs: tuple[str, ...] = option(
        help="Images, folders of images, videos.", metavar="IMAGES|FOLDER|VIDEO...", argument=True, repeatable=True
    )
    model: str = option(
        "student",
        "student, teacher or both side by side (of a run).",
        metavar="student|teacher|both",
        choices=("student", "teacher", "both"),
    )
    score: float = option(0.3, "The lowest score that is drawn and written.", min=0, panel=SHOWN)
    batch: int = option(1, "Images at a time.", min=1)
    device: str | None = option(None, "By default the first GPU, or the CPU.", metavar="cpu|cuda[:N]")
    pictures: bool = option(True, "Draw the boxes.", names=("--pictures/--no-pictures",), panel=SHOWN)
    html: bool = option(False, "Write a page with a score slider too.", panel=SHOWN)
    detector: str | None = like(EvalOptions, "detector")
    scale: str | None = like(EvalOptions, "scale")
    data: str | None = like(RunOptions, "data", help="Of a bare checkpoint without class names: its data set.")
    output: Path | None = option(
        None,
        "Folder of what is written; default: predictions/<run>/ in the runs folder.",
        names=("--output", "-o"),
        metavar="DIR",
        panel=WHERE,
        folder=True,
    )
    force: bool = option(False, "Write into a folder that is there.", panel=WHERE)
    runs: Path | None = like(OutputOptions, "runs")


FORMATS = ("mmdet", "safetensors", "torchscript", "onnx")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Which detector is written for use elsewhere, and how.

    Attributes:
        target: A run's id or folder, or a file of weights.
        formats: Some of `FORMATS`; that for mmdet is always written of a run.
        model: Which detector of a run: student or teacher.
        raw: The outputs of the head in place of boxes.
        int8: Also as ONNX in whole numbers of 8 bits, by training images.
        images: Files on which the graph is compared with PyTorch; none for some of the val split.
        map: Measure the mAP of PyTorch, ONNX and int8 on the val split.
        detector: Name or file of the detector that a bare file of weights is of.
        scale: Name or file of its scale; None for full size.
        data: Of a bare file of weights: name or file of its data set.
        output: The folder; None for exports/<run> in the folder of runs.
        force: Write into a folder that is there.
        runs: The folder of runs; None for $PKD_RUNS, or ./runs.
    """

    target: str = like(EvalOptions, "target")
    formats: tuple[str, ...] = option(
        ("mmdet",), "Kinds of files.", names=("--format",), metavar="|".join(FORMATS), choices=FORMATS
    )
    model: str = option("student", "student or teacher (of a run).", choices=("student", "teacher"))
    raw: bool = option(False, "Outputs of the head itself in place of boxes; of any detector.")
    int8: bool = option(False, "ONNX in 8 bits too, quantized on training images.")
    images: tuple[Path, ...] = option(
        (),
        "Compare with PyTorch on this in place of val images; repeatable.",
        names=("--image",),
        metavar="FILE",
        repeatable=True,
    )
    map: bool = option(True, "Measure mAP on the val split too (ONNX).", names=("--map/--no-map",))
    detector: str | None = like(EvalOptions, "detector")
    scale: str | None = like(EvalOptions, "scale")
    data: str | None = like(PredictOptions, "data")
    output: Path | None = like(
        PredictOptions, "output", help="Folder of the files; default: exports/<run>/ in the runs folder."
    )
    force: bool = like(PredictOptions, "force")
    runs: Path | None = like(OutputOptions, "runs")


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """Which detectors are measured, and how.

    Attributes:
        names: Pairs, by name or file; runs, by id, the beginning of it, or folder.
        teacher: With `student` in place of a pair's name: as for a training.
        student: The same.
        scale: Of pairs; None for paper.
        data: Of pairs: name or file of the data set; None for the scale's own.
        batch: Images at a time.
        threads: Of the processor; None for PyTorch's choice.
        size: Height and width in pixels, as in 800x1333; None for what each detector is tested on.
        device: Some of cpu, cuda, cuda:1; none for the CPU and the first GPU, where there is one.
        onnx: In onnxruntime too.
        repeat: Rounds that are timed.
    """

    names: tuple[str, ...] = option(
        (),
        "Pairs (name or file) and runs (id, its beginning, or folder).",
        metavar="PAIR|RUN",
        argument=True,
        repeatable=True,
    )
    teacher: str | None = like(RunOptions, "teacher", help="In place of a pair's name, with --student.", panel=None)
    student: str | None = like(RunOptions, "student", help="The same of the student.", panel=None)
    scale: str | None = like(EvalOptions, "scale", help="Of a pair: paper (the default) or tiny; a run knows its own.")
    data: str | None = like(RunOptions, "data", help="Of a pair: its data set.", panel=None)
    batch: int = option(1, "Images at a time.", min=1, panel=MEASURE)
    threads: int | None = option(None, "Of the processor; PyTorch's own choice.", min=1, panel=MEASURE)
    size: str | None = option(
        None, "Height and width of the images; what each detector is tested on.", metavar="HxW", panel=MEASURE
    )
    device: tuple[str, ...] = option(
        (), "By default the CPU, and the first GPU where there is one.", metavar="cpu,cuda[:N]", panel=MEASURE
    )
    onnx: bool = option(False, "In onnxruntime too, where the detector can be exported.", panel=MEASURE)
    repeat: int = option(10, "Rounds that are timed.", min=1, panel=MEASURE)
