"""One class per kind of YAML file but the launcher, and the parts of those files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pkdcli.recipe.references import DetectorReference, FilePath, Imports, Name, Reference
from pkdcli.recipe.schema.scale import Rule
from pkdcli.recipe.schema.types import (
    Count,
    Init,
    Kind,
    NonNegative,
    Number,
    Positive,
    Strict,
    Text,
    Training,
    ascending,
    two_numbers,
)


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
        tap: The module whose outputs are compared in place of the neck's, by its name in the detector: `backbone`.
        rules: Of the scale's `families`, those that shrink this detector (filled in when the recipe is resolved).
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
    tap: Text | None = None
    rules: list[Rule] = []
    notes: str = ""


class Pair(Strict):
    """recipes/pairs: a teacher, a student, and what the paper did with them.

    Attributes:
        teacher: A detector's name, or the path of its file; or of a config, mmdet's or one's own.
        student: The same.
        schedule: The one it has, trained by the paper's settings, unless another is asked for: a name or a path.
        teacher_checkpoint: The teacher's weights, in place of the zoo's or a training here.
        training: How the student is trained, where nobody asks for another way; by default as its config suggests.
        imports: Python modules that both detectors need.
    """

    name: Name
    teacher: DetectorReference
    student: DetectorReference
    schedule: Reference = "1x"
    training: Training | None = None
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


Accepted = Literal["corners", "swapped", "swapped-sizes", "centres", "doubled", "outside", "leakage"]
"""What the check of data refuses, and lets pass where `accept` names it."""


class Part(Strict):
    """A folder of images and its COCO annotation file."""

    images: str
    annotations: str


class Split(Part):
    """One split of a data set: a folder of images and a COCO annotation file, or several of both, joined.

    Attributes:
        joined: What a list in the recipe names, or the file whose classes `map` renames. `images` and `annotations` are
            then what was made of it (`pkdcli.data.joined`), and empty before.
    """

    joined: list[Part] = []

    @model_validator(mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """A list of folders and files as a split that is made of it."""
        if not isinstance(value, list):
            return value
        if not value:
            raise ValueError("an empty list; name `images` and `annotations` of at least one")
        return {"images": "", "annotations": "", "joined": value}

    @model_serializer(mode="wrap")
    def _plain(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `joined` where nothing was joined, as recipes of runs have always said it."""
        return {key: value for key, value in write(self).items() if key != "joined" or value}

    @property
    def parts(self) -> list[Part]:
        """What the user wrote it of: itself, or what is joined."""
        return self.joined or [self]


class Data(Strict):
    """recipes/datasets: a COCO-format data set; paths are relative to the YAML file.

    A split may be a list of such folders and files, which are joined.

    Attributes:
        root: Where the paths start instead: relative to the working folder, as mmdet's `data/coco`.
        generator: The embedded generator that makes the data on first use.
        classes: Class names in the order of the head's outputs; read from the training JSON unless listed.
        map: New names of classes by old ones; several that get one name are one class. `classes` lists the new names.
        image: Longest side of the images in pixels, where it is below the scale's own.
        masks: Whether the annotations carry segmentations (found out by the check).
        train_images: Number of training images with at least one usable box (found out by the check).
        fingerprint: A hash of the annotation files: another content is another experiment.
        background: Train also on images without objects, which mmdet's configs leave out.
        accept: What the check would refuse and is right here: boxes that look like `corners` or `centres`, with width
            and height `swapped` (or those of the images, `swapped-sizes`), that stand there `doubled` or most of which
            lie `outside`; images that are trained on and measured on (`leakage`).
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
    map: dict[Text, Text] = {}
    image: Count | None = None
    masks: bool | None = None
    train_images: Count | None = None
    fingerprint: str | None = None
    background: bool = False
    accept: list[Accepted] = []
    warnings: list[str] = []
    exif: Literal["shown", "stored"] | None = None
    pixel_range: Annotated[tuple[Number, Number], BeforeValidator(two_numbers), AfterValidator(ascending)] | None = None
    get: str = ""
    notes: str = ""

    @model_validator(mode="after")
    def _drawn_as_it_is(self) -> Data:
        if self.generator and (self.map or any(split.joined for split in self.splits.values())):
            raise ValueError(f"generator: {self.generator} is drawn with its own files and classes; leave out lists of "
                             "files, and `map`")  # fmt: skip
        return self

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that it has, by their names."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}


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
