"""Several annotation files as one split, and classes under other names: what is made of them, and what is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pkdcli.api.data.checking import data_check
from pkdcli.data.annotations.read import read
from pkdcli.data.prepare import prepare
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import load_data


def _coco(names: list[str], classes: list[str], boxes: list[tuple[int, int, list[float]]]) -> dict:
    """Annotations of images of 64 x 48 pixels; boxes are of an image and a class by their places."""
    return {
        "images": [{"id": n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(names, 1)],
        "annotations": [
            {"id": n, "image_id": image + 1, "category_id": 10 * (kind + 1), "bbox": box, "area": box[2] * box[3]}
            for n, (image, kind, box) in enumerate(boxes, 1)
        ],
        "categories": [{"id": 10 * (n + 1), "name": name} for n, name in enumerate(classes)],
    }


class Two:
    """Two folders of pictures with an annotation file each, whose ids are the same, and a recipe that joins them."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache, self.said = root, root / "cache", []
        self.put("a", ["1.png", "2.png"], ["car", "dog"], [(0, 0, [1, 2, 10, 11]), (1, 1, [3, 4, 12, 13])])
        self.put("b", ["1.png"], ["truck", "dog", "car"], [(0, 0, [5, 6, 14, 15]), (0, 1, [20, 20, 9, 8])])
        self.put("c", ["9.png"], ["dog", "car"], [(0, 1, [7, 8, 16, 17])])

    def put(self, name: str, files: list[str], classes: list[str], boxes: list) -> None:
        folder = self.root / name / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            if not (folder / file).exists():
                noise = np.random.default_rng(len(list(self.root.rglob("*.png")))).integers(0, 255, (48, 64, 3))
                Image.fromarray(noise.astype(np.uint8)).save(folder / file)
        (self.root / name / "boxes.json").write_text(json.dumps(_coco(files, classes, boxes)))

    @staticmethod
    def of(*names: str) -> str:
        parts = [f"{{images: {name}/images, annotations: {name}/boxes.json}}" for name in names]
        return f"[{', '.join(parts)}]" if len(parts) > 1 else parts[0]

    def load(self, train=("a", "b"), val=("c",), extra=""):
        file = self.root / "both.yaml"
        file.write_text(f"name: both\ntrain: {self.of(*train)}\nval: {self.of(*val)}\n{extra}\n")
        return load_data(str(file))

    def prepare(self, **more):
        self.said.clear()
        return prepare(self.load(**more), self.cache, warn=self.said.append)


@pytest.fixture
def two(tmp_path) -> Two:
    return Two(tmp_path)


def _seen(split) -> list[tuple[str, str, list[float]]]:
    truth = read(Path(split.annotations))
    for name in truth.file_name:
        assert (Path(split.images) / name).is_file()
    return [
        (truth.file_name[image], truth.classes[kind], box)
        for image, kind, box in zip(truth.image, truth.category, truth.bbox.tolist(), strict=True)
    ]


def test_two_files_become_one_split_with_all_boxes_on_their_own_pictures(two):
    data = two.prepare()
    assert data.classes == ["car", "dog", "truck"]
    assert _seen(data.train) == [
        ("a/images/1.png", "car", [1, 2, 10, 11]),
        ("a/images/2.png", "dog", [3, 4, 12, 13]),
        ("b/images/1.png", "truck", [5, 6, 14, 15]),
        ("b/images/1.png", "dog", [20, 20, 9, 8]),
    ]
    assert _seen(data.val) == [("9.png", "car", [7, 8, 16, 17])]
    assert read(Path(data.val.annotations)).classes == data.classes, "labels mean the same in every split"
    assert data.train_images == 3
    ids = read(Path(data.train.annotations))
    assert ids.image_id.tolist() == [1, 2, 3]
    assert ids.id.tolist() == [1, 2, 3, 4]
    a, b, c = (two.root / name / "boxes.json" for name in "abc")
    assert f"data set both, train: {a} and {b} use the same ids: images and annotations are numbered anew from 1." in (
        two.said
    )
    assert (
        f"data set both, train: class 'truck' is no category of {a}: objects of it on those pictures count as "
        "background. Write `map` into the data recipe if it has another name there."
    ) in two.said
    assert f"{b}: no annotation of 'car'." in two.said
    assert not any(str(two.cache) in text for text in two.said), "a warning names what the user has written"
    assert not any(text.startswith(f"{c}: ") and "ids" in text for text in two.said)


def test_ids_that_no_two_files_share_stay(two):
    file = two.root / "b" / "boxes.json"
    other = json.loads(file.read_text())
    other["images"][0]["id"] = 70
    for number, one in enumerate(other["annotations"], 500):
        one |= {"id": number, "image_id": 70}
    file.write_text(json.dumps(other))
    truth = read(Path(two.prepare().train.annotations))
    assert (truth.image_id.tolist(), truth.id.tolist()) == ([1, 2, 70], [1, 2, 500, 501])
    assert not any("anew" in text for text in two.said)


