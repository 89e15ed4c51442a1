"""Runs on a data set that is joined of two files: the numbers are those of one file, and what follows goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

KNOBS = ("--loss", "none", "--scale", "tiny", "--epochs", "1", "--batch-size", "4", "--workers", "0")


def _halves(micro: Path, folder: Path) -> Path:
    """The micro data set with train and test in two halves, whose ids begin at 1 both; one class has another name."""
    root = micro.parent
    lines = ["name: halves", "image: 96", "map: {disc: circle}"]
    for split in ("train", "val", "test"):
        coco = json.loads((root / "annotations" / f"{split}.json").read_text())
        half = len(coco["images"]) // (1 if split == "val" else 2)
        parts = []
        for number in range(len(coco["images"]) // half):
            images = coco["images"][number * half : (number + 1) * half]
            places = {one["id"]: place for place, one in enumerate(images, 1)}
            boxes = [one for one in coco["annotations"] if one["image_id"] in places]
            part = {
                "categories": [one | {"name": one["name"].replace("circle", "disc")} for one in coco["categories"]],
                "images": [one | {"id": places[one["id"]]} for one in images],
                "annotations": [
                    one | {"id": place, "image_id": places[one["image_id"]]} for place, one in enumerate(boxes, 1)
                ],
            }
            file = folder / f"{split}-{number}.json"
            file.write_text(json.dumps(part))
            parts.append(f"{{images: {root / 'images' / split}, annotations: {file}}}")
        lines.append(f"{split}: {parts[0] if len(parts) == 1 else '[' + ', '.join(parts) + ']'}")
    recipe = folder / "halves.yaml"
    recipe.write_text("\n".join(lines) + "\n")
    return recipe


@pytest.fixture(scope="module")
def halves(micro, tmp_path_factory) -> Path:
    return _halves(micro, tmp_path_factory.mktemp("halves"))


def _result(folder: Path, name: str) -> tuple[Path, dict]:
    (run,) = folder.glob(f"*__{name}-tiny__*")
    return run, json.loads((run / "result.json").read_text())


def test_a_run_on_two_halves_has_the_numbers_of_one_on_the_whole(pkd, micro, halves, tmp_path):
    for data in (micro, halves):
        answer = pkd("train", "--data", data, *KNOBS)
        assert answer.code == 0, answer.out + answer.err
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    (_, whole), (run, joined) = _result(runs, "micro"), _result(runs, "halves")
    assert joined["metrics"] == whole["metrics"]
    assert joined["classes"] == whole["classes"]
    assert list(joined["classes"]) == ["circle", "square", "triangle", "star", "cross", "crescent"]
    known = [value for value in joined["classes"].values() if value is not None]
    assert sum(known) / len(known) == pytest.approx(joined["metrics"]["mAP"])
    lines = [
        [json.loads(line) for line in (one / "metrics.jsonl").read_text().splitlines()]
        for one in (run, _result(runs, "micro")[0])
    ]
    losses = [[one["loss"] for one in of_run if one["kind"] == "train"] for of_run in lines]
    assert losses[0] == losses[1]
    assert losses[0][-1] > 0

    # The recipe in the run's folder says what it was joined of, and makes it again where the cache was emptied.
    kept = yaml.safe_load((run / "recipe.yaml").read_text())["data"]
    assert [Path(one["annotations"]).name for one in kept["train"]["joined"]] == ["train-0.json", "train-1.json"]
    assert kept["map"] == {"disc": "circle"}
    shutil.rmtree(cache / "joined")
    answer = pkd("eval", run.name, "--split", "test", "--json")
    assert answer.code == 0, answer.out + answer.err
    record = json.loads(answer.out)
    assert record["data"] == "halves"
    assert list(record["classes"]) == list(joined["classes"])
    assert len(json.loads(next((cache / "joined").rglob("test.json")).read_text())["images"]) == 8
