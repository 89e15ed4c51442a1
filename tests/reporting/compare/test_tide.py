"""TIDE's kinds of errors against a slow reading of the paper (Bolya et al., ECCV 2020) and its code."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn_detections import CLASSES, data_set

from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.data.scoring.predictions import Detections
from pkdcli.reporting.compare.scored import Scored

ENOUGH, SOME = 0.5, 0.1


def overlap(a, b) -> float:
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h) if w > 0 and h > 0 else 0.0


def ap50(hits: dict[int, list[tuple[float, bool]]], objects: dict[int, int]) -> float:
    """Mean over classes of precision at 101 recalls, from (score, right) of each detection."""
    found = []
    for kind, count in objects.items():
        if count <= 0:
            continue
        right, curve = 0, []
        for place, (_, correct) in enumerate(sorted(hits.get(kind, []), key=lambda one: -one[0]), 1):
            right += correct
            curve.append((right / count, right / place))
        found.append(np.mean([max((p for r, p in curve if r >= at), default=0.0) for at in np.linspace(0, 1, 101)]))
    return 100 * float(np.mean(found))


def slow(objects, detections) -> tuple[dict[str, float], dict[str, int]]:
    """AP50 that each kind costs, and how many there are."""
    for thing in objects:
        thing["used"], thing["fixed_by"] = False, None
    detections = sorted(detections, key=lambda one: -one["score"])
    for one in detections:  # COCO's matching, within the class
        near = [(overlap(one["bbox"], thing["bbox"]), thing) for thing in objects
                if thing["image_id"] == one["image_id"]]  # fmt: skip
        one["near"] = near
        own = [(iou, thing) for iou, thing in near
               if thing["category_id"] == one["category_id"] and not thing["used"] and iou >= ENOUGH]  # fmt: skip
        one["right"] = bool(own)
        if own:
            max(own, key=lambda pair: pair[0])[1]["used"] = True
    for one in detections:
        one["kind"], one["gt"] = None, None
        if one["right"]:
            continue
        same = [pair for pair in one["near"] if pair[1]["category_id"] == one["category_id"]]
        other = [pair for pair in one["near"] if pair[1]["category_id"] != one["category_id"]]
        best_same = max(same, key=lambda pair: pair[0], default=(0.0, None))
        best_other = max(other, key=lambda pair: pair[0], default=(0.0, None))
        used = max((iou for iou, thing in same if thing["used"]), default=0.0)
        if SOME <= best_same[0] < ENOUGH:
            one["kind"], one["gt"] = "Loc", best_same[1]
        elif best_other[0] >= ENOUGH:
            one["kind"], one["gt"] = "Cls", best_other[1]
        elif used >= ENOUGH:
            one["kind"] = "Dupe"
        elif max(best_same[0], best_other[0]) <= SOME:
            one["kind"] = "Bkg"
        else:
            one["kind"] = "Both"
    for one in detections:  # the highest score mends an object, other errors at it are taken away
        thing = one["gt"]
        if thing is not None and not thing["used"] and thing["fixed_by"] is None:
            thing["fixed_by"] = id(one)
    missed = [thing for thing in objects if not thing["used"] and thing["fixed_by"] is None]
    counts = {kind: sum(one["kind"] == kind for one in detections) for kind in ("Cls", "Loc", "Both", "Dupe", "Bkg")}
    counts["Miss"] = len(missed)

    def measured(mended: str, gone=()) -> float:
        hits: dict[int, list] = {}
        for one in detections:
            kind, right = one["category_id"], one["right"]
            if one["kind"] == mended or (mended == "FP" and not right):
                if one["gt"] is None or one["gt"]["fixed_by"] != id(one) or mended == "FP":
                    continue
                kind, right = one["gt"]["category_id"], True
            hits.setdefault(kind, []).append((one["score"], right))
        number = {kind: sum(thing["category_id"] == kind for thing in objects) for kind in (1, 2)}
        for thing in gone:
            number[thing["category_id"]] -= 1
        return ap50(hits, number)

    plain = measured("nothing")
    points = {kind: measured(kind) - plain for kind in ("Cls", "Loc", "Both", "Dupe", "Bkg", "FP")}
    points["Miss"] = measured("nothing", missed) - plain
    points["FN"] = measured("nothing", [thing for thing in objects if not thing["used"]]) - plain
    return points, counts


def drawn(seed: int):
    """Objects, and detections with every kind of error."""
    content, random = data_set(25, seed), np.random.default_rng(seed)
    found = []
    for one in content["annotations"]:
        for _ in range(random.integers(0, 4)):
            x, y, w, h = np.array(one["bbox"]) + random.normal(0, 0.12, 4) * np.array(one["bbox"])[[2, 3, 2, 3]]
            kind = one["category_id"] if random.random() < 0.75 else 3 - one["category_id"]
            found.append([one["image_id"], x, y, x + abs(w) + 1, y + abs(h) + 1, random.random(), kind - 1])
    for _ in range(40):
        x, y, w, h = *random.uniform(0, 350, 2), *random.uniform(10, 90, 2)
        found.append([random.integers(1, 26), x, y, x + w, y + h, random.random(), random.integers(0, 2)])
    rows = np.array(found)
    return content, rows[np.argsort(rows[:, 0], kind="stable")].astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kinds_of_errors_are_those_of_the_paper(tmp_path, seed):
    content, rows = drawn(seed)
    path = tmp_path / "val.json"
    path.write_text(json.dumps(content))
    images = np.array([image["id"] for image in content["images"]])
    counts = np.bincount(rows[:, 0].astype(int), minlength=26)[1:]
    found = Detections(images, counts, rows[:, 1:5], rows[:, 5], rows[:, 6].astype(np.int64), CLASSES, "m", "val")
    errors = Scored("run", None, "val", load_annotations(path), found).errors()
    detections = [{"image_id": int(row[0]), "score": float(row[5]), "category_id": int(row[6]) + 1,
                   "bbox": [float(row[1]), float(row[2]), float(row[3]) - float(row[1]), float(row[4]) - float(row[2])]}
                  for row in rows]  # fmt: skip
    points, numbers = slow(content["annotations"], detections)
    assert min(numbers.values()) > 0, "every kind is there"
    assert errors["counts"] == numbers
    assert errors["points"] == pytest.approx(points, abs=1e-9)