def test_what_an_annotation_says_besides_is_kept(two):
    file = two.root / "b" / "boxes.json"
    other = json.loads(file.read_text())
    mask = [[5.0, 6.0, 19.0, 6.0, 19.0, 21.0]]
    other["annotations"][0] |= {"segmentation": mask, "iscrowd": 0, "ignore": 1, "score": 0.25}
    file.write_text(json.dumps(other))
    made = json.loads(Path(two.prepare().train.annotations).read_text())
    assert made["annotations"][2] == {
        "id": 3, "image_id": 3, "category_id": 3, "bbox": [5, 6, 14, 15], "area": 210, "segmentation": mask,
        "iscrowd": 0, "ignore": 1, "score": 0.25,
    }  # fmt: skip


def test_classes_are_renamed_and_merged_in_every_split(two):
    data = two.prepare(extra="map: {car: vehicle, truck: vehicle}")
    assert data.classes == ["vehicle", "dog"]
    assert [kind for _, kind, _ in _seen(data.train)] == ["vehicle", "dog", "vehicle", "dog"]
    assert [kind for _, kind, _ in _seen(data.val)] == ["vehicle"]
    assert two.said == [
        f"{two.root / 'b' / 'boxes.json'}: no annotation of 'car'.",
        f"{two.root / 'c' / 'boxes.json'}: no annotation of 'dog'.",
        f"data set both, train: {two.root / 'a' / 'boxes.json'} and {two.root / 'b' / 'boxes.json'} use the same ids: "
        "images and annotations are numbered anew from 1.",
    ]


def test_a_file_alone_can_have_its_classes_renamed_and_chosen(two):
    data = two.prepare(train=("a",), val=("c",), extra="map: {car: vehicle}\nclasses: [vehicle]")
    assert data.classes == ["vehicle"]
    assert _seen(data.train)[0] == ("1.png", "vehicle", [1, 2, 10, 11])
    assert data.train_images == 1, "the other picture shows a dog, which is not asked for"
    assert read(Path(data.train.annotations)).id.tolist() == [1, 2]


def test_two_names_can_be_exchanged(two):
    data = two.prepare(train=("a",), val=("a",), extra="map: {car: dog, dog: car}\naccept: [leakage]")
    assert [kind for _, kind, _ in _seen(data.train)] == ["dog", "car"]


def test_a_class_in_map_that_is_not_there_gives_the_nearest(two):
    with pytest.raises(PkdError) as caught:
        two.prepare(extra="map: {truk: vehicle}")
    assert caught.value.message == "data set both: map: unknown class 'truk'."
    assert caught.value.hint == "Did you mean 'truck'? Allowed: car, dog, truck."
    with pytest.raises(PkdError) as caught:
        two.prepare(extra="map: {truck: vehicle}\nclasses: [truck]")
    assert caught.value.message == "data set both: classes: unknown class 'truck'."
    assert caught.value.hint == "Allowed: car, dog, vehicle."


def test_an_image_that_two_files_list_is_one_image_with_the_boxes_of_both(two):
    (two.root / "b" / "images" / "1.png").unlink()
    os.link(two.root / "a" / "images" / "2.png", two.root / "b" / "images" / "1.png")
    # The dog is in both files, the truck in the second alone.
    two.put("b", ["1.png"], ["truck", "dog", "car"], [(0, 0, [5, 6, 14, 15]), (0, 1, [3, 4, 12, 13])])
    data = two.prepare()
    assert _seen(data.train) == [
        ("a/images/1.png", "car", [1, 2, 10, 11]),
        ("a/images/2.png", "dog", [3, 4, 12, 13]),
        ("a/images/2.png", "truck", [5, 6, 14, 15]),
    ]
    assert data.train_images == 2
    a, b = (two.root / name / "boxes.json" for name in "ab")
    assert (
        f"data set both, train: 1 images are listed in several of {a} and {b}, the first is b/images/1.png: each is "
        "one image with the annotations of all; 1 annotations that several have alike count once."
    ) in two.said


def test_a_copy_of_an_image_in_the_other_file_is_said(two):
    (two.root / "b" / "images" / "1.png").write_bytes((two.root / "a" / "images" / "2.png").read_bytes())
    assert len(_seen(two.prepare().train)) == 4
    a, b = (two.root / name / "boxes.json" for name in "ab")
    assert (
        f"data set both, train: 1 images of {b} have the content of one of {a}, the first is 1.png: each is there "
        "twice. Take them out of one of the two."
    ) in two.said


def test_what_is_wrong_with_a_file_is_said_of_that_file(two):
    file = two.root / "b" / "boxes.json"
    other = json.loads(file.read_text())
    other["annotations"][1]["category_id"] = 99
    file.write_text(json.dumps(other))
    with pytest.raises(PkdError) as caught:
        two.prepare()
    assert caught.value.message == (
        f"data set both, train: {file}: annotations name classes that are not listed: annotations[1].category_id = 99."
    )


