"""The features behind the figures are those of each detector, with its own weights and input."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from pkdcli.config.levels import Level
from pkdcli.engine.analysis import activations
from pkdcli.engine.analysis import features as module
from pkdcli.engine.analysis.features import main, measure, named
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.features import Features
from pkdcli.runs.store import write_json

LONGEST = 128  # pixels
SIZES = ((96, 128), (140, 105))  # height and width of the files


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two pictures of different shapes, in colour."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    paths = [folder / "a.png", folder / "b.png"]
    for path, (height, width) in zip(paths, SIZES, strict=True):
        coarse = generator.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return paths


def recipe_of(pair, who, classes=("a", "b", "c")):
    recipe = resolve(Request(pair=pair, scale="tiny", loss="pkd", init="scratch"))
    data = recipe.data.model_copy(update={"classes": list(classes), "image": LONGEST, "masks": False})
    none = {"name": "none", "type": "none"}
    detector = getattr(recipe, who).model_dump()
    content = {**recipe.model_dump(), "role": "baseline", "teacher": None, "student": detector, "loss": none}
    return {**content, "init": "scratch", "data": data.model_dump(), "pretrained": False}


def asked(folder, pictures, pair="gfl101-fcos50", weights=(None, None), boxes=None, **more):
    detectors = [
        {"key": who, "title": who.upper(), "recipe": recipe_of(pair, who), "weights": file, "source": f"of {who}"}
        for who, file in zip(("teacher", "student"), weights, strict=True)
    ]
    images = [{"path": str(path), "boxes": boxes} for path in pictures]
    about = {"pair": pair, "data": "micro", "scale": "tiny", "seed": 3, "cache": str(folder / "cache")}
    files = {"output": str(folder / "f.npz"), "answer": str(folder / "answer.json")}
    return {"detectors": detectors, "images": images, **about, **files, **more}


def built(pair, who, seed, classes=("a", "b", "c")):
    """A detector alone, with random weights."""
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope

    import pkdcli.engine.register  # noqa: F401
    from pkdcli.config.build import detector
    from pkdcli.recipe.schema import Recipe

    init_default_scope("mmdet")
    recipe = Recipe.model_validate(recipe_of(pair, who, classes))
    torch.manual_seed(seed)
    return MODELS.build(ConfigDict(detector(recipe, recipe.student))).eval()


def resized(path):
    pixels = cv2.imread(str(path))
    factor = LONGEST / max(pixels.shape[:2])
    size = tuple(int(side * factor + 0.5) for side in (pixels.shape[1], pixels.shape[0]))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def alone(model, path):
    """What comes out of the neck for an image by itself, without what lies beyond its edges."""
    image = resized(path)
    inputs = [torch.from_numpy(image).permute(2, 0, 1).contiguous()]
    batch = model.data_preprocessor({"inputs": inputs, "data_samples": None}, False)["inputs"]
    with torch.no_grad():
        outputs = model.extract_feat(batch)
    strides = [batch.shape[-1] / output.shape[-1] for output in outputs]
    exact = [2 ** round(np.log2(stride)) for stride in strides]
    return {
        f"P{stride.bit_length() - 1}": output[0, :, : -(-image.shape[0] // stride), : -(-image.shape[1] // stride)]
        .double()
        .numpy()
        for stride, output in zip(exact, outputs, strict=True)
    }


@pytest.fixture(scope="module", params=["gfl101-fcos50", "maskswin-faster50"])
def measured(request, pictures, tmp_path_factory):
    """Features of a pair with weights from files, and the detectors that these are of."""
    folder = tmp_path_factory.mktemp("measured")
    models, files = {}, []
    for n, who in enumerate(("teacher", "student")):
        # Trained on other classes: the figures show necks, for which that makes no difference.
        models[who] = built(request.param, who, 7 + n, classes=("x", "y", "z", "w", "v"))
        files.append(str(folder / f"{who}.pth"))
        torch.save(models[who].state_dict(), files[-1])
    found = measure(asked(folder, pictures, request.param, files, boxes=[[16.0, 16.0, 64.0, 48.0]]))
    return found, models, request.param


def test_levels_are_named_by_stride(measured):
    found, _, pair = measured
    expected = {"gfl101-fcos50": ["P3", "P4", "P5", "P6", "P7"], "maskswin-faster50": ["P2", "P3", "P4", "P5", "P6"]}
    for one in found.detectors:
        assert [(level["name"], level["stride"]) for level in one["levels"]] == [
            (name, 2 ** int(name[1])) for name in expected[pair]
        ]


def test_the_features_are_those_of_each_detector_with_its_own_weights_and_input(measured, pictures):
    found, models, _ = measured
    for who, model in models.items():
        by_image = [alone(model, path) for path in pictures]
        for level in found.levels_of_all():
            maps = [one[level] for one in by_image]
            for name, reduce in activations.REDUCTIONS.items():
                for image, one in enumerate(maps):
                    ours = found.pattern(who, level, image, name)
                    np.testing.assert_allclose(ours, reduce(one), rtol=1e-4, atol=1e-5)
            after = activations.standardised(maps)
            for image, (one, other) in enumerate(zip(maps, after, strict=True)):
                np.testing.assert_array_equal(
                    found.numbers(who, level, image, False), activations.dominant_channels(one)
                )
                differ = found.numbers(who, level, image, True) - activations.dominant_channels(other)
                assert abs(differ).sum() <= 2  # two channels may be equal but for float32's rounding
            row = found.statistics(who, level)
            for key, value in activations.summary(maps).items():
                assert row[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


def test_counts_sum_to_the_positions_of_each_image_and_stage(measured):
    found, _, _ = measured
    sizes = [image["size"] for image in found.images]
    assert sizes == [[96, 128], [128, 96]]
    for who, level in found.each():
        stride = found.stride(level)
        for image, (height, width) in enumerate(sizes):
            shape = (-(-height // stride), -(-width // stride))
            assert found.pattern(who, level, image, "max").shape == shape
            for normalised in (False, True):
                counts = found.numbers(who, level, image, normalised)
                assert counts.shape == (64,)
                assert counts.sum() == shape[0] * shape[1]
        assert found.histogram(who, level)[0].sum() == found.statistics(who, level)["values"]


def test_the_image_and_its_boxes_are_as_the_detectors_see_them(measured, pictures):
    found, _, _ = measured
    for n, path in enumerate(pictures):
        np.testing.assert_array_equal(found.pixels(n), resized(path)[:, :, ::-1])
    # The second picture, 140 pixels high, is resized to 128; 105 wide, to 96.
    assert found.images[0]["boxes"] == [[16, 16, 64, 48]]
    by = (96 / 105, 128 / 140)
    assert found.images[1]["boxes"][0] == pytest.approx([16 * by[0], 16 * by[1], 64 * by[0], 48 * by[1]])
    assert len(found.meta["noise"]) == 2 * len(found.levels_of_all()) * 2
    row = found.noise("student", "P3", 0)
    assert row["area"] == pytest.approx(1 - 48 * 32 / (96 * 128))
    assert 0 < row["share"] < 1


def test_random_weights_are_the_seed_s(tmp_path, pictures):
    first, again, other = (
        measure(asked(tmp_path, pictures[:1], weights=(None, None), seed=seed)) for seed in (3, 3, 4)
    )
    ours, same, unlike = (one.pattern("student", "P3", 0, "norm") for one in (first, again, other))
    np.testing.assert_array_equal(ours, same)
    assert not np.allclose(ours, unlike)
    assert first.meta["noise"] == []


def test_weights_of_another_detector_are_refused(tmp_path, pictures, measured):
    _, models, _ = measured
    torch.save(models["student"].state_dict(), tmp_path / "other.pth")
    with pytest.raises(PkdError, match="is a checkpoint of another architecture than Retina-ResX101"):
        measure(asked(tmp_path, pictures, "retinax101-retina50", (str(tmp_path / "other.pth"), None)))


def test_weights_that_have_diverged_are_refused(tmp_path, pictures):
    state = built("gfl101-fcos50", "teacher", 0).state_dict()
    state["neck.fpn_convs.1.conv.weight"].fill_(float("nan"))
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(PkdError, match="GFL-Res101: features of P4 are not finite"):
        measure(asked(tmp_path, pictures, weights=(str(tmp_path / "nan.pth"), None)))


def test_strides_that_a_config_does_not_tell_come_from_the_sizes():
    outputs = [torch.zeros(1, 8, 25, side) for side in (42, 21, 11)]
    levels = named([Level(None, 8)] * 3, 336, outputs)
    assert levels == [{"name": f"P{n}", "stride": 2**n, "channels": 8} for n in (3, 4, 5)]


def test_main_writes_the_features(tmp_path, pictures):
    write_json(tmp_path / "request.json", asked(tmp_path, pictures))
    assert main([str(tmp_path / "request.json")]) == 0
    assert json.loads((tmp_path / "answer.json").read_text()) == {"features": str(tmp_path / "f.npz")}
    found = Features.read(tmp_path / "f.npz")
    assert [one["title"] for one in found.detectors] == ["TEACHER", "STUDENT"]


def answer_of(folder, request):
    write_json(folder / "request.json", request)
    code = main([str(folder / "request.json")])
    return code, json.loads((folder / "answer.json").read_text())["error"]


@pytest.mark.parametrize("content", [b"no image", b"\xff\xd8\xff half a JPEG", b""])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    code, error = answer_of(tmp_path, asked(tmp_path, [path]))
    assert (code, error["code"]) == (2, 2)
    assert error["message"] == f"{path}: can't be read as an image."
    assert not (tmp_path / "f.npz").exists()


def test_an_image_of_another_size_than_annotated_is_a_wrong_file(tmp_path, pictures):
    request = asked(tmp_path, pictures[:1])
    request["images"][0]["annotated"] = [999, 77]
    code, error = answer_of(tmp_path, request)
    assert (code, error["code"]) == (2, 2)
    assert error["message"].startswith(f"image {pictures[0]} is ")
    assert error["message"].endswith(" pixels, but 999 x 77 in the annotations.")


def test_an_unforeseen_error_is_said_with_its_place(tmp_path, pictures, monkeypatch):
    def broken(request):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(module, "measure", broken)
    code, error = answer_of(tmp_path, asked(tmp_path, pictures))
    assert (code, error["message"]) == (1, "RuntimeError: on purpose")
    assert error["hint"].startswith(f"This is a defect of pkd; it stopped in {__file__}, line ")
