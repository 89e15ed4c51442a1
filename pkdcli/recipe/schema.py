"""What a recipe may say: one class per kind of YAML file, and `Recipe`, the resolved whole.

Unknown keys are errors. Every class is plain data; nothing here reads a file or knows torch.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pkdcli.recipe import sbatch
from pkdcli.recipe.references import FilePath, Import, Imports, Name, Reference

Role = Literal["distill", "baseline", "teacher"]
Kind = Literal["one-stage", "two-stage"]
Init = Literal["scratch", "inherit"]


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _levels(value: Any) -> str:
    """The pairing of levels in its one spelling: `index`, `stride`, or pairs such as `0:1,1:2`."""
    if value in ("index", "stride"):
        return value
    pairs = [part.split(":") for part in value.split(",")] if isinstance(value, str) else value
    try:
        if not pairs:
            raise ValueError
        return ",".join(f"{_index(student)}:{_index(teacher)}" for student, teacher in pairs)
    except (TypeError, ValueError):
        raise ValueError("should be index, stride, or student:teacher levels such as 0:1,1:2,2:3") from None


def _index(value: Any) -> int:
    if isinstance(value, bool) or not str(value).strip().isdecimal():
        raise ValueError
    return int(value)


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError("should be the value of black and then, higher, that of white, such as [0, 4095]")
    return value


Number = Annotated[float, AfterValidator(_finite)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0), AfterValidator(_finite)]
NonNegative = Annotated[float, Field(ge=0), AfterValidator(_finite)]
Count = Annotated[int, Field(ge=1)]
Levels = Annotated[str, BeforeValidator(_levels)]


class Strict(BaseModel):
    """A section of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Modules(Strict):
    """The modules of a config's `custom_imports`."""

    imports: Imports = []


class Detector(Strict):
    """recipes/detectors: an mmdet config under a short name.

    Attributes:
        title: The name in tables, as the paper writes it.
        kind: Decides alpha: 6 with a two-stage teacher, 10 with a one-stage one (appendix A.2).
        config: A config of mmdet's own, relative to its `configs` folder, or the path of a Python config.
        config_content: What a config of one's own said when the recipe was resolved, as lines of Python literals.
        imports: Python modules that it needs, such as one with a backbone of one's own.
        lr: Learning rate of a student at 16 images a step (appendix A.2).
        set: Keys of the mmdet `model` to replace, with dots: `bbox_head.norm_on_bbox`.
        mask: Trains on segmentations, so the data needs them or the mask head is dropped.
    """

    name: Name
    title: str
    kind: Kind
    config: Text
    config_content: str | None = None
    imports: Imports = []
    lr: Positive = 0.01
    set: dict[str, Any] = {}
    mask: bool = False
    notes: str = ""


class Pair(Strict):
    """recipes/pairs: a teacher, a student, and what the paper did with them.

    Attributes:
        teacher: A detector's name, or the path of its file.
        student: The same.
        schedule: The one it has unless another is asked for: a name or a path.
        teacher_checkpoint: The teacher's weights, in place of the zoo's or a training here.
        imports: Python modules that both detectors need.
    """

    name: Name
    teacher: Reference
    student: Reference
    schedule: Reference
    init: Init = "scratch"
    teacher_checkpoint: FilePath | None = None
    imports: Imports = []
    notes: str = ""


class WeightRule(Strict):
    """Where a loss gets its weight when none is given: a number, or alpha by the teacher's kind."""

    default: Literal["by-teacher"] | NonNegative


class TemperatureRule(Strict):
    """The temperatures a loss allows."""

    default: Positive
    minimum: NonNegative = 0.0
    maximum: Positive


class Loss(Strict):
    """recipes/losses: a distillation loss and its knobs.

    Attributes:
        type: A registered name, or `module:Class` of one's own.
        imports: Python modules that it needs beside the one that `type` names.
    """

    name: Name
    title: str
    summary: str
    formula: str | None = None
    source: str = ""
    type: Text
    imports: Imports = []
    weight: WeightRule
    temperature: TemperatureRule | None = None
    params: dict[str, Any] = {}
    notes: str = ""