def test_files_that_are_not_there_are_named(two):
    (two.root / "b" / "boxes.json").unlink()
    with pytest.raises(PkdError) as caught:
        two.prepare()
    assert caught.value.message == f"data set both is not there; expected:\n  {two.root / 'b' / 'boxes.json'}"


def test_a_wrong_part_of_a_recipe_is_named_by_its_place(two):
    file = two.root / "both.yaml"
    for text, said in (
        ("[{images: a, annotation: b}]", ["train.0.annotations: is missing", "train.0.annotation: unknown key"]),
        ("[]", ["train: an empty list; name `images` and `annotations` of at least one"]),
    ):
        file.write_text(f"name: both\ntrain: {text}\nval: {{images: a, annotations: b}}\n")
        with pytest.raises(PkdError) as caught:
            load_data(str(file))
        assert all(one in caught.value.message for one in said), caught.value.message


def test_what_was_prepared_comes_out_the_same_and_is_made_again_where_the_cache_was_emptied(two):
    data = two.prepare()
    made = Path(data.train.annotations)
    before = made.read_bytes()
    assert prepare(data, two.cache, warn=two.said.append) == data
    made.unlink()
    assert prepare(data, two.cache, warn=two.said.append) == data
    assert made.read_bytes() == before


def test_a_run_is_known_by_the_content_of_the_files_and_the_new_names_not_by_where_they_lie(two, tmp_path):
    plain = two.prepare(train=("a",), val=("a",), extra="accept: [leakage]").fingerprint
    joined = two.prepare().fingerprint
    mapped = two.prepare(extra="map: {car: vehicle}").fingerprint
    turned = two.prepare(train=("b", "a")).fingerprint
    assert len({plain, joined, mapped, turned}) == 4
    (two.root / "a").rename(two.root / "elsewhere")
    assert two.prepare(train=("elsewhere", "b")).fingerprint == joined


def test_a_recipe_without_lists_is_written_as_ever(two):
    data = two.prepare(train=("a",), val=("a",))
    assert data.model_dump()["train"] == {
        "images": str(two.root / "a" / "images"),
        "annotations": str(two.root / "a" / "boxes.json"),
    }


def test_a_data_set_that_is_drawn_takes_neither_lists_nor_map(two):
    file = two.root / "drawn.yaml"
    split = "{images: images/train/, annotations: annotations/train.json}"
    file.write_text(f"name: drawn\ngenerator: shapes\ntrain: {split}\nval: {split}\nmap: {{circle: disc}}\n")
    with pytest.raises(PkdError) as caught:
        load_data(str(file))
    assert caught.value.message.endswith(
        "generator: shapes is drawn with its own files and classes; leave out lists of files, and `map`."
    )


def _check(two, **more):
    two.load(**more)
    return data_check(data=str(two.root / "both.yaml"))


def test_a_check_looks_at_the_joined_files_by_their_new_classes(two, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(two.cache))
    found = _check(two, extra="map: {car: vehicle, truck: vehicle}")
    numbers = found.splits["train"]
    assert numbers["images"] == 3
    assert {name: one["boxes"] for name, one in numbers["classes"].items()} == {"vehicle": 2, "dog": 2}
    assert found.ok
    assert [one.text for one in found.faults if one.kind == "joined"] == [
        f"{two.root / 'a' / 'boxes.json'} and {two.root / 'b' / 'boxes.json'} use the same ids: images and annotations "
        "are numbered anew from 1"
    ]


def test_a_check_of_files_that_can_t_be_joined_says_which_and_why(two, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(two.cache))
    file = two.root / "b" / "boxes.json"
    file.write_text(file.read_text()[:-30])
    found = _check(two)
    assert not found.ok
    (fault,) = found.faults
    assert (fault.kind, fault.weight) == ("refused", "spoils")
    assert fault.text.startswith(f"data set both, train: {file} stops too early: line 1, column ")
    assert fault.remedy == "Its download or conversion was probably interrupted: fetch or make it again."


def test_a_fault_of_a_joined_picture_is_named_with_its_folder_and_repaired(two, monkeypatch, tmp_path):
    monkeypatch.setenv("PKD_CACHE", str(two.cache))
    two.put("b", ["1.png"], ["truck", "dog", "car"], [(0, 0, [50, 6, 30, 15])])
    two.load()
    found = data_check(data=str(two.root / "both.yaml"), fix=tmp_path / "mended")
    (fault,) = [one for one in found.faults if one.kind == "box-beyond"]
    assert fault.places == ["b/images/1.png: annotation 3 [50, 6, 30, 15]"]
    mended = prepare(load_data(found.files["fix"]), two.cache, warn=two.said.append)
    assert _seen(mended.train)[2] == ("b/images/1.png", "truck", [50, 6, 14, 15])
