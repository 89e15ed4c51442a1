"""A whole look at a data set: every check of a training, without stopping at the first, and what only time allows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkdcli.data.annotations.read import Annotations, read
from pkdcli.data.checks import coco, images
from pkdcli.data.checks.findings import Findings
from pkdcli.data.checks.split_overlap import shared_images
from pkdcli.data.images.file_names import path_of
from pkdcli.data.images.reading import Reading, settle
from pkdcli.data.survey import boxes, duplicates
from pkdcli.data.survey.faults import ODD, SPOILS, Fault, fault
from pkdcli.data.survey.files import Progress, Seen, look_at_all
from pkdcli.data.survey.statistics import summary
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Data, Split

_LEAK = "take them out of one of the two splits (--fix takes them out of train): what is measured on them was learned"


@dataclass
class Survey:
    """What was found.

    Attributes:
        data: The data recipe.
        splits: Numbers of each split that could be read (`pkdcli.data.survey.statistics.summary`).
        faults: What is wrong or odd, what spoils a training first.
        truths: The annotations of those splits.
        leaked: By split, names of training images that are in it too.
        broken: By split, names of images that can't be used.
    """

    data: Data
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    truths: dict[str, Annotations] = field(default_factory=dict)
    leaked: set[str] = field(default_factory=set)
    broken: dict[str, set[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would spoil a training."""
        return all(one.weight != SPOILS for one in self.faults)


def survey(
    data: Data,
    *,
    decode: bool = True,
    doing: Callable[[str], AbstractContextManager[Any]] = nullcontext,
    counting: Callable[[str], AbstractContextManager[Progress | None]] = lambda text: nullcontext(),
) -> Survey:
    """Look at all of a data set.

    Args:
        data: With absolute paths.
        decode: Read and decode every image file; without it only their headers are looked at.
        doing: Gives a context for what is being done, in words.
        counting: The same for what is counted: gives what is told how many files are done, and of all.
    """
    found = Survey(data)
    pictures = []
    for name, split in data.splits.items():
        with doing(f"reading {split.annotations} ..."):
            truth, report = _annotations(name, split, data, found)
        if truth is None:
            continue
        with doing(f"looking at the images of {name} ..."):
            pictures.append(_headers(name, split, truth, data, found))
        if report is not None:
            found.faults += [Fault(name, "note", ODD, text.rstrip(".")) for text in _notes(report)]
    _classes(found)
    reading = Reading.of(data.exif, data.pixel_range)
    if pictures:
        settled, said = settle(pictures, data.exif, data.pixel_range)
        reading = Reading.of(settled["exif"], settled["pixel_range"])
        found.faults += [Fault("", "reading", ODD, text.rstrip(".")) for text in said]
    if decode:
        with counting("decoding images") as progress:
            seen = _decoded(found, reading, progress)
        with doing("comparing images ..."):
            _equal_files(found, seen)
    else:
        with doing("comparing files ..."):
            _overlaps(found)
    _accepted(found)
    found.faults.sort(key=lambda one: one.weight != SPOILS)
    return found


def _annotations(
    name: str, split: Split, data: Data, found: Survey
) -> tuple[Annotations | None, coco.SplitReport | None]:
    """Read and check the annotations of a split; None for what can't be said of it."""
    file, folder = Path(split.annotations), Path(split.images)
    wrong = Findings(20)
    try:
        truth = read(file, segmentations=False, found=wrong)
    except PkdError as error:
        found.faults.append(Fault(name, "unreadable-annotations", SPOILS, error.message.rstrip("."), [str(file)],
                                  remedy=error.hint or ""))  # fmt: skip
        return None, None
    report = None
    readable = not wrong
    if folder.is_dir():
        use = "learn" if name == "train" else "measure"
        report = coco.examine(truth, folder, wrong, only=data.classes, use=use, accept=data.accept,
                              background=data.background)  # fmt: skip
    else:
        wrong.add(f"the image folder {folder} does not exist", "", "Correct `images` in the data recipe.")
    for kind, places, count, hint in wrong.items():
        found.faults.append(Fault(name, "refused", SPOILS, f"{file}: {kind}", places, count, hint))
    found.truths[name] = truth
    found.splits[name] = summary(truth)
    if readable:
        found.faults += boxes.of_annotations(name, truth)
    found.faults += boxes.of_images(name, truth)
    if report is not None and report.mostly_outside:
        found.faults.append(Fault(name, "outside", SPOILS, report.mostly_outside,
                                  remedy="check that annotations and images belong together"))  # fmt: skip
    return truth, report


# What is said with a training and stands, with its places, among the faults of single annotations here.
_SAID_ELSEWHERE = (
    "have a side below", "lie outside their image", "stand there before", "reach beyond", "images have no object",
)  # fmt: skip