class Schedule(Strict):
    """recipes/schedules: how long, and how the learning rate falls (appendix A.2).

    Attributes:
        epochs: Passes over the training data.
        milestones: Epochs after which the learning rate is multiplied by `gamma`; fractions are allowed.
        warmup: Iterations of warm-up at 16 images a step; its shape stays the mmdet config's.
        multi_scale: Shorter image sides (pixels) to choose from between two ends, or null for one size.
    """

    name: Name
    epochs: Count
    milestones: list[Positive]
    gamma: Positive = 0.1
    warmup: Annotated[int, Field(ge=0)] = 500
    momentum: NonNegative = 0.9
    weight_decay: NonNegative = 1e-4
    multi_scale: tuple[int, int] | None = None
    notes: str = ""


class Split(Strict):
    """One split of a data set: a folder of images and a COCO annotation file."""

    images: str
    annotations: str


class Data(Strict):
    """recipes/datasets: a COCO-format data set; paths are relative to the YAML file.

    Attributes:
        root: Where the paths start instead: relative to the working folder, as mmdet's `data/coco`.
        generator: The embedded generator that makes the data on first use.
        classes: Class names in the order of the head's outputs; read from the training JSON unless listed.
        image: Longest side of the images in pixels, where it is below the scale's own.
        masks: Whether the annotations carry segmentations (found out by the check).
        train_images: Number of training images with at least one usable box (found out by the check).
        fingerprint: A hash of the annotation files: another content is another experiment.
        background: Train also on images without objects, which mmdet's configs leave out.
        accept: What the check would refuse and is right here: boxes that look like `corners` or `centres`, with width
            and height `swapped` (or those of the images, `swapped-sizes`), or that stand there `doubled`.
        warnings: What the check found odd (said with every training and kept in its result).
        exif: Which way up boxes were drawn on photos whose EXIF orientation leaves the size as it is: on the picture as
            `shown`, upright, or as `stored`; by default as on the photos whose size tells (found out by the check).
        pixel_range: The values of pixels of more than 8 bits that become black and white (found out by the check).
        get: How to get the data, printed where it is absent.
    """

    name: Name
    train: Split
    val: Split
    test: Split | None = None
    root: str | None = None
    generator: Literal["shapes"] | None = None
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    image: Count | None = None
    masks: bool | None = None
    train_images: Count | None = None
    fingerprint: str | None = None
    background: bool = False
    accept: list[Literal["corners", "swapped", "swapped-sizes", "centres", "doubled"]] = []
    warnings: list[str] = []
    exif: Literal["shown", "stored"] | None = None
    pixel_range: Annotated[tuple[Number, Number], AfterValidator(_ascending)] | None = None
    get: str = ""
    notes: str = ""


class Rule(Strict):
    """One rule of a scale: wherever a module matches, set these keys.

    Attributes:
        match: Keys and values a module (a dict with a `type`) of the mmdet model must have.
        set: Keys to replace, with dots for those inside: `anchor_generator.scales`; `null` removes a key.
        channels: The output channels of a backbone by stage, handed on to the neck.
    """

    match: dict[str, Any]
    set: dict[str, Any] = {}
    channels: list[int] | None = None


class TeacherTraining(Strict):
    """How a teacher is trained where no weights exist; its optimizer is its own config's.

    Attributes:
        epochs: Length of the training, for all or by the type of the backbone; by default its own config's, times the
            scale's `epoch_factor`.
        batch: Images per optimizer step over all processes; by default the scale's `batch`.
        lr: The learning rate at 16 images by the optimizer's name, in place of its own config's.
    """

    epochs: Count | dict[str, Count] | None = None
    batch: Count | None = None
    lr: dict[str, Positive] = {}


