"""`pkdcli.verify()` and `pkd verify` give the same; and the function prints nothing."""

from __future__ import annotations

import json

import pytest

from pkdcli.api.verify import verify
from pkdcli.errors import PkdError

SIDES = ("student scaled", "student shifted", "teacher scaled", "teacher shifted")


def measured(ok):
    limit = {"level": "all", "pkd": 0.5, "norm_kl": 0.51, "value_gap": 0.02, "gradient_gap": 1.0, "cosine": 0.999}
    check = {"check": "norm-mse is twice pkd", "measured": 0.0, "bound": 1e-9, "at_least": False, "ok": ok}
    return {
        "levels": [{"level": "0:0", "shape": [2, 64, 20, 20]}],
        "limit": [{**limit, "T": 1.0}, {**limit, "T": 5000.0}],
        "ratio": [{"level": "0:0", "norm_mse_by_pkd": 2.0}],
        "invariance": [{"level": "0:0", "loss": "pkd", **dict.fromkeys(SIDES, 1e-6)}],
        "checks": [check],
    }


@pytest.fixture
def worker(engine):
    """The process measures this, and answers so."""

    def worker(ok=True):
        answer = f"json.dump({measured(ok)!r}, open(json.load(open(sys.argv[1]))['answer'], 'w'))"
        engine("pkdcli.engine.analysis.verify", f"import json, sys; {answer}")

    worker()
    return worker


def test_the_function_gives_what_the_command_prints_and_both_write_the_same(worker, typed, called, micro, places):
    answer = typed("verify", "--data", micro, "--format", "json", "--output", places / "a")
    found = called(verify, data=micro, output=places / "b")
    assert json.loads(answer.out) == found.found
    assert [path.name for path in found.files] == [f"gfl101-fcos50__micro-tiny.{end}" for end in ("png", "csv", "json")]
    for path in found.files[1:]:
        assert path.parent == places / "b"
        assert path.read_bytes() == (places / "a" / path.name).read_bytes()
    assert found.files[0].read_bytes().startswith(b"\x89PNG")
    assert (answer.code, found.passed) == (0, True)


def test_a_claim_that_does_not_hold_is_exit_code_1_and_not_passed(worker, typed, called, micro):
    worker(ok=False)
    assert typed("verify", "--data", micro, "--quiet").code == 1
    assert called(verify, data=micro).passed is False


def test_frames_and_notebooks(worker, called, micro):
    found = called(verify, data=micro)
    assert found.frame()["T"].tolist() == [1.0, 5000.0]
    assert list(found.frame().columns) == ["level", "T", "pkd", "norm_kl", "value_gap", "gradient_gap", "cosine"]
    assert found.checks()[["check", "ok"]].to_numpy().tolist() == [["norm-mse is twice pkd", True]]
    html = found._repr_html_()
    assert "<td>norm-mse is twice pkd</td>" in html
    assert "<p>teacher: random weights, since GFL-Res101 is not trained at this scale and data.</p>" in html


def test_images_are_named_by_either_word(worker, called, places):
    image = places / "a.png"
    image.write_bytes(b"")
    assert called(verify, image=image).found["images"] == called(verify, images=[image]).found["images"] == [str(image)]


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"piar": "gfl101-fcos50"}, "unknown keyword 'piar'.", "Did you mean 'pair'?"),
        ({"pair": "gfl101-fcos5"}, "unknown pair 'gfl101-fcos5'.", "Did you mean 'gfl101-fcos50'?"),
        ({"scale": 5}, "scale: 5 is not a text.", "Example: scale='tiny'"),
        ({"images": "absent.png"}, "--image: there is no file absent.png.", "Give JPEG or PNG files."),
    ],
)
def test_wrong_keywords(called, keywords, message, hint):
    with pytest.raises(PkdError) as caught:
        called(verify, **keywords)
    assert (caught.value.message, caught.value.code) == (message, 2)
    assert caught.value.hint.startswith(hint)


def test_without_coco_both_name_what_needs_none(typed, called, places, monkeypatch):
    monkeypatch.setenv("PKD_COCO", str(places / "nowhere"))
    with pytest.raises(PkdError) as in_python:
        called(verify, scale="paper")
    assert in_python.value.code == 3
    assert in_python.value.hint.endswith('in minutes:\n  scale="tiny"')
    monkeypatch.setattr("sys.argv", ["pkd", "verify", "--scale", "paper"])
    with pytest.raises(PkdError) as on_the_line:
        typed("verify", "--scale", "paper")
    assert on_the_line.value.hint.endswith("in minutes:\n  pkd verify --scale tiny")
