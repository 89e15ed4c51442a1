"""The arrays of an annotation file against a slow loop over its JSON, in memory and from the cache."""

from __future__ import annotations

import json
import pickle
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkdcli.data.annotations import cache
from pkdcli.data.annotations.index import ARRAYS, IndexMaker
from pkdcli.data.annotations.read import read

SLOWLY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIDES = st.one_of(st.integers(0, 60), st.sampled_from([0.5, 0.999, 1.0, 12.25]))


@st.composite
def coco(draw) -> dict:
    """A small annotation file: ids out of order, boxes outside, crowds, masks of each form, values left out."""
    image_ids = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=5, unique=True))
    class_ids = draw(st.lists(st.integers(0, 500), min_size=1, max_size=4, unique=True))
    images = [
        {"id": one, "file_name": f"{draw(st.sampled_from(['é', 'a b', 'x']))}/{one}.jpg", "width": 50, "height": 40}
        for one in image_ids
    ]
    annotations = []
    for number in draw(st.permutations(range(draw(st.integers(0, 12))))):
        one = {
            "id": number,
            "image_id": draw(st.sampled_from(image_ids)),
            "category_id": draw(st.sampled_from(class_ids)),
            "bbox": [draw(st.integers(-20, 60)), draw(st.integers(-20, 60)), draw(SIDES), draw(SIDES)],
        }
        one |= draw(st.sampled_from([{}, {"iscrowd": 1}, {"iscrowd": 0}, {"ignore": 1}]))
        one |= draw(st.sampled_from([{}, {"area": 0}, {"area": 9.5}]))
        masks = [[], [[1, 2, 3, 4, 5, 6]], [[1, 1, 2, 2, 3, 3], [4.5, 4, 5, 5, 6, 6]], [1, 2, 3, 4, 5, 7]]
        masks.append({"counts": [4, 2, 1994], "size": [40, 50]})
        if (mask := draw(st.sampled_from([None, *masks]))) is not None:
            one["segmentation"] = mask
        annotations.append(one)
    classes = [{"id": one, "name": f"class {one}"} for one in class_ids]
    return {"images": images, "annotations": annotations, "categories": classes}


def kept(one: dict, image: dict) -> bool:
    """Whether mmdet's CocoDataset keeps an annotation, in its own words."""
    x, y, w, h = one["bbox"]
    inter_w = max(0, min(x + w, image["width"]) - max(x, 0))
    inter_h = max(0, min(y + h, image["height"]) - max(y, 0))
    if one.get("ignore", False) or inter_w * inter_h == 0:
        return False
    return one.get("area", w * h) > 0 and w >= 1 and h >= 1


def instances(content: dict, image: dict, labels: list[int]) -> list[dict]:
    """An image's objects, by going through all annotations."""
    places = {one["id"]: place for place, one in enumerate(content["categories"])}
    found = []
    for one in content["annotations"]:
        label = labels[places[one["category_id"]]]
        if one["image_id"] != image["id"] or label < 0 or not kept(one, image):
            continue
        x, y, w, h = one["bbox"]
        instance = {"ignore_flag": one.get("iscrowd", 0), "bbox": [x, y, x + w, y + h], "bbox_label": label}
        mask = one.get("segmentation")
        if mask:
            instance["mask"] = [mask] if isinstance(mask, list) and not isinstance(mask[0], list) else mask
        found.append(instance)
    return found


@SLOWLY
@given(coco(), st.booleans(), st.data())
def test_an_images_objects_are_those_of_a_slow_loop(tmp_path, content, spaced, data):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content, indent=1 if spaced else None), "utf-8")
    index = IndexMaker(read(file)).in_memory()
    labels = data.draw(st.permutations(range(len(content["categories"]))))
    labels = [-1 if label == 3 else label for label in labels]
    assert index.classes == [one["name"] for one in content["categories"]]
    for place, image in enumerate(content["images"]):
        assert index.file_name(place) == image["file_name"]
        assert index.instances(place, labels) == instances(content, image, labels)
    named = {one["image_id"] for one in content["annotations"]}
    everything = index.with_any_of(np.zeros(len(labels), dtype=np.int64))
    assert everything.tolist() == [image["id"] in named for image in content["images"]]


@SLOWLY
@given(coco())
def test_the_columns_are_the_files_in_its_order(tmp_path, content):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content), "utf-8")
    found = read(file)
    by_image = defaultdict(list)
    for place, one in enumerate(content["annotations"]):
        by_image[one["image_id"]].append(place)
        assert found.bbox[place].tolist() == one["bbox"]
        assert found.image_id[found.image[place]] == one["image_id"]
        assert found.category_id[found.category[place]] == one["category_id"]
        assert found.area[place] == one.get("area", one["bbox"][2] * one["bbox"][3])
        mask = one.get("segmentation") or None
        flat = isinstance(mask, list) and not isinstance(mask[0], list)
        assert found.segmentation(place) == ([mask] if flat else mask)
    assert found.n_computed == sum("area" not in one for one in content["annotations"])
    index = IndexMaker(found).in_memory()
    for place, image in enumerate(content["images"]):
        begin, end = index.first[place : place + 2]
        assert index.bbox[begin:end].tolist() == found.bbox[by_image[image["id"]]].tolist()


@SLOWLY
@given(coco(), st.data())
def test_an_entry_of_the_cache_is_the_same_and_a_damaged_one_is_none(tmp_path, content, data):
    file, entry = tmp_path / "a.json", tmp_path / "cache" / "a.index"
    file.write_text(json.dumps(content), "utf-8")
    maker = IndexMaker(read(file))
    cache.write_index(maker, entry, file)
    own, mapped = maker.in_memory(), cache._opened(entry)
    assert mapped.classes == own.classes
    for name in ARRAYS:
        first, second = getattr(own, name), getattr(mapped, name)
        assert (first.dtype, first.shape) == (second.dtype, second.shape)
        np.testing.assert_array_equal(first, second)
    again = pickle.loads(pickle.dumps(mapped))
    np.testing.assert_array_equal(again.bbox, own.bbox)
    whole = bytearray(entry.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    entry.write_bytes(whole)
    assert cache._opened(entry) is None
    entry.write_bytes(entry.read_bytes()[: data.draw(st.integers(0, len(whole) - 1))])
    assert cache._opened(entry) is None


@pytest.mark.parametrize("digest", ["0" * 64, "f" * 64])
def test_an_entry_is_named_by_the_content_and_the_layout(tmp_path, digest):
    assert cache.entry_of(digest, tmp_path) == tmp_path / "annotations" / f"{digest[:32]}.v{cache.VERSION}.index"