def _notes(report: coco.SplitReport) -> list[str]:
    return [text for text in report.problems if not any(part in text for part in _SAID_ELSEWHERE)]


def _headers(name: str, split: Split, truth: Annotations, data: Data, found: Survey) -> images.Pictures:
    """Compare the sizes of all image files with the annotated ones, by their headers."""
    folder = Path(split.images)
    there = [(file, size) for file, size in zip(truth.file_name, truth.size.tolist(), strict=True)
             if file and size[0] == size[0] and path_of(folder, file).is_file()]  # fmt: skip
    wrong = Findings(20)
    if not there:
        return images.Pictures()
    names, sizes = zip(*there, strict=True)
    reading = Reading.of(data.exif, data.pixel_range)
    pictures = images.look(folder, names, sizes, wrong, reading, sample=len(names))
    for kind, places, count, hint in wrong.items():
        found.faults.append(Fault(name, "image-files", SPOILS, kind, places, count, hint))
    return pictures


def _classes(found: Survey) -> None:
    """Compare the classes of the splits, and say which are used nowhere."""
    if "train" not in found.truths:
        return
    train = found.truths["train"]
    for name, truth in found.truths.items():
        try:
            coco.same_classes(train.classes, truth.classes, train.file, truth.file)
        except PkdError as error:
            found.faults.append(Fault(name, "classes", SPOILS, error.message.rstrip("."), remedy=error.hint or ""))


def _decoded(found: Survey, reading: Reading, progress: Progress | None) -> list[tuple[str, Seen]]:
    """Decode every image; what is seen of each, with its split."""
    jobs = []
    for name, truth in found.truths.items():
        folder = Path(found.data.splits[name].images)
        sizes = [tuple(size) if size[0] == size[0] else None for size in truth.size.tolist()]
        jobs += [
            (name, path, file, size)
            for file, size in zip(truth.file_name, sizes, strict=True)
            if file and (path := path_of(folder, file)).is_file()
        ]
    splits, paths, names, sizes = zip(*jobs, strict=True) if jobs else ((), (), (), ())
    seen = list(zip(splits, look_at_all(paths, names, sizes, reading, progress), strict=True))
    for name in found.truths:
        ours = [one for split, one in seen if split == name]
        broken = [one for one in ours if one.error]
        found.broken[name] = {one.name for one in broken}
        remedies = list(dict.fromkeys(one.remedy for one in broken if one.remedy))
        found.faults += fault(name, "unreadable", SPOILS, "{n} images can't be used",
                              (f"{one.name} {one.error}" for one in broken), "; ".join(remedies[:3]))  # fmt: skip
        found.faults += fault(name, "mislabelled", ODD, "{n} images are of another format than their name says",
                              (f"{one.name} is {one.mislabelled}" for one in ours if one.mislabelled),
                              "nothing has to be done here; other tools may refuse them")  # fmt: skip
    return seen


def _equal_files(found: Survey, seen: list[tuple[str, Seen]]) -> None:
    leaks, doubled = [], []
    for group in duplicates.equal(seen):
        splits = {split for split, _ in group}
        told = " = ".join(f"{split} {name}" for split, name in group)
        (leaks if len(splits) > 1 else doubled).append(told)
        if "train" in splits and len(splits) > 1:
            found.leaked |= {name for split, name in group if split == "train"}
    found.faults += fault("", "leakage", SPOILS, "{n} images are in several splits", leaks, _LEAK)
    found.faults += fault("", "doubled-images", ODD, "{n} images are there more than once in a split", doubled,
                          "keep one of each: the others weigh it more")  # fmt: skip
    between, within = [], []
    for (split, name), (other_split, other) in duplicates.alike(seen):
        (between if split != other_split else within).append(f"{split} {name} ~ {other_split} {other}")
    found.faults += fault("", "near-leakage", ODD, "{n} pairs of images in different splits look the same", between,
                          "look at them (--html): frames of one video belong into one split "
                          "(pkd data import --group-by)")  # fmt: skip
    found.faults += fault("", "near-duplicates", ODD, "{n} pairs of images in one split look the same", within, "")


def _overlaps(found: Survey) -> None:
    """The images that splits share, without decoding: as before a training."""
    splits = found.data.splits
    names = list(found.truths)
    leaks = []
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            one, other = ((Path(splits[name].images), found.truths[name].file_name) for name in (first, second))
            shared = shared_images(one, other)
            leaks += [f"{second} {name}, in {first} too" for name in shared]
            if first == "train" and shared:
                found.leaked |= set(shared_images(other, one))
    found.faults += fault("", "leakage", SPOILS, "{n} images are in several splits", leaks, _LEAK)


def _accepted(found: Survey) -> None:
    """What the data recipe lets pass spoils nothing."""
    for one in found.faults:
        if one.kind in found.data.accept:
            one.weight = ODD
