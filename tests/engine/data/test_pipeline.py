"""Mixed images: mmdet's own, of partners that depend on nothing but (seed, epoch, image)."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import numpy as np
import pytest

import pkdcli.engine.register  # noqa: F401  (first of all: it makes mmdet importable)

# isort: split
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from pkdcli.engine.data.loaded_images import LoadedImages
from pkdcli.engine.data.pipeline import MixingPipeline, Partners, mixed
from pkdcli.engine.data.sampler import PkdBatchSampler, PkdSampler
from pkdcli.errors import PkdError

LOAD = [{"type": "PkdLoadImage"}, {"type": "LoadAnnotations", "with_bbox": True}]
PACK = [{"type": "PackDetInputs", "meta_keys": ("img_id",)}]
# As RTMDet's and YOLOX's configs have them, for images of 96 pixels.
CACHED = [
    {"type": "CachedMosaic", "img_scale": (96, 96), "pad_val": 114.0, "max_cached_images": 20},
    {"type": "RandomResize", "scale": (192, 192), "ratio_range": (0.5, 2.0), "keep_ratio": True},
    {"type": "RandomCrop", "crop_size": (96, 96)},
    {"type": "YOLOXHSVRandomAug"},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "Pad", "size": (96, 96), "pad_val": {"img": (114, 114, 114)}},
    {"type": "CachedMixUp", "img_scale": (96, 96), "ratio_range": (1.0, 1.0), "max_cached_images": 10, "prob": 0.5},
]
UNCACHED = [
    {"type": "Mosaic", "img_scale": (96, 96), "pad_val": 114.0},
    {"type": "RandomAffine", "scaling_ratio_range": (0.5, 1.5), "border": (-48, -48)},
    {"type": "MixUp", "img_scale": (96, 96), "ratio_range": (0.8, 1.6), "pad_val": 114.0},
    {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False},
]
PASTED = [{"type": "Resize", "scale": (96, 96), "keep_ratio": False}, {"type": "CopyPaste", "paste_by_box": True}]


@pytest.fixture(scope="module", autouse=True)
def scope():
    init_default_scope("mmdet")


@pytest.fixture(scope="module")
def section(micro) -> dict:
    """A data set of 16 pictures, without a pipeline."""
    names = [one["name"] for one in json.loads((micro.parent / "annotations/train.json").read_text())["categories"]]
    return {
        "type": "PkdCocoDataset",
        "ann_file": str(micro.parent / "annotations/train.json"),
        "data_prefix": {"img": f"{micro.parent}/images/train/"},
        "metainfo": {"classes": tuple(names)},
    }


def build(section: dict, steps: list, **more):
    return DATASETS.build(copy.deepcopy({**section, "pipeline": [*LOAD, *steps, *PACK], **more}))


def content(item: dict) -> tuple:
    """Pixels, boxes, labels and outlines."""
    sample = item["data_samples"]
    boxes, labels = sample.gt_instances.bboxes.tensor, sample.gt_instances.labels
    return item["inputs"].numpy().tobytes(), boxes.numpy().tobytes(), labels.numpy().tobytes(), sample.img_id


def epoch(dataset, workers: int, number: int, skip: int = 0) -> list[tuple]:
    """What a loader gives of an epoch, image by image, behind its first batches."""
    batches = PkdBatchSampler(PkdSampler(dataset, seed=3), 4)
    batches.go_to(number, skip)
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=workers, collate_fn=pseudo_collate)
    found = []
    for batch in loader:
        for inputs, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
            found.append(content({"inputs": inputs, "data_samples": sample}))
    return found


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize(
    ("steps", "partner_steps", "alike"),
    [(CACHED, None, 0), (UNCACHED, 2, 0), (PASTED, 3, 8)],  # often nothing is pasted
    ids=["cached", "uncached", "pasted"],
)
def test_any_number_of_loaders_and_a_start_within_an_epoch_give_the_same_pixels(section, steps, partner_steps, alike):
    section = {**section, "partner_steps": partner_steps}
    whole = epoch(build(section, steps), 0, number=2)
    assert len(set(whole)) == 16
    assert epoch(build(section, steps), 3, number=2) == whole
    after = build(section, steps)
    epoch(after, 0, number=1)
    assert epoch(after, 2, number=2, skip=2) == whole[8:]
    assert len(set(epoch(after, 0, number=3)) & set(whole)) <= alike
    # Images that have to be loaded again are the same.
    assert epoch(build(section, steps, keep_megabytes=0), 0, number=2) == whole
    assert len(set(epoch(build(section, steps, seed=1), 0, number=2)) & set(whole)) <= alike


def fixed(images: list[dict], *, itself: bool = False) -> Partners:
    """These images to draw from."""
    return Partners(len(images), lambda index: copy.deepcopy(images[index]), itself=itself)


def loaded(section: dict, count: int, masks: bool) -> list[dict]:
    """The first images as they are loaded."""
    load = [LOAD[0], {**LOAD[1], "with_mask": masks}]
    dataset = DATASETS.build(copy.deepcopy({**section, "pipeline": load}))
    return [dataset[index] for index in range(count)]


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(
    "transform",
    [
        {"type": "CachedMosaic", "img_scale": (96, 96), "max_cached_images": 40},
        {"type": "CachedMosaic", "img_scale": (64, 64), "center_ratio_range": (0.7, 1.2), "random_pop": False},
        {"type": "CachedMixUp", "img_scale": (96, 96), "ratio_range": (0.5, 1.5), "max_cached_images": 40},
        {"type": "CachedMixUp", "img_scale": (64, 64), "ratio_range": (1.0, 1.0), "max_cached_images": 40},
    ],
)
def test_with_the_same_images_it_is_mmdets_own_cached_transform(section, transform, masks):
    """mmdet's with all the others in its cache, against ours, which draws them when it wants them."""
    images = loaded(section, 9, masks)
    for number in range(5):
        theirs = TRANSFORMS.build(transform)
        theirs.results_cache = copy.deepcopy(images[1:])  # it adds the image itself as the last
        seed(number)
        expected = theirs(copy.deepcopy(images[0]))
        assert len(theirs.results_cache) == 9

        ours = TRANSFORMS.build(transform)
        seed(number)
        found = mixed(ours, copy.deepcopy(images[0]), fixed(images[1:], itself=True))
        assert ours.results_cache == []
        assert_equal(found, expected)
        assert found["img"].tobytes() != images[0]["img"].tobytes()


