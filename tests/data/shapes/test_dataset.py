"""The embedded data set: what is in it, that it is the same everywhere, and that nothing breaks it."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.path import Path as Outline
from pycocotools.coco import COCO

from pkdcli.data.checks.coco import check_split, same_classes
from pkdcli.data.shapes import dataset, scene
from pkdcli.data.shapes.raster import SUB, Stream, fill
from pkdcli.errors import ExitCode, PkdError

STAR = 1 + dataset.CLASSES.index("star")
SPLITS = ("train", "val", "test")
SMALL = {"train": 3, "val": 2, "test": 1}


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> tuple[Path, list[tuple[int, int]]]:
    """The whole data set, drawn once, and the progress that was reported."""
    calls: list[tuple[int, int]] = []
    cache = tmp_path_factory.mktemp("cache")
    folder = dataset.ensure_shapes(cache, lambda done, total: calls.append((done, total)))
    assert folder == cache / "data" / "shapes-v1"
    return folder, calls


@pytest.fixture
def small(monkeypatch, tmp_path) -> Path:
    """A cache for a data set of six pictures, in place of twelve hundred."""
    checksum = dataset.generate(tmp_path / "reference", SMALL)
    monkeypatch.setattr(dataset, "COUNTS", SMALL)
    monkeypatch.setattr(dataset, "CHECKSUM", checksum)
    return tmp_path / "cache"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _picture(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]


# The whole set


def test_the_files_hold_what_the_checksum_says(full):
    folder, calls = full
    assert dataset.checksum_of(folder) == dataset.CHECKSUM
    assert calls == [(done, 1200) for done in range(1, 1201)]
    assert [len(list((folder / "images" / split).iterdir())) for split in SPLITS] == [800, 200, 200]
    assert [p.name for p in folder.parent.iterdir()] == ["shapes-v1"]


def test_a_second_use_finds_it_whole_at_once(full):
    folder, _ = full
    start = time.process_time()
    dataset.ensure_shapes(folder.parent.parent, lambda done, total: pytest.fail("drawn again"))
    assert time.process_time() - start < 0.05


def test_it_passes_the_check_of_a_users_data_set(full):
    folder, _ = full
    reports = {s: check_split(folder / "images" / s, folder / "annotations" / f"{s}.json") for s in SPLITS}
    assert [r.n_images for r in reports.values()] == [800, 200, 200]
    for report in reports.values():
        assert report.classes == list(dataset.CLASSES)
        assert (report.problems, report.has_masks) == ([], True)
        assert (report.n_zero_size, report.n_outside, report.n_empty) == (0, 0, 0)
        same_classes(reports["train"].classes, report.classes, "train.json", "val.json")
    assert reports["train"].n_images - reports["train"].n_empty == dataset.TRAIN_IMAGES


@pytest.mark.parametrize("split", SPLITS)
def test_every_size_and_class_has_a_good_share(full, split):
    folder, _ = full
    coco = json.loads((folder / "annotations" / f"{split}.json").read_text())
    areas = np.array([a["area"] for a in coco["annotations"]])
    shares = [(areas < 32**2).mean(), ((areas >= 32**2) & (areas <= 96**2)).mean(), (areas > 96**2).mean()]
    assert np.allclose(shares, [0.43, 0.38, 0.19], atol=0.03)
    classes = np.bincount([a["category_id"] for a in coco["annotations"]], minlength=7)[1:]
    assert classes.min() > 0.13 * classes.sum()
    per_image = np.bincount([a["image_id"] for a in coco["annotations"]])[1:]
    assert (per_image.min(), per_image.max()) == (1, 4)
    assert {a["iscrowd"] for a in coco["annotations"]} == {0}
    assert min(min(a["bbox"][2:]) for a in coco["annotations"]) >= 4


@pytest.mark.parametrize("split", ["val", "test"])
def test_masks_areas_and_boxes_agree_with_pycocotools(full, split):
    folder, _ = full
    coco = COCO(str(folder / "annotations" / f"{split}.json"))
    for item in coco.anns.values():
        mask = coco.annToMask(item).astype(bool)
        points = np.array(item["segmentation"][0]).reshape(-1, 2)
        around = np.abs(np.diff(np.vstack([points, points[:1]]), axis=0)).sum()
        # pycocotools fills a polygon on a grid of its own, up to half a pixel off along its outline.
        assert abs(mask.sum() - item["area"]) <= around / 2
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x, y, width, height = item["bbox"]
        edges = [columns[0] - x, rows[0] - y, columns[-1] + 1 - x - width, rows[-1] + 1 - y - height]
        # On that grid the last pixel of a star's tip can be too thin to be filled.
        assert np.abs(edges).max() <= (2 if item["category_id"] == STAR else 1), item


def test_boxes_are_tight_for_an_independent_rasteriser(full):
    folder, _ = full
    coco = json.loads((folder / "annotations" / "test.json").read_text())
    centres = np.stack(np.meshgrid(np.arange(160) + 0.5, np.arange(160) + 0.5), axis=-1).reshape(-1, 2)
    for item in coco["annotations"][:80]:
        points = np.array(item["segmentation"][0]).reshape(-1, 2)
        mask = Outline(points).contains_points(centres).reshape(160, 160)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x, y, width, height = item["bbox"]
        edges = [columns[0] - x, rows[0] - y, columns[-1] + 1 - x - width, rows[-1] + 1 - y - height]
        assert np.abs(edges).max() <= 1, item
        assert min(x, y) >= 0
        assert max(x + width, y + height) <= 160


@pytest.mark.parametrize("split", SPLITS)
def test_no_object_is_mostly_hidden_by_later_ones(full, split):
    folder, _ = full
    coco = json.loads((folder / "annotations" / f"{split}.json").read_text())
    by_image: dict[int, list[np.ndarray]] = {}
    for item in coco["annotations"]:
        points = (np.array(item["segmentation"][0]) * SUB).astype(np.int64).reshape(-1, 2)
        by_image.setdefault(item["image_id"], []).append(points)
    hidden = []
    for outlines in by_image.values():
        owner = np.full((160, 160), -1)
        whole = []
        for index, points in enumerate(outlines):
            x0, y0, mask = fill(points, 160, 160)
            owner[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]][mask] = index
            whole.append(mask.sum())
        hidden += [1 - (owner == index).sum() / size for index, size in enumerate(whole)]
    assert max(hidden) <= 0.25
    assert np.mean(np.array(hidden) > 0.05) > 0.1  # and yet there is occlusion


def test_pictures_are_as_annotated(full):
    """The plainest objects are told from what surrounds them by their colour alone."""
    folder, _ = full
    coco = json.loads((folder / "annotations" / "val.json").read_text())
    distances = []
    for item in coco["annotations"]:
        if item["area"] < 1024:
            continue
        picture = _picture(folder / "images" / "val" / f"{item['image_id'] - 1:06d}.png").astype(float)
        points = (np.array(item["segmentation"][0]) * SUB).astype(np.int64).reshape(-1, 2)
        x0, y0, mask = fill(points, 160, 160)
        window = picture[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]]
        distances.append(np.abs(window[mask].mean(axis=0) - window[~mask].mean(axis=0)).max())
    assert np.mean(np.array(distances) > 20) > 0.75


# One picture


def test_a_picture_does_not_depend_on_how_many_there_are(full, tmp_path):
    folder, _ = full
    dataset.generate(tmp_path, SMALL)
    for split, count in SMALL.items():
        for index in range(count):
            name = f"images/{split}/{index:06d}.png"
            assert (_picture(tmp_path / name) == _picture(folder / name)).all()


def test_every_patch_stroke_and_object_is_drawn_where_it_should_be(monkeypatch):
    calls = []
    paint = scene._paint

    def watched(picture, stream, x0, y0, mask, usual=None):
        before = picture.copy()
        paint(picture, stream, x0, y0, mask, usual)
        changed = (picture != before).any(axis=-1)
        inside = np.zeros((160, 160), dtype=bool)
        inside[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
        assert not changed[~inside].any()
        if inside.any():
            assert changed[inside].mean() > 0.5
        calls.append(inside)

    monkeypatch.setattr(scene, "_paint", watched)
    for index in range(40):
        calls.clear()
        picture, objects = scene.compose(Stream(1, 0, index))
        assert (picture.shape, picture.dtype) == ((160, 160, 3), np.uint8)
        boxes = []
        for inside in calls:
            rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            if len(rows):
                boxes.append((columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]))
        assert set(item.box for item in objects) <= set(boxes)


def test_drawing_uses_no_floating_point(monkeypatch):
    """Floats round differently from one machine to the next: none may appear in between."""
    kinds = set()
    for name in ("_pattern", "_clouds", "_step", "_background", "_blob", "_scribble"):
        real = getattr(scene, name)

        def spied(*args, real=real):
            result = real(*args)
            kinds.update(a.dtype.kind for a in (*args, result) if isinstance(a, np.ndarray))
            return result

        monkeypatch.setattr(scene, name, spied)
    for index in range(10):
        for item in scene.compose(Stream(1, 1, index))[1]:
            kinds.add(item.points.dtype.kind)
    assert kinds == {"i"}


# Files


def test_the_same_again(tmp_path):
    assert dataset.generate(tmp_path / "a", SMALL) == dataset.generate(tmp_path / "b", SMALL)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


def test_annotation_files_are_in_cocos_format(tmp_path):
    dataset.generate(tmp_path, SMALL)
    coco = json.loads((tmp_path / "annotations" / "val.json").read_text())
    assert coco["images"] == [
        {"id": 1, "file_name": "000000.png", "width": 160, "height": 160},
        {"id": 2, "file_name": "000001.png", "width": 160, "height": 160},
    ]
    assert [c["name"] for c in coco["categories"]] == list(dataset.CLASSES)
    assert [c["id"] for c in coco["categories"]] == list(range(1, len(dataset.CLASSES) + 1))
    assert [a["id"] for a in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    for item in coco["annotations"]:
        assert sorted(item) == ["area", "bbox", "category_id", "id", "image_id", "iscrowd", "segmentation"]
        assert all(type(v) is float for v in [*item["bbox"], item["area"], *item["segmentation"][0]])


def test_the_checksum_covers_pixels_and_annotations_but_not_compression(tmp_path):
    checksum = dataset.generate(tmp_path, SMALL)
    path = tmp_path / "images" / "val" / "000001.png"
    picture = _picture(path)
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert dataset.checksum_of(tmp_path) == checksum
    changed = picture.copy()
    changed[5, 6, 1] ^= 1
    cv2.imwrite(str(path), changed[..., ::-1])
    assert dataset.checksum_of(tmp_path) != checksum
    cv2.imwrite(str(path), picture[..., ::-1])
    annotations = tmp_path / "annotations" / "test.json"
    annotations.write_text(annotations.read_text().replace('"iscrowd":0', '"iscrowd":1', 1))
    assert dataset.checksum_of(tmp_path) != checksum


def test_a_wrong_checksum_is_refused_and_nothing_kept(small, monkeypatch):
    right = dataset.CHECKSUM
    monkeypatch.setattr(dataset, "CHECKSUM", "0" * 64)
    with pytest.raises(PkdError) as caught:
        dataset.ensure_shapes(small)
    assert caught.value.message == (
        f"the data set shapes version 1 came out different on this machine: its checksum is {right}, not {'0' * 64}."
    )
    assert caught.value.code == ExitCode.MISSING
    assert "reinstall" in caught.value.hint
    assert list((small / "data").iterdir()) == []


def _remove(path):
    path.unlink()


def _truncate(path):
    os.truncate(path, 100)


def _garble(path):
    path.write_text(path.read_text()[:-9] + " " * 9)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("images/train/000002.png", _remove),
        ("images/test/000000.png", _truncate),
        ("annotations/val.json", _remove),
        ("annotations/train.json", _garble),
        ("shapes.json", _remove),
        ("shapes.json", _truncate),
        ("images/val", shutil.rmtree),
    ],
)
def test_damage_is_mended(small, name, damage):
    folder = dataset.ensure_shapes(small)
    before = _files(folder)
    damage(folder / name)
    assert dataset.ensure_shapes(small) == folder
    assert _files(folder) == before
    assert [p.name for p in folder.parent.iterdir()] == ["shapes-v1"]


def test_a_set_of_another_checksum_is_replaced(small, monkeypatch):
    folder = dataset.ensure_shapes(small)
    marker = json.loads((folder / "shapes.json").read_text())
    (folder / "shapes.json").write_text(json.dumps({**marker, "checksum": "f" * 64}))
    dataset.ensure_shapes(small)
    assert json.loads((folder / "shapes.json").read_text()) == marker


def test_an_interruption_leaves_nothing(small):
    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.ensure_shapes(small, interrupt)
    assert list((small / "data").iterdir()) == []
    assert (dataset.ensure_shapes(small) / "shapes.json").is_file()


def test_what_a_killed_process_left_is_swept_up_when_old(small):
    (small / "data").mkdir(parents=True)
    old, new = (small / "data" / f".shapes-v1.{name}.part" for name in ("old", "new"))
    for path in (old, new):
        (path / "images").mkdir(parents=True)
    os.utime(old, (time.time() - 7200,) * 2)
    dataset.ensure_shapes(small)
    assert sorted(p.name for p in (small / "data").iterdir()) == [".shapes-v1.new.part", "shapes-v1"]


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_a_killed_process_leaves_no_data_set(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom pkdcli.data.shapes.dataset import ensure_shapes\n"
        "ensure_shapes(Path(sys.argv[1]), lambda done, total: print(done, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = [p.name for p in (tmp_path / "data").iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".shapes-v1.")


def _ensure(cache: Path, counts: dict[str, int], checksum: str, barrier, results) -> None:
    dataset.COUNTS, dataset.CHECKSUM = counts, checksum
    barrier.wait()
    results.put(str(dataset.ensure_shapes(cache)))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_two_processes_at_once_both_end_well(small):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.Queue()
    arguments = (small, SMALL, dataset.CHECKSUM, barrier, results)
    processes = [context.Process(target=_ensure, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    folders = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert folders == {str(small / "data" / "shapes-v1")}
    assert dataset.checksum_of(small / "data" / "shapes-v1") == dataset.CHECKSUM
    assert [p.name for p in (small / "data").iterdir()] == ["shapes-v1"]


def test_another_process_may_finish_first(small, monkeypatch, tmp_path):
    """Ours is dropped for theirs, which is whole: a reader of it is not disturbed."""
    real = dataset._install

    def late(beside, folder):
        shutil.copytree(tmp_path / "reference", folder)
        theirs = os.stat(folder).st_ino
        real(beside, folder)
        assert os.stat(folder).st_ino == theirs

    monkeypatch.setattr(dataset, "_install", late)
    folder = dataset.ensure_shapes(small)
    assert _files(folder) == _files(tmp_path / "reference")
    assert [p.name for p in folder.parent.iterdir()] == ["shapes-v1"]


def test_no_space_left(small, monkeypatch):
    def full_disk(path, picture):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset, "_write_png", full_disk)
    with pytest.raises(PkdError) as caught:
        dataset.ensure_shapes(small)
    assert caught.value.message == f"no space left to write {small / 'data' / 'shapes-v1'}."
    assert caught.value.code == ExitCode.MISSING
    assert list((small / "data").iterdir()) == []


def test_a_cache_that_is_a_file(small):
    small.parent.mkdir(exist_ok=True)
    small.write_text("")
    with pytest.raises(PkdError, match=r"can't write .*shapes-v1: "):
        dataset.ensure_shapes(small)


def test_a_cache_in_a_folder_with_odd_characters(small):
    cache = small / 'a "b" c\nd é'
    folder = dataset.ensure_shapes(cache)
    assert dataset.checksum_of(folder) == dataset.CHECKSUM


def test_drawing_loads_no_torch():
    code = (
        "import sys, pkdcli.data.shapes.dataset, pkdcli.data.checks.coco\n"
        "print([name for name in sys.modules if name in {'torch', 'mmengine', 'mmdet'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
