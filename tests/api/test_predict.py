"""`pkd predict` on finished runs: what it finds is what an evaluation finds, and what it writes can be read."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pkdcli.api.predict.inputs import file_names, inputs
from pkdcli.api.predict.predict import predict
from pkdcli.errors import PkdError


@pytest.fixture(scope="module")
def folder(lab, tmp_path_factory) -> Path:
    """A folder of images: all of the val split, one of them in another folder, a broken one in the midst."""
    folder = tmp_path_factory.mktemp("images") / "photos"
    shutil.copytree(lab.data.parent / "images" / "val", folder)
    names = sorted(path.name for path in folder.iterdir())
    (folder / "more").mkdir()
    (folder / names[-1]).rename(folder / "more" / names[-1])
    (folder / f"{names[2]}-broken.jpg").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def both(lab, folder, tmp_path_factory):
    """Student and teacher on that folder: the command's answer and its output folder."""
    out = tmp_path_factory.mktemp("out") / "found"
    run = lab.run("gfl101-fcos50__pkd")
    words = ("predict", run.name, folder, "--model", "both", "--score", "0", "--batch", "3", "--html", "-o", out)
    return lab.pkd(*words, "--json"), out


def test_what_cannot_be_read_is_named_and_the_others_go_on(both, folder):
    answer, out = both
    broken = next(folder.glob("*-broken.jpg"))
    assert answer.code == 1
    assert answer.err == f"warning: image {broken} is no image but text.\n"
    record = json.loads(answer.out)
    assert record["images"] == 8
    assert record["failed"] == [f"image {broken} is no image but text"]
    assert json.loads((out / "summary.json").read_text()) == record
    # A process of one or two threads and this one's few: neither nothing nor more than all cores had to give.
    assert 0 < record["processor_seconds_an_image_in_all"] < 64 * record["seconds_an_image_in_all"]
    assert not list(out.rglob(".*"))


def test_the_detections_are_those_of_an_evaluation(both, lab):
    """As COCO results, they score what the run's own evaluation has measured."""
    from pkdcli.engine.metrics.coco import evaluate_detections

    _, out = both
    truth = json.loads((lab.data.parent / "annotations" / "val.json").read_text())
    ids = {one["file_name"]: one["id"] for one in truth["images"]}
    run = lab.run("gfl101-fcos50__pkd")
    for model, key in (("student", "metrics"), ("teacher", "teacher_metrics")):
        content = json.loads((out / f"predictions-{model}.json").read_text())
        assert content["categories"] == [{"id": c["id"], "name": c["name"]} for c in truth["categories"]]
        by_id = {one["id"]: ids[Path(one["file_name"]).name] for one in content["images"]}
        assert len(by_id) == 8
        results = [
            {**{key: one[key] for key in ("category_id", "bbox", "score")}, "image_id": by_id[one["image_id"]]}
            for one in content["annotations"]
        ]
        assert results
        measured = json.loads((run / "result.json").read_text())[key]["mAP"]
        found = evaluate_detections(lab.data.parent / "annotations" / "val.json", results)
        assert found["mAP"] == pytest.approx(measured, abs=0.05)


def test_the_csv_has_a_row_a_box(both):
    _, out = both
    rows = list(csv.DictReader((out / "predictions.csv").open(encoding="utf-8")))
    student = json.loads((out / "predictions-student.json").read_text())["annotations"]
    mine = [row for row in rows if row["model"] == "student"]
    assert len(mine) == len(student)
    x, y, width, height = student[0]["bbox"]
    sides = [float(mine[0][key]) for key in ("x1", "y1", "x2", "y2")]
    assert sides == pytest.approx([x, y, x + width, y + height], abs=0.002)
    assert (float(mine[0]["score"]), mine[0]["frame"]) == (student[0]["score"], "")


def test_pictures_stand_side_by_side_below_the_folders_of_the_images(both, folder):
    _, out = both
    written = sorted(path.relative_to(out / "pictures").as_posix() for path in (out / "pictures").rglob("*.jpg"))
    images = [path for path in folder.rglob("*") if path.is_file() and "broken" not in path.name]
    assert written == sorted(path.relative_to(folder).with_suffix(".jpg").as_posix() for path in images)
    assert sum(name.startswith("more/") for name in written) == 1
    height, width = cv2.imread(str(out / "pictures" / written[0])).shape[:2]
    own = cv2.imread(str(images[0])).shape
    assert width == 2 * own[1] + 4  # a gap of four pixels
    assert own[0] < height < own[0] + 30  # the detector's name on top


def test_the_page_holds_every_box_and_its_own_pictures(both):
    _, out = both
    text = (out / "page.html").read_text()
    begin = '<script type="application/json" id="rows">'
    rows = json.loads(text.partition(begin)[2].partition("</script>")[0])
    assert [row["file"] for row in rows] == [f"page/{n:06}.jpg" for n in range(1, 9)]
    assert all((out / row["file"]).is_file() for row in rows)
    assert len(rows[0]["found"]["teacher"]) > 0
    assert 'type="range"' in text


def test_a_folder_that_is_there_is_not_written_over(both, lab, folder):
    _, out = both
    before = sorted(out.rglob("*"))
    run = lab.run("gfl101-fcos50__pkd")
    answer = lab.pkd("predict", run, folder, "-o", out)
    assert answer.code == 2
    assert answer.err == (
        f"error: {out} is there already.\nGive another with -o DIR, or write into it with --force.\n"
    )
    assert sorted(out.rglob("*")) == before