@pytest.mark.parametrize(
    ("transform", "masks"),
    [
        ({"type": "Mosaic", "img_scale": (96, 128)}, False),
        ({"type": "MixUp", "img_scale": (96, 96)}, False),
        ({"type": "CopyPaste"}, True),
    ],
)
def test_with_the_same_images_it_is_mmdets_own_transform(section, transform, masks):
    images = loaded(section, 9, masks)
    wrapped = DATASETS.build({"type": "MultiImageMixDataset", "dataset": Listed(images), "pipeline": [transform]})
    for number in range(5):
        seed(number)
        expected = wrapped[0]
        seed(number)
        found = mixed(TRANSFORMS.build(transform), copy.deepcopy(images[0]), fixed(images))
        assert_equal(found, expected)


class Listed(BaseDataset):
    """A data set of images that are loaded already, as mmdet's wrapper takes one."""

    def __init__(self, images: list[dict]) -> None:
        self.images, self._metainfo, self._fully_initialized = images, {}, True

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        return self.images[index]


def assert_equal(found: dict, expected: dict) -> None:
    """Bit by bit."""
    assert set(found) == set(expected)
    np.testing.assert_array_equal(found["img"], expected["img"], strict=True)
    np.testing.assert_array_equal(found["gt_bboxes"].tensor, expected["gt_bboxes"].tensor, strict=True)
    np.testing.assert_array_equal(found["gt_bboxes_labels"], expected["gt_bboxes_labels"], strict=True)
    if "gt_masks" in expected:
        np.testing.assert_array_equal(found["gt_masks"].to_ndarray(), expected["gt_masks"].to_ndarray(), strict=True)
    assert found["img_shape"] == expected["img_shape"]


def went_through(section, steps: list, partner_steps: int | None) -> dict[str, set[int]]:
    """Through how many transforms the partners of each mixing transform went."""
    dataset = build(section, steps, partner_steps=partner_steps)
    pipeline, seen = dataset.pipeline_of(0), {}
    for place, transform in enumerate(pipeline.transforms):
        if hasattr(transform, "get_indexes"):
            partners = pipeline.partners_of(place)
            seen[type(transform).__name__] = partners._make.keywords["steps"]
    return seen


