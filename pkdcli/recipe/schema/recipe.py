"""`Recipe`, the resolved whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pkdcli.recipe.references import Import, Imports, Name
from pkdcli.recipe.schema.kinds import Data, Detector, Schedule
from pkdcli.recipe.schema.scale import Scale
from pkdcli.recipe.schema.types import Count, Init, Levels, NonNegative, Positive, Role, Share, Strict, Training


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
        training: By which settings: `paper`, appendix A.2's; or `own`, those of the student's config, with its
            optimizer, schedule, augmentation, hooks and averages.
        distill_until: The share of the run after which the student learns on without its teacher; null for never.
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
        keep_predictions: Write the detections of the last evaluation into the run's folder.
        trackers: Experiment trackers that are told what metrics.jsonl holds; they change no result. Which there are is
            looked up where they are used, so that a run stays readable without the plug-in that has one.
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
    training: Training = "paper"
    distill_until: Share | None = None
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
    keep_predictions: bool = True
    trackers: list[Name] = []
    imports: Imports = []
    config: dict[str, Any] = {}

    @property
    def trains_teacher(self) -> bool:
        """Whether the teacher is trained here: its weights are neither given nor the zoo's, which are COCO's."""
        from_zoo = self.data.name == "coco" and not self.scale.rules and self.pretrained
        return self.teacher is not None and self.teacher_checkpoint is None and not from_zoo

    @property
    def taps(self) -> tuple[str | None, str | None]:
        """The modules of student and teacher that are compared in place of their necks; None for the neck."""
        return self.student.tap, self.teacher and self.teacher.tap

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
        if self.role != "distill" and self.distill_until is not None:
            raise ValueError(f"distill_until: a {self.role} has no teacher; leave it out")
        if self.role != "distill" and self.init != "scratch":
            raise ValueError(f"init: a {self.role} has no teacher to inherit from; only `scratch` is possible")
        return self
