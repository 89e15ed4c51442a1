"""The mathematics of A.3: every number of `verify` against the textbook formulas, written out in float64."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pkdcli.engine.analysis import verify as module
from pkdcli.engine.analysis.verify import SIDES, TEMPERATURES, Level, features, main, verify
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.store import write_json

LONGEST = 128  # pixels


def maps(seed=0, shapes=((2, 8, 12, 10), (2, 8, 6, 5))):
    """Pairs of skewed maps, the student's correlated with the teacher's, channels of very different size."""
    generator = np.random.default_rng(seed)
    levels = []
    for number, shape in enumerate(shapes):
        size = np.logspace(-1, 1, shape[1])[None, :, None, None]
        teacher = generator.exponential(size=shape) * size + generator.normal(size=(1, shape[1], 1, 1))
        student = (0.4 * teacher + generator.exponential(size=shape)) * 3
        levels.append(Level(f"{number}:{number}", torch.from_numpy(student), torch.from_numpy(teacher)))
    return levels


def normalised(x):
    flat = x.transpose(0, 1).flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    return centred / (flat.std(1, keepdim=True) + 1e-6)


def textbook(level, temperature=None):
    """Value and gradient of PKD, or of Norm+KL at a temperature, by autograd over the formula as printed."""
    student = level.student.clone().requires_grad_()
    z_s, z_t = normalised(student), normalised(level.teacher)
    if temperature is None:
        value = ((z_s - z_t) ** 2).mean() / 2
    else:
        log_p, log_q = F.log_softmax(z_t / temperature, 1), F.log_softmax(z_s / temperature, 1)
        value = temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()
    (gradient,) = torch.autograd.grad(value, student)
    return value.item(), gradient


@pytest.fixture(scope="module")
def found():
    return verify(maps())


def test_every_level_is_measured_at_every_temperature_and_all_of_them_together(found):
    expected = [(name, t) for name in ("0:0", "1:1", "all") for t in TEMPERATURES]
    assert [(row["level"], row["T"]) for row in found["limit"]] == expected


def test_values_and_gaps_are_the_textbook_s(found):
    levels = maps()
    for row in found["limit"]:
        chosen = levels if row["level"] == "all" else [x for x in levels if x.name == row["level"]]
        pkd, kl = [textbook(level) for level in chosen], [textbook(level, row["T"]) for level in chosen]
        value, other = sum(v for v, _ in pkd), sum(v for v, _ in kl)
        assert row["pkd"] == pytest.approx(value, rel=1e-10)
        assert row["norm_kl"] == pytest.approx(other, rel=1e-7)
        assert row["value_gap"] == pytest.approx(abs(other - value) / value, rel=1e-3, abs=1e-7)
        ours, theirs = (torch.cat([g.flatten() for _, g in side]).numpy() for side in (kl, pkd))
        gap = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        assert row["gradient_gap"] == pytest.approx(gap, rel=1e-3)
        cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
        assert row["cosine"] == pytest.approx(cosine, abs=1e-7)


def test_pkd_is_one_minus_pearson_s_r(found):
    for level in maps():
        m = level.student[:, 0].numel()
        pairs = zip(level.student.transpose(0, 1), level.teacher.transpose(0, 1), strict=True)
        r = [np.corrcoef(s.flatten(), t.flatten())[0, 1] for s, t in pairs]
        expected = np.mean([(1 - one) * (m - 1) / m for one in r])
        row = next(row for row in found["limit"] if row["level"] == level.name)
        assert row["pkd"] == pytest.approx(expected, rel=1e-4)


def test_the_gap_falls_as_one_over_t(found):
    gaps = {row["T"]: row for row in found["limit"] if row["level"] == "all"}
    for key in ("value_gap", "gradient_gap"):
        assert gaps[500.0][key] / gaps[5000.0][key] == pytest.approx(10, rel=0.05), key


def test_norm_mse_is_twice_pkd(found):
    assert [row["level"] for row in found["ratio"]] == ["0:0", "1:1", "all"]
    assert [row["norm_mse_by_pkd"] for row in found["ratio"]] == pytest.approx([2.0] * 3, abs=1e-12)


def test_mse_depends_on_scale_and_shift_as_written_out(found):
    level = maps()[0]
    factors = torch.logspace(np.log10(0.5), np.log10(20), 8, dtype=torch.float64).view(1, -1, 1, 1)
    shifts = torch.linspace(-5, 5, 8, dtype=torch.float64).view(1, -1, 1, 1)
    s, t = level.student, level.teacher
    before = ((s - t) ** 2).mean()
    after = [((a - b) ** 2).mean() for a, b in ((s * factors, t), (s + shifts, t), (s, t * factors), (s, t + shifts))]
    row = next(row for row in found["invariance"] if (row["level"], row["loss"]) == ("0:0", "mse"))
    expected = [(abs(one - before) / before).item() for one in after]
    assert [row[side] for side in SIDES] == pytest.approx(expected, rel=1e-5)


def test_every_claim_holds_on_ordinary_maps(found):
    assert [check["ok"] for check in found["checks"]] == [True] * 5


@pytest.mark.parametrize(
    ("loss", "factor", "broken"),
    [("norm-kl", 1.02, [0, 1]), ("norm-mse", 1.001, [2]), ("norm-kl", float("nan"), [0, 1])],
)
def test_a_claim_that_does_not_hold_is_found(monkeypatch, loss, factor, broken):
    true_build = module.build_loss
    wrong = lambda name, **more: true_build(name, **more) if name != loss else (  # noqa: E731
        lambda s, t: true_build(name, **more)(s, t) * factor
    )
    monkeypatch.setattr(module, "build_loss", wrong)
    checks = verify(maps())["checks"]
    assert [number for number, check in enumerate(checks) if not check["ok"]] == broken


def test_a_loss_that_does_depend_on_magnitude_is_not_taken_for_pkd(monkeypatch):
    true_build = module.build_loss
    swap = {"pkd": "center-only", "mse": "pkd"}
    monkeypatch.setattr(module, "build_loss", lambda name, **more: true_build(swap.get(name, name), **more))
    checks = {check["check"]: check["ok"] for check in verify(maps())["checks"]}
    assert not checks["pkd keeps its value under scale and shift of either side"]
    assert not checks["mse does not"]


def test_constant_maps_measure_nothing_and_pass_nothing():
    flat = torch.ones(2, 4, 3, 3, dtype=torch.float64)
    found = verify([Level("0:0", flat, 2 * flat)])
    assert {row["value_gap"] for row in found["limit"]} == {None}
    assert [check["ok"] for check in found["checks"]][:3] == [False] * 3


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    """A request on two pictures of different size, with random weights."""
    folder = tmp_path_factory.mktemp("verify")
    generator = np.random.default_rng(0)
    images = [folder / "a.png", folder / "b.png"]
    for path, (height, width) in zip(images, ((96, 128), (80, 96)), strict=True):
        coarse = generator.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    recipe = resolve(Request(pair="gfl101-fcos50", scale="tiny", init="scratch"))
    data = recipe.data.model_copy(update={"classes": ["a", "b", "c"], "image": LONGEST})
    whole = recipe.model_copy(update={"data": data}).model_dump(mode="json")
    files = {"images": list(map(str, images)), "answer": str(folder / "answer.json")}
    return {"recipe": whole, "teacher": None, "student": None, **files}


def test_features_are_those_of_the_two_detectors_with_their_own_weights_and_input(request_, tmp_path):
    levels = features(request_)
    assert [level.name for level in levels] == ["0:0", "1:1", "2:2", "3:3"]
    assert {level.student.dtype for level in levels} == {torch.float64}
    from mmdet.registry import MODELS

    from pkdcli.config.build import detector
    from pkdcli.recipe.schema import Recipe

    recipe = Recipe.model_validate(request_["recipe"])
    torch.manual_seed(7)
    alone = {"student": recipe.student, "teacher": recipe.teacher}
    for name, which in alone.items():
        alone[name] = MODELS.build(detector(recipe, which)).eval()
        torch.save(alone[name].state_dict(), tmp_path / f"{name}.pth")
    given = {name: str(tmp_path / f"{name}.pth") for name in alone}
    again = features({**request_, **given})
    images = []
    for path in request_["images"]:
        pixels = cv2.imread(path)
        factor = LONGEST / max(pixels.shape[:2])
        size = tuple(int(side * factor + 0.5) for side in (pixels.shape[1], pixels.shape[0]))
        resized = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        images.append(torch.from_numpy(resized).permute(2, 0, 1).contiguous())
    for name, model in alone.items():
        batch = model.data_preprocessor({"inputs": images, "data_samples": None}, False)["inputs"]
        with torch.no_grad():
            expected = model.extract_feat(batch)
        for level, other, now in zip(levels, again, expected, strict=False):
            torch.testing.assert_close(getattr(other, name), now.double(), rtol=1e-5, atol=1e-6)
            assert not torch.allclose(getattr(level, name), now.double(), rtol=1e-2), "the weights given were not used"


def test_a_student_of_other_levels_is_resized_to_its_teacher_s(request_):
    recipe = resolve(Request(pair="maskswin-fcos50", scale="tiny", init="scratch"))
    data = recipe.data.model_copy(update={"classes": ["a", "b", "c"], "image": LONGEST})
    whole = recipe.model_copy(update={"data": data}).model_dump(mode="json")
    levels = features({**request_, "recipe": whole})
    # A two-stage teacher's P2 to P5 against a one-stage student's P3 to P6: strides 4 to 32 of 128 pixels.
    assert [tuple(level.teacher.shape[2:]) for level in levels] == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert [level.student.shape for level in levels] == [level.teacher.shape for level in levels]


def test_an_unforeseen_error_is_said_with_its_place(request_, tmp_path, monkeypatch):
    def broken(request):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(module, "features", broken)
    write_json(tmp_path / "request.json", request_)
    assert main([str(tmp_path / "request.json")]) == 1
    with open(request_["answer"]) as file:
        error = json.load(file)["error"]
    assert error["message"] == "RuntimeError: on purpose"
    assert error["hint"].startswith(f"This is a defect of pkd; it stopped in {__file__}, line ")


def test_main_writes_the_whole_answer(request_, tmp_path):
    write_json(tmp_path / "request.json", request_)
    assert main([str(tmp_path / "request.json")]) == 0
    with open(request_["answer"]) as file:
        answer = json.load(file)
    assert list(answer) == ["levels", "limit", "ratio", "invariance", "checks"]
    assert [row["shape"][:2] for row in answer["levels"]] == [[2, 64]] * 4
    assert [check["ok"] for check in answer["checks"]] == [True] * 5


def test_a_file_that_is_no_image_is_named(request_, tmp_path):
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    with pytest.raises(PkdError, match="can't be read as an image"):
        features({**request_, "images": [str(path)]})
    write_json(tmp_path / "request.json", {**request_, "images": [str(path)]})
    assert main([str(tmp_path / "request.json")]) == 2
    with open(request_["answer"]) as file:
        assert json.load(file)["error"]["message"] == f"{path}: can't be read as an image."