def test_partners_go_through_what_they_do_with_mmdet(section):
    # Cached ones are taken in where they stand; the others come from the data set that the wrapper wraps.
    assert went_through(section, CACHED, None) == {"CachedMosaic": 2, "CachedMixUp": 8}
    assert went_through(section, UNCACHED, None) == {"Mosaic": 2, "MixUp": 2}
    assert went_through(section, PASTED, 3) == {"CopyPaste": 3}


def test_the_pipeline_is_that_of_the_epoch(section):
    plain = [{"type": "Resize", "scale": (64, 64), "keep_ratio": False}]
    later = [{"epoch": 5, "pipeline": [*LOAD, *plain, *PACK]}, {"epoch": 3, "pipeline": [*LOAD, *PACK]}]
    dataset = build(section, UNCACHED, later=later)
    # In any order: a loader process may be asked for images of the next epoch first.
    sizes = {number: tuple(dataset[(1, number)]["inputs"].shape[1:]) for number in (6, 0, 3, 5, 2, 4)}
    assert sizes == {0: (96, 96), 2: (96, 96), 3: (160, 160), 4: (160, 160), 5: (64, 64), 6: (64, 64)}
    dataset.update_skip_type_keys(["Mosaic"])  # as mmdet's hook does at its epoch
    assert tuple(dataset[(1, 0)]["inputs"].shape[1:]) == (96, 96)


@pytest.mark.parametrize("name", ["Mosaic", "CachedMosaic"])
def test_every_image_may_be_drawn_and_none_beyond_the_last(section, name):
    dataset = build(section, [{"type": name, "img_scale": (32, 32)}], indices=4)
    pipeline, drawn = dataset.pipeline_of(0), set()
    for index in range(100):
        partners = pipeline.partners_of(2)
        seed(index)
        mixed(pipeline.transforms[2], dataset.get_data_info(0) | loaded(section, 1, False)[0], partners)
        drawn |= set(partners._made)
    assert drawn == {0, 1, 2, 3}


def test_a_partner_that_a_transform_drops_gives_way_to_another():
    random.seed(1)
    assert Partners(10, lambda index: {"index": index} if index % 3 == 1 else None)[0]["index"] % 3 == 1
    with pytest.raises(PkdError, match="the pipeline dropped 15 images in a row that others were to be mixed with"):
        Partners(10, lambda index: None)[0]


def test_a_step_that_drops_an_image_ends_its_way():
    pipeline = MixingPipeline([lambda info: None, lambda info: 1 / 0], None, lambda: 1, lambda index: {})
    assert pipeline({}) is None


class TestLoadedImages:
    """What a process keeps of loaded images."""

    def test_the_oldest_go_first_and_copies_are_handed_out(self):
        kept, loads = LoadedImages(megabytes=3), []

        def load(path):
            return kept.get(path, lambda: loads.append(path) or np.zeros((1024, 1024), np.uint8))

        for path in "abca":
            load(path)
        load("a")[:] = 7
        assert load("a").sum() == 0
        load("d")  # b was asked for longest ago
        assert (loads, len(kept), kept.bytes) == (list("abcd"), 3, 3 * 2**20)
        load("b")
        assert loads == list("abcdb")

    def test_an_image_beyond_the_limit_is_not_kept(self):
        kept = LoadedImages(megabytes=0.5)
        assert kept.get("a", lambda: np.ones((1024, 1024), np.uint8)).all()
        assert (len(kept), kept.bytes) == (0, 0)

    def test_a_data_set_that_mixes_reads_each_small_image_once(self, section, monkeypatch):
        from pkdcli.engine.data import load_image

        reads = []
        monkeypatch.setattr(load_image, "read", lambda path, *more: reads.append(Path(path).name) or read(path, *more))
        read = __import__("pkdcli.data.images.pixels", fromlist=["read"]).read
        dataset = build(section, CACHED)
        for index in range(16):
            dataset[(index, 0)]
        assert len(reads) == len(set(reads)) == 16
        plain = build(section, [])
        plain[(0, 0)], plain[(0, 0)]
        assert len(reads) == 18  # where nothing is mixed, nothing is kept