def test_a_video_that_ends_early_and_nothing_of_the_old_with_force(lab, folder, tmp_path):
    images = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))[:4] * 5]
    whole = tmp_path / "whole.avi"
    video = cv2.VideoWriter(str(whole), cv2.VideoWriter_fourcc(*"MJPG"), 10, images[0].shape[1::-1])
    for image in images:
        video.write(image)
    video.release()
    content = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    out = lab.runs / "predictions" / lab.run("gfl101-fcos50__pkd").name  # where nobody says
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "old.jpg").touch()
    (out / "summary.json").write_text("{}")
    words = (whole, tmp_path / "cut.avi", "--batch", "4", "--score", "0.01", "--force", "--json")
    answer = lab.pkd("predict", "gfl101-fcos50__pkd", *words)
    assert answer.code == 1, answer.err
    record = json.loads(answer.out)
    (failed,) = record["failed"]
    read = record["images"] - 20
    assert 0 < read < 20
    assert failed == f"{tmp_path / 'cut.avi'} ends early: {read} of 20 frames can be read"
    videos = {path.name: cv2.VideoCapture(str(path)) for path in (out / "pictures").iterdir()}
    counts = {name: video.get(cv2.CAP_PROP_FRAME_COUNT) for name, video in videos.items()}
    assert counts == {"whole.mp4": 20, "cut.mp4": read}
    images = json.loads((out / "predictions.json").read_text())["images"]
    assert [one["frame"] for one in images] == [*range(20), *range(read)]
    shutil.rmtree(out.parent)


def test_a_checkpoint_of_a_run_is_that_run_and_a_bare_one_is_asked_for_its_detector(lab, folder, tmp_path):
    picture = next(folder.glob("*.png"))
    run = lab.run("gfl101-fcos50__pkd")
    answers = []
    for words in ([run / "student.pth"], [shutil.copy(run / "student.pth", tmp_path / "bare.pth"), "--detector",
                                         "fcos50", "--scale", "tiny"]):  # fmt: skip
        out = tmp_path / f"out{len(answers)}"
        answer = lab.pkd("predict", words[0], picture, *words[1:], "--score", "0", "--no-pictures", "-o", out, "-q")
        assert (answer.code, answer.out) == (0, f"{out}\n"), answer.err
        answers.append(json.loads((out / "predictions.json").read_text()))
        assert sorted(path.name for path in out.iterdir()) == ["predictions.csv", "predictions.json", "summary.json"]
    assert [[c["name"] for c in one["categories"]] for one in answers] == [
        ["circle", "square", "triangle", "star", "cross", "crescent"]
    ] * 2
    unsaid = lab.pkd("predict", tmp_path / "bare.pth", picture, "-o", tmp_path / "none")
    assert unsaid.code == 2
    assert unsaid.err.startswith(f"error: {tmp_path / 'bare.pth'}: what detector is it?\n")


def test_from_python(lab, folder, tmp_path, monkeypatch):
    import pkdcli

    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    seen: list = []
    found = pkdcli.predict(
        lab.run("gfl101-fcos50__pkd"), inputs=[next(folder.glob("*.png"))], score=0, output=tmp_path / "out",
        on_image=lambda *step: seen.append(step),
    )  # fmt: skip
    assert seen == [(1, 1, next(folder.glob("*.png")).name)]
    assert (found.images, found.failed, found.code) == (1, (), 0)
    frame = found.frame()
    assert len(frame) == found.counts["student"] > 0
    assert list(frame.columns) == ["model", "image", "frame", "class", "score", "x1", "y1", "x2", "y2"]


def test_wrong_words(tmp_path):
    with pytest.raises(PkdError) as caught:
        inputs([str(tmp_path)])
    assert caught.value.message == f"{tmp_path}: no image and no video in this folder."
    assert ".jpg, .jpeg" in caught.value.hint
    with pytest.raises(PkdError, match=r"there is no file and no folder 'nowhere\.jpg'"):
        inputs(["nowhere.jpg"])
    with pytest.raises(PkdError, match=r"^--score 30: scores go from 0 to 1\.\nExample: --score 0\.3$"):
        predict(target="any", inputs=[str(tmp_path)], score=30)


def test_two_images_of_one_name_get_two_pictures(tmp_path):
    for name in ("a/x.jpg", "b/x.jpg", "x.png", "x.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    given = inputs([str(tmp_path / name) for name in ("a/x.jpg", "b", "x.png", "x.mp4")])
    assert file_names(given) == ["x.jpg", "x-2.jpg", "x-3.jpg", "x.mp4"]


def test_labels_lie_within_the_picture_and_on_no_other_label():
    from pkdcli.reporting.predictions.draw import draw, ink

    pixels = np.full((80, 120, 3), 127, np.uint8)
    rows = [[0, 0, 119, 79, 0.9, 0], [0, 0, 118, 78, 0.8, 0], [-5, -5, 400, 300, 0.7, 0]]
    drawn = draw(pixels, rows, ["cat"], {"cat": (250, 240, 10)})
    assert drawn.shape == pixels.shape
    assert (pixels == 127).all()
    assert (drawn[:, :, ::-1] == (250, 240, 10)).all(-1).sum() > 3 * 200  # boxes and labels
    assert (drawn == 0).all(-1).any()  # black letters on yellow
    assert (ink((250, 240, 10)), ink((20, 20, 120))) == ((0, 0, 0), (255, 255, 255))
    assert draw(pixels, [], ["cat"], {}) is pixels
