"""Splits: stratified by class, groups kept together, the same for a seed, and what can't be split is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pkdcli.data.importers.choose import choose_classes, parse_map
from pkdcli.data.importers.source import Picture, Source, Thing, split_in
from pkdcli.data.importers.split import check_split, groups_of, shares_of, stratify
from pkdcli.errors import PkdError

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def pictures(labels: list[list[str]], names: list[str] | None = None) -> list[Picture]:
    names = names or [f"p{number}.jpg" for number in range(len(labels))]
    return [
        Picture(Path(name), name, 100, 50, [Thing(label, (1, 1, 9, 9)) for label in found])
        for name, found in zip(names, labels, strict=True)
    ]


def by_class(given: list[Picture], dealt: list[str]) -> dict[str, Counter]:
    counts: dict[str, Counter] = {}
    for picture, split in zip(given, dealt, strict=True):
        for thing in picture.things:
            counts.setdefault(thing.label, Counter())[split] += 1
    return counts


def test_every_class_is_split_as_all_are():
    given = pictures([["rare"]] * 10 + [["common"]] * 90)
    dealt = stratify(given, SHARES, 0)
    assert Counter(dealt) == {"train": 80, "val": 10, "test": 10}
    assert by_class(given, dealt) == {
        "rare": {"train": 8, "val": 1, "test": 1}, "common": {"train": 72, "val": 9, "test": 9},
    }  # fmt: skip


def test_images_of_several_classes_keep_their_numbers():
    labels = [["a"] * (1 + n % 4) + (["b"] if n % 5 == 0 else []) + (["c"] if n % 20 == 0 else []) for n in range(200)]
    given = pictures(labels)
    dealt = stratify(given, SHARES, 0)
    assert Counter(dealt) == {"train": 160, "val": 20, "test": 20}
    counts = by_class(given, dealt)
    assert counts["c"] == {"train": 8, "val": 1, "test": 1}
    assert all(abs(counts["b"][name] - 40 * share) <= 1 for name, share in SHARES.items())
    assert all(abs(counts["a"][name] / 500 - share) < 0.03 for name, share in SHARES.items())


def test_a_seed_gives_one_split_and_another_seed_another():
    given = pictures([["a"]] * 50)
    assert stratify(given, SHARES, 1) == stratify(given, SHARES, 1)
    assert stratify(given, SHARES, 1) != stratify(given, SHARES, 2)


@pytest.mark.parametrize("by", ["folder", r"^(p\d+)/", r"^p\d+"])
def test_groups_stay_together(by):
    names = [f"p{number % 10}/x{number}.jpg" for number in range(100)]
    given = pictures([["a"]] * 100, names)
    dealt = stratify(given, SHARES, 0, by)
    assert Counter(dealt) == {"train": 80, "val": 10, "test": 10}
    of_group: dict[str, set[str]] = {}
    for name, split in zip(names, dealt, strict=True):
        of_group.setdefault(name.partition("/")[0], set()).add(split)
    assert all(len(splits) == 1 for splits in of_group.values())


def test_an_empty_pattern_is_refused():
    with pytest.raises(PkdError) as caught:
        stratify(pictures([["a"]] * 4), {"train": 0.5, "val": 0.5}, 0, "")
    assert str(caught.value) == (
        "--group-by: an empty word.\nLeave it out, or give `folder` or a regular expression."
    )


def test_names_that_a_pattern_does_not_fit_are_alone_and_none_is_refused():
    assert groups_of(pictures([[], []], ["a_1.jpg", "b.jpg"]), "^([^_]+)_") == ["a", "b.jpg"]
    with pytest.raises(PkdError, match=r"--group-by 'z' fits none of the 1 file names, the first is a\.jpg"):
        groups_of(pictures([[]], ["a.jpg"]), "z")
    with pytest.raises(PkdError, match=r"--group-by '\(' is no regular expression"):
        groups_of(pictures([[]], ["a.jpg"]), "(")


@pytest.mark.parametrize("numbers", [[1.0], [0.8, 0.1], [0.5, 0.6], [0.8, 0.1, 0.05, 0.05], [1.2, -0.2]])
def test_shares_that_are_none(numbers):
    with pytest.raises(PkdError, match="these are no shares of train and val"):
        shares_of(numbers)
    assert shares_of([0.7, 0.3]) == {"train": 0.7, "val": 0.3}


def test_a_class_that_a_split_leaves_out_is_said_or_refused():
    given = pictures([["a"], ["a"], ["a", "b"], ["c"]])
    for picture, split in zip(given, ["train", "val", "train", "train"], strict=True):
        picture.split = split
    assert check_split(given, ["a", "b", "c"], ["train", "val"]) == [
        "the class 'b' is left out of val: only 1 image has it, and its AP can't be measured there.",
        "the class 'c' is left out of val: only 1 image has it, and its AP can't be measured there.",
    ]
    given[3].split = "val"
    with pytest.raises(PkdError, match="the split leaves the class 'c' out of train: all 1 images with it are in val"):
        check_split(given, ["a", "b", "c"], ["train", "val"])
    with pytest.raises(PkdError, match="the split leaves test without an image: there are 4 in all"):
        check_split(given, ["a", "b", "c"], ["train", "val", "test"])


def test_a_class_of_one_image_is_learned():
    assert stratify(pictures([["a"]] * 9 + [["rare"]]), {"train": 0.5, "val": 0.5}, 0)[-1] in ("train", "val")
    assert stratify(pictures([["a"]] * 9 + [["rare"]]), SHARES, 0)[-1] == "train"


@pytest.mark.parametrize(
    ("path", "split"),
    [("train/images/a.jpg", "train"), ("instances_val2017", "val"), ("valid/labels/b.txt", "val"),
     ("data-test/x.png", "test"), ("training.jpg", "train"), ("a/b.jpg", None), ("trainer/b.jpg", None)],
)  # fmt: skip
def test_the_split_in_a_path(path, split):
    assert split_in(path) == split


def test_classes_are_renamed_merged_and_left_out():
    source = Source("VOC", Path("x"), ["car", "truck", "dog"], pictures([["car", "dog"], ["truck"], ["dog"]]))
    choose_classes(source, ["vehicle"], parse_map(["car=vehicle", "truck=vehicle"]))
    assert source.classes == ["vehicle"]
    assert [[thing.label for thing in one.things] for one in source.pictures] == [["vehicle"], ["vehicle"], []]
    assert source.notes == ["Objects of other classes are left out: 2 of 'dog'."]


@pytest.mark.parametrize(
    ("classes", "renamed", "message"),
    [
        (["cra"], [], "--classes: unknown class 'cra'."),
        (["car", "car"], [], "--classes: 'car' is listed twice."),
        ([], ["cra=x"], "--map: unknown class 'cra'."),
        ([], ["car"], "--map 'car': it is not OLD=NEW."),
        ([], ["car=a", "car=b"], "--map: 'car' is to become 'a' and 'b'."),
    ],
)
def test_classes_that_are_not_there(classes, renamed, message):
    source = Source("VOC", Path("x"), ["car"], pictures([["car"]]))
    with pytest.raises(PkdError) as caught:
        choose_classes(source, classes, parse_map(renamed))
    assert caught.value.message == message
