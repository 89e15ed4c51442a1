"""recipes/scales: how large the models and images are, and what that implies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pkdcli.recipe.references import Name, Reference
from pkdcli.recipe.schema.types import Count, Positive, Strict


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


class OwnTraining(Strict):
    """How trainings by a config's own settings (`training: own`) are shortened.

    Attributes:
        epochs: Their length, for all or by the type of the backbone; by default the config's own, times the scale's
            `epoch_factor`.
        lr: The learning rate at 16 images by the optimizer's name, in place of the config's own.
    """

    epochs: Count | dict[str, Count] | None = None
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
        own: How trainings by a config's own settings are shortened.
        rules: How modules shrink; none at scale `paper`.
        families: More of them, for detectors beyond the paper's. They are tried behind `rules`, and a run depends only
            on those that its detectors need: `recipe.shrinking` moves them into the detectors.
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
    own: OwnTraining = OwnTraining()
    rules: list[Rule] = []
    families: list[Rule] = []
    notes: str = ""
