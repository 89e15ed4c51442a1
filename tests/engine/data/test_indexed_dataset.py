"""The data set over an index against mmdet's own CocoDataset, field by field; and the index in the cache."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from pkdcli.compat import activate

activate()

from mmdet.datasets import CocoDataset  # noqa: E402

from pkdcli.data.annotations import cache as annotation_cache  # noqa: E402
from pkdcli.data.annotations.cache import entry_of, open_index  # noqa: E402
from pkdcli.engine.data.dataset import PkdCocoDataset  # noqa: E402
from pkdcli.engine.data.indexed_dataset import IndexedCocoDataset  # noqa: E402
from pkdcli.errors import PkdError  # noqa: E402

CLASSES = ("cat", "dog", "owl")
TRAINING = {"filter_empty_gt": True, "min_size": 32}
POLYGON = [[10, 10, 40.5, 10, 40.5, 30.25]]
RUNS = {"size": [48, 64], "counts": [100, 20, 2952]}


def content():
    """A file with one of each: ids with gaps, images in no order, crowds, and all that is left out of learning."""
    images = [
        {"id": number, "file_name": f"sub/{number} ü.jpg", "width": width, "height": height}
        for number, width, height in [(70, 64, 48), (3, 640, 480), (9, 31, 64), (12, 64, 48), (5, 32, 33), (4, 64, 64)]
    ]
    boxes = [
        (70, 8, [10, 10, 30.5, 20.25], {"segmentation": POLYGON}),
        (3, 2, [0, 0, 640, 480], {"segmentation": []}),
        (70, 2, [5, 5, 20, 20], {"iscrowd": 1, "segmentation": RUNS}),
        (70, 2, [5, 5, 20, 20], {"ignore": 1}),
        (3, 8, [5, 5, 0.5, 20], {}),  # narrower than a pixel
        (3, 8, [-30, 5, 20, 20], {}),  # outside
        (3, 8, [-10, 470.5, 20.125, 20], {"segmentation": None}),  # half outside
        (3, 5, [1, 2, 30, 40], {"area": 0}),
        (9, 5, [1, 2, 10, 20], {}),  # in an image that is too small
        (5, 2, [1, 2, 10, 20], {"segmentation": [[1, 2, 3]]}),  # no polygon
        (4, 8, [10, 10, 20, 20], {"ignore": 1}),  # all that its image has
        (3, 2, [3, 4, 5, 6], {"segmentation": {"size": [480, 640], "counts": "PPYo0"}}),
    ]
    annotations = [
        {"id": 900 - number, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3],
         "iscrowd": 0, **more}
        for number, (image, category, box, more) in enumerate(boxes)
    ]  # fmt: skip
    categories = [{"id": id_, "name": name} for id_, name in [(8, "cat"), (2, "dog"), (5, "owl")]]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """That file, and a cache which even so small a one is kept in."""
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(annotation_cache, "SMALL", 0)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content()))
    return path


def made(kind, file, **options):
    usual = {"ann_file": str(file), "data_prefix": {"img": "/images"}, "metainfo": {"classes": CLASSES}, "pipeline": []}
    return kind(**{**usual, **options})


OPTIONS = {
    "training": {"filter_cfg": TRAINING},
    "with background": {"filter_cfg": {"filter_empty_gt": False, "min_size": 32}},
    "no filter": {},
    "evaluation": {"test_mode": True, "filter_cfg": TRAINING},
    "a class": {"filter_cfg": TRAINING, "metainfo": {"classes": ("owl",)}},
    "two classes in another order": {"filter_cfg": TRAINING, "metainfo": {"classes": ("dog", "cat")}},
    "a class that is not there": {"filter_cfg": TRAINING, "metainfo": {"classes": ("cat", "fox")}},
    "the first": {"test_mode": True, "indices": 2},
    "the last": {"test_mode": True, "indices": -2},
    "some": {"test_mode": True, "indices": [4, 0, 3]},
    "a folder of segments": {"data_prefix": {"img": "/images", "seg": "/seg"}},
    "texts": {"return_classes": True},
}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_field_is_mmdet_s(file, name):
    # mmdet numbers labels in the file's order whatever was asked for; ours goes by the names (test_labels.py).
    kind = IndexedCocoDataset if name == "two classes in another order" else PkdCocoDataset
    ours, theirs = (made(kind, file, **OPTIONS[name]) for kind in (kind, CocoDataset))
    assert len(ours) == len(theirs) > 0
    for place in [*range(len(ours)), *([-1] if len(ours) > 1 else [])]:  # mmengine has no last of one
        mine, other = ours.get_data_info(place), theirs.get_data_info(place)
        assert mine == other
        assert list(mine) == [*other]
        assert [type(mine[key]) for key in ("height", "width", "img_id")] == [int] * 3
        assert ours.get_cat_ids(place) == theirs.get_cat_ids(place)
    infos = [theirs.get_data_info(place) for place in range(len(ours))]
    assert ours.sizes().tolist() == [[info["width"], info["height"]] for info in infos]


def test_the_images_and_objects_are_those_expected(file):
    found = made(PkdCocoDataset, file, filter_cfg=TRAINING)
    infos = [found.get_data_info(place) for place in range(len(found))]
    assert [info["img_id"] for info in infos] == [70, 3, 5, 4]
    assert infos[0]["img_path"] == "/images/sub/70 ü.jpg"
    assert infos[0]["instances"] == [
        {"ignore_flag": 0, "bbox": [10, 10, 40.5, 30.25], "bbox_label": 0, "mask": POLYGON},
        {"ignore_flag": 1, "bbox": [5, 5, 25, 25], "bbox_label": 1, "mask": RUNS},
    ]
    assert infos[3]["instances"] == []  # its only object is to be ignored: mmdet trains on it all the same


@pytest.mark.parametrize("indices", [2, -1, [2, 0]])
def test_subsets_are_mmdet_s(file, indices):
    ours, theirs = (made(kind, file) for kind in (PkdCocoDataset, CocoDataset))
    if indices != -1:  # of which mmengine's serialized list gives the wrong bytes
        part, other = ours.get_subset(indices), theirs.get_subset(indices)
        assert [part.get_data_info(n) for n in range(len(part))] == [other.get_data_info(n) for n in range(len(other))]
    assert len(ours) == 6
    ours.get_subset_(indices)
    assert [one["img_id"] for one in map(ours.get_data_info, range(len(ours)))] == {
        2: [70, 3], -1: [4], "[2, 0]": [9, 70]}[indices if isinstance(indices, int) else str(indices)]  # fmt: skip


# The cache


def entries(cache):
    return sorted(path.name for path in (cache / "annotations").glob("*.index"))


def read_again(monkeypatch):
    """Counts how often an annotation file is read."""
    calls = []
    read = annotation_cache.read
    monkeypatch.setattr(annotation_cache, "read", lambda *given, **more: calls.append(given) or read(*given, **more))
    return calls


def same(one, other):
    return one.classes == other.classes and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in annotation_cache.ARRAYS
    )


def test_it_is_made_once_for_a_content_and_found_under_any_name(file, tmp_path, monkeypatch):
    calls = read_again(monkeypatch)
    first = open_index(file)
    assert len(calls) == 1
    copy = tmp_path / "copy.json"
    copy.write_bytes(file.read_bytes())
    assert same(open_index(copy), first)
    assert len(calls) == 1
    assert len(entries(tmp_path / "cache")) == 1
    changed = content()
    changed["annotations"][0]["bbox"][0] = 11  # as long as before
    file.write_text(json.dumps(changed))
    assert open_index(file).bbox[0].tolist() == [11, 10, 30.5, 20.25]
    assert len(entries(tmp_path / "cache")) == 2


@pytest.mark.parametrize("damage", ["cut", "a bit", "empty", "another file", "another version", "a folder of text"])
def test_a_damaged_or_foreign_entry_is_made_again(file, tmp_path, monkeypatch, damage):
    first = open_index(file)
    (name,) = entries(tmp_path / "cache")
    entry = tmp_path / "cache" / "annotations" / name
    data = entry.read_bytes()
    middle = len(data) // 2
    entry.unlink()  # what is mapped above stays as it was
    entry.write_bytes({
        "cut": data[:-9], "a bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :], "empty": b"",
        "another file": b"PK\x03\x04" * 40, "another version": data.replace(b'"version": 1', b'"version": 2'),
        "a folder of text": data[:8] + b"\xff" * 8 + data[16:],
    }[damage])  # fmt: skip
    calls = read_again(monkeypatch)
    assert same(open_index(file), first)
    assert len(calls) == 1
    assert entry.read_bytes() == data


def test_two_makers_at_once_make_one(file, tmp_path, monkeypatch):
    calls = read_again(monkeypatch)
    found = []
    processes = [multiprocessing.get_context("fork").Process(target=open_index, args=(file,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(entries(tmp_path / "cache")) == 1
    found.append(open_index(file))
    assert calls == []  # the other processes made it
    assert not list((tmp_path / "cache" / "annotations").glob("*.part"))


def test_who_waits_for_a_maker_reads_nothing(file, monkeypatch):
    """The lock: a process that comes while another makes the entry takes that one's."""
    calls, begun, go_on = read_again(monkeypatch), threading.Event(), multiprocessing.get_context("fork").Event()
    context = multiprocessing.get_context("fork")
    started = context.Event()
    make = annotation_cache._make

    def slow(*given):
        started.set()
        assert go_on.wait(60)
        make(*given)

    monkeypatch.setattr(annotation_cache, "_make", slow)
    maker = context.Process(target=open_index, args=(file,))
    maker.start()
    assert started.wait(60)
    waiting = threading.Thread(target=lambda: (open_index(file), begun.set()))
    waiting.start()
    assert not begun.wait(0.3)
    go_on.set()
    waiting.join(60)
    maker.join(60)
    assert (begun.is_set(), calls, maker.exitcode) == (True, [], 0)