class Scale(Strict):
    """recipes/scales: how large the models and images are, and what that implies.

    Attributes:
        data: The data set where none is given: a name or a path.
        image: (longest, shorter) side in pixels, as mmdet's `Resize(scale=...)` with the ratio kept.
        upscale: Enlarge smaller images to `image`; otherwise a data set's own `image` is the limit.
        batch: Images per step, over all processes.
        batch_per_process: `batch` is of each process instead, as in the paper: more of them make a larger batch.
        val_batch: Images per device and step of an evaluation.
        epoch_factor: Epochs of a schedule are multiplied by this; milestones follow.
        warmup_share: Warm-up takes at most this share of the run.
        lr: The learning rate at 16 images of every student, in place of each detector's own.
        lr_factor: Students' learning rates are multiplied by this.
        channels_last: Memory format of weights and feature maps; a tenth faster on a CPU, equal but for rounding.
        clip_grad: Largest norm of a gradient, where the detector's own config names none.
        pretrained: Start from pretrained weights (backbones from the zoo; on COCO teachers too).
        rules: How modules shrink; none at scale `paper`.
    """

    name: Name
    data: Reference
    image: tuple[Count, Count]
    upscale: bool = True
    batch: Count
    batch_per_process: bool = False
    val_batch: Count = 1
    epoch_factor: Positive = 1.0
    warmup_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    lr: Positive | None = None
    lr_factor: Positive = 1.0
    channels_last: bool = False
    clip_grad: Positive | None = None
    pretrained: bool = True
    val_interval: Count = 1
    workers: Annotated[int, Field(ge=0)] = 2
    stat_chunk: Literal["batch"] | Count = 2
    teacher: TeacherTraining = TeacherTraining()
    rules: list[Rule] = []
    notes: str = ""


class TableRow(Strict):
    """A group of lines of a table: one pair, schedule and loss, with the weights that were tried.

    Attributes:
        weights: Loss weights, a line each; empty for the loss's own default.
        temperature: For a loss that has one; null for its default.
        published: The pair whose published numbers stand beside, where that is not `pair` itself.
    """

    pair: Reference
    schedule: Reference
    loss: Reference
    weights: list[NonNegative] = []
    temperature: Positive | None = None
    published: Name | None = None


class TableRecipe(Strict):
    """recipes/tables: the experiments of a table, and where its published numbers are.

    Attributes:
        title: Stands above the table.
        layout: `methods` as the paper's Table 7: teacher, student, methods, six metrics; `weights` as its Table 8:
            baseline, loss weight, mAP.
        published: The `table` of published.csv that the lines are held against, or null.
        rows: In the order of the table.
    """

    name: Name
    title: str
    layout: Literal["methods", "weights"]
    published: str | None = None
    rows: Annotated[list[TableRow], Field(min_length=1)]
    notes: str = ""




def _slurm_word(value: str) -> str:
    if not sbatch.WORD.fullmatch(value) or value.startswith("-"):
        raise ValueError("should be a word as Slurm takes it: letters, digits and _ . , : = @ & | * + ( ) [ ] / -")
    return value


def _line(value: str) -> str:
    if any(not (character.isprintable() or character == "\t") for character in value):
        raise ValueError("should be one line, without control characters")
    return value


SlurmOption = Annotated[str, AfterValidator(sbatch.checked)]
SlurmWord = Annotated[str, AfterValidator(_slurm_word)]
Line = Annotated[str, AfterValidator(_line)]


LOCAL_KEYS = ("devices", "jobs", "retries")
SLURM_KEYS = (
    *("nodes", "gpus_per_node", "cpus_per_process", "memory", "partition", "account", "qos", "constraint", "time"),
    *("max_parallel", "options", "setup", "container", "python", "save_seconds", "max_requeues"),
)
"""Keys of a launcher that only one kind of it has."""