@pytest.mark.skipif(os.name != "posix", reason="folders that can't be written are POSIX's")
def test_without_a_cache_to_write_the_process_holds_them_itself(file, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "annotations").write_text("a file where the folder should be")
    said = []
    index = open_index(file, said.append)
    assert index.again is None
    entry = entry_of(annotation_cache.sha256(file), tmp_path / "cache")
    assert said == [f"can't write {entry}: a file stands where a folder should be. Each process reads {file} and holds "
                    "its annotations itself."]  # fmt: skip
    assert same(pickle.loads(pickle.dumps(index)), index)


def test_a_loader_process_opens_the_file_and_is_sent_no_arrays(file):
    dataset = made(PkdCocoDataset, file, filter_cfg=TRAINING)
    data = pickle.dumps(dataset)
    assert len(data) < 4000
    assert b"\xc3\xbc.jpg" not in data
    again = pickle.loads(data)
    assert [again.get_data_info(n) for n in range(4)] == [dataset.get_data_info(n) for n in range(4)]
    entry_of(annotation_cache.sha256(file), Path(os.environ["PKD_CACHE"])).unlink()
    assert pickle.loads(data).get_data_info(0) == dataset.get_data_info(0)  # made again


def test_a_large_file_is_read_in_another_process(file, monkeypatch):
    calls = read_again(monkeypatch)
    monkeypatch.setattr(annotation_cache, "LARGE", 0)
    index = open_index(file)
    assert calls == []
    assert index.again is not None
    assert index.image_id.tolist() == [70, 3, 9, 12, 5, 4]


def test_what_is_wrong_with_the_file_is_said(file, tmp_path, monkeypatch):
    monkeypatch.setattr(annotation_cache, "LARGE", 0)
    broken = content()
    broken["annotations"][3]["image_id"] = 71
    file.write_text(json.dumps(broken))
    with pytest.raises(PkdError, match=r"annotations\[3\]\.image_id = 71") as caught:
        open_index(file)
    assert str(file) in caught.value.message
    with pytest.raises(PkdError, match=r"nothing\.json does not exist") as caught:
        open_index(tmp_path / "nothing.json")
    assert caught.value.code == 3


def test_a_small_file_needs_no_cache(file, tmp_path, monkeypatch):
    monkeypatch.setattr(annotation_cache, "SMALL", 10**6)
    assert open_index(file).again is None
    assert not (tmp_path / "cache").exists()