class Launcher(Strict):
    """recipes/launchers: where runs are carried out, and with what.

    Attributes:
        kind: `local`, on this machine, or `slurm`, as jobs of a cluster.
        processes: Worker processes of a run (on each node), where it has no GPUs.
        threads: Compute threads of a process; by default the cores that it has.
        devices: local: GPUs to share out among the jobs, as CUDA_VISIBLE_DEVICES names them.
        jobs: local: runs at a time.
        retries: local: how many times a run whose worker was killed by a signal is started again.
        nodes: slurm: machines of a run.
        gpus_per_node: slurm: GPUs of a run on each of them, one process each; 0 for the CPU.
        cpus_per_process: slurm: cores of each process, its loader processes included.
        memory: slurm: of a node, as `--mem` takes it.
        max_parallel: slurm: runs of an array at a time.
        options: slurm: what there is no key for, as sbatch takes it: `gres=gpu:a100:8`, `exclusive`, `reservation=x`.
        setup: slurm: lines of shell before the run, such as `module load cuda`.
        container: slurm: the words before the command, such as `apptainer exec --nv image.sif`, one item each.
        python: slurm: the interpreter on the nodes; by default the one that submits.
        save_seconds: slurm: how long before the time limit a run saves and is queued again.
        max_requeues: slurm: how many times that happens.
    """

    name: Name
    kind: Literal["local", "slurm"]
    processes: Count = 1
    threads: Count | None = None
    devices: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]] = []
    jobs: Count = 1
    retries: Annotated[int, Field(ge=0)] = 0
    nodes: Count = 1
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    cpus_per_process: Count | None = None
    memory: SlurmWord | None = None
    partition: SlurmWord | None = None
    account: SlurmWord | None = None
    qos: SlurmWord | None = None
    constraint: SlurmWord | None = None
    time: SlurmWord | None = None
    max_parallel: Count | None = None
    options: Annotated[list[SlurmOption], AfterValidator(sbatch.merged)] = []
    setup: list[Line] = []
    container: list[Line] = []
    python: Line | None = None
    save_seconds: Count = 120
    max_requeues: Annotated[int, Field(ge=0)] = 50
    notes: str = ""

    @property
    def per_node(self) -> int:
        """Worker processes of a run on each node."""
        return self.gpus_per_node or self.processes

    @model_validator(mode="after")
    def _gpus_by_gres(self) -> Launcher:
        asked = sbatch.gpus(self.options)
        if asked is not None and self.gpus_per_node not in (0, asked):
            own = self.gpus_per_node
            raise ValueError(f"options: gres asks for {asked} GPUs of a node, and gpus_per_node for {own}")
        if asked:  # a process each, however they are asked for
            object.__setattr__(self, "gpus_per_node", asked)
        if self.memory and any(word.startswith("mem-per-") for word in self.options):
            raise ValueError("memory: not beside an option mem-per-cpu or mem-per-gpu")
        return self

    @model_validator(mode="after")
    def _of_its_kind(self) -> Launcher:
        others = SLURM_KEYS if self.kind == "local" else LOCAL_KEYS
        wrong = [key for key in others if key in self.model_fields_set]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: not for a launcher of kind {self.kind}")
        return self



class LossUse(Strict):
    """The distillation loss of one run.

    Attributes:
        levels: Which levels are compared: `index` (0 with 0, 1 with 1, ...; the official way), `stride` (those of equal
            stride), or pairs of a student's and a teacher's level, `0:1,1:2`; a list of pairs means the same.
        imports: Python modules to import before it is built, the one that `type` names among them.
    """

    name: Name
    type: str
    imports: Imports = []
    weight: NonNegative | None = None
    temperature: Positive | None = None
    stat_chunk: Literal["batch"] | Count = "batch"
    levels: Levels = "index"
    params: dict[str, Any] = {}


class TeacherSpeed(Strict):
    """How the teacher of a distilled run computes; all but the defaults change its features by more than rounding.

    Attributes:
        fold: Fold each batch norm into the convolution before it.
        precision: Of its weights and feature maps, whatever `amp` says; float16 needs CUDA. Losses are float32.
        channels_last: Memory format of its weights and feature maps, or null for what the scale says.
        compile: `torch.compile` its backbone and neck; on a CPU that needs a C++ compiler. Not with a Swin.
    """

    fold: bool = True
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    channels_last: bool | None = None
    compile: bool = False


class Recipe(Strict):
    """A resolved recipe: complete, so that the run can be repeated from it alone.

    For a teacher's own training `student` is the detector that is trained and `teacher` is null.

    Attributes:
        batch: Images per optimizer step over all devices, before accumulation.
        accumulate: Steps whose gradients are added before the optimizer moves.
        deterministic: The same numbers again from the same GPU, by slower algorithms where there are such.
        max_iters: Stop after so many iterations (a smoke run), or null.
        val_images: Evaluate only the first so many images, or null for all.
        checkpoint_minutes: Save the training state when so many minutes have passed, besides at the end of every epoch;
            0 for at epoch ends only.
        checkpoint_iters: Save it every so many steps too, or null.
        teacher_seed: Seed of the teacher's own training: students of all seeds share one teacher.
        teacher_checkpoint: The weights the user gave for the teacher, or null.
        teacher_speed: How the teacher computes.
        weights: For a teacher that is not trained here: the file or address its weights come from.
        weights_sha256: The hash of the weights the user gave, so that a run is known by their content.
        adapters: Found out by comparing the two necks: the student's levels that need a 1x1 convolution to be compared,
            each with its channels and its partner's. They are trained along and left out of student.pth.
        trackers: Experiment trackers that are told what metrics.jsonl holds; they change no result.
        imports: Python modules to import before anything is built, beside those that detectors and loss name.
        config: Keys of the final mmengine config to replace, with dots.
    """

    version: Literal[1] = 1
    role: Role
    pair: Name | None = None
    teacher: Detector | None = None
    student: Detector
    loss: LossUse
    schedule: Schedule
    data: Data
    scale: Scale
    batch: Count
    accumulate: Count = 1
    amp: bool = False
    deterministic: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    init: Init = "scratch"
    pretrained: bool = True
    max_iters: Count | None = None
    val_images: Count | None = None
    val_interval: Count = 1
    workers: Annotated[int, Field(ge=0)] = 2
    checkpoint_minutes: NonNegative = 10.0
    checkpoint_iters: Count | None = None
    teacher_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    teacher_checkpoint: str | None = None
    teacher_speed: TeacherSpeed = TeacherSpeed()
    weights: str | None = None
    weights_sha256: str | None = None
    adapters: dict[int, tuple[Count, Count]] = {}
    trackers: list[Literal["tensorboard", "mlflow", "wandb", "dvclive", "aim", "clearml", "neptune"]] = []
    imports: Imports = []
    config: dict[str, Any] = {}

    @property
    def trains_teacher(self) -> bool:
        """Whether the teacher is trained here: its weights are neither given nor the zoo's, which are COCO's."""
        from_zoo = self.data.name == "coco" and not self.scale.rules and self.pretrained
        return self.teacher is not None and self.teacher_checkpoint is None and not from_zoo

    @property
    def named_imports(self) -> list[Import]:
        """The modules that the recipe, its loss and its detectors name."""
        parts = [self, self.loss, *(one for one in (self.teacher, self.student) if one is not None)]
        return [one for part in parts for one in part.imports]

    @property
    def mask_head(self) -> str | None:
        """What becomes of a mask head: `dropped: ...` where the data can't train it, null where nothing is dropped."""
        masked = any(detector is not None and detector.mask for detector in (self.teacher, self.student))
        known = self.data.classes is not None
        return "dropped: the data has no segmentations" if masked and known and not self.data.masks else None

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if (self.role == "distill") != (self.teacher is not None):
            raise ValueError("a distilled run needs a teacher, and only a distilled run has one")
        if (self.role == "distill") == (self.loss.name == "none"):
            raise ValueError("loss `none` is the baseline's, and a distilled run needs another")
        if self.role == "distill" and self.loss.weight is None:
            raise ValueError("loss.weight: a distilled run needs one")
        if self.role != "distill" and self.init != "scratch":
            raise ValueError(f"init: a {self.role} has no teacher to inherit from; only `scratch` is possible")
        return self
