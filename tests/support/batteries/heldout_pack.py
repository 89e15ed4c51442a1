"""Keeps what the rules read of the held-out runs, as `heldout_make.py` has made them."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml
from battery import PLACE, _add, _truth

KEPT_IMAGES = 60
DIGITS = {"train": 7}
"""Of the detector's loss, which is told as the difference of two sums; of all else three."""
_UNREAD = ("seconds", "data_seconds", "grad_share", "top10_share")


def pack(folders: Mapping[str, Path], root: Path, cache: Path, to: Path) -> None:
    """Keep what the rules read of both batteries.

    Args:
        folders: The runs, by the names of their entries (`b1-bgr`), with `look.json` in it where `--look` was used.
        root: Where they were made; `PLACE` takes its place.
        cache: The cache with which they were made.
        to: The archive.
    """
    homes, truths, checks = {}, {}, set()
    with tarfile.open(to, "w:xz", preset=9) as archive:
        for name, folder in folders.items():
            recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
            data = recipe["data"]
            truths[data["name"]] = Path(data["val"]["annotations"])
            checks.add(f"{data['name']}-{data['fingerprint']}.json")
            home = Path(recipe["teacher_checkpoint"]).parent
            homes[home.name] = home
            inside = f"runs/{name}/{folder.name}"
            _add(archive, f"{inside}/recipe.yaml", yaml.safe_dump(_moved(recipe), sort_keys=False).encode())
            _add(archive, f"{inside}/metrics.jsonl", _metrics(folder / "metrics.jsonl"))
            for file in ("result.json", "status.json", "env.json", "look.json"):
                if (folder / file).is_file():
                    _add(archive, f"{inside}/{file}", _text(folder / file, root))
            _add(archive, f"{inside}/predictions.npz", _fewer(folder / "predictions.npz", truths[data["name"]], root))
        for name, home in homes.items():
            if not (home / "recipe.yaml").is_file():  # a spoilt copy of its weights alone
                continue
            recipe = yaml.safe_load((home / "recipe.yaml").read_text())
            _add(archive, f"homes/{name}/recipe.yaml", yaml.safe_dump(_moved(recipe), sort_keys=False).encode())
            result = json.loads((home / "result.json").read_text()) if (home / "result.json").is_file() else {}
            kept = {key: result[key] for key in ("run", "role", "metrics", "data") if key in result}
            _add(archive, f"homes/{name}/result.json", json.dumps(kept).encode())
        for name, file in truths.items():
            _add(archive, f"truth/{name}.json", _truth(file, KEPT_IMAGES).encode())
        for name in sorted(checks):
            if (cache / "checks" / name).is_file():
                _add(archive, f"cache/checks/{name}", _text(cache / "checks" / name, root))


def _moved(recipe: dict) -> dict:
    """A recipe whose files are where the tests have them."""
    name = recipe["data"]["name"]
    for split in ("train", "val", "test"):
        if recipe["data"].get(split):
            recipe["data"][split] = {"images": f"{PLACE}/images", "annotations": f"{PLACE}/truth/{name}.json"}
    if recipe["teacher_checkpoint"]:
        recipe["teacher_checkpoint"] = f"{PLACE}/homes/{Path(recipe['teacher_checkpoint']).parent.name}/teacher.pth"
    return recipe


def _metrics(file: Path) -> bytes:
    """The records with fewer digits, without what no rule reads."""
    kept = []
    for line in file.read_text().splitlines():
        digits = DIGITS.get(json.loads(line)["kind"], 3)
        one = json.loads(line, parse_float=lambda text, digits=digits: float(f"{float(text):.{digits}g}"))
        kept.append({key: value for key, value in one.items() if key.rpartition(".")[2] not in _UNREAD})
    return "".join(json.dumps(one) + "\n" for one in kept).encode()


def _text(file: Path, root: Path) -> bytes:
    """A file's JSON without places; of the environment the command alone."""
    content = json.loads(file.read_text(), parse_float=lambda text: float(f"{float(text):.5g}"))
    if file.name == "env.json":
        content = {"command": re.sub(r" --runs \S+", "", content["command"])}
    text = json.dumps(content)
    for place in re.findall(r"/[\w./-]*teachers", text):
        text = text.replace(place, f"{PLACE}/homes")
    return text.replace(str(root), PLACE).encode()


def _fewer(path: Path, truth: Path, root: Path) -> bytes:
    """The boxes that the rule for labels looks at, coarsely and not compressed: the archive is."""
    from dataclasses import replace

    from pkdcli.data.scoring import predictions
    from pkdcli.reporting.diagnosis import data

    kept = predictions.read(path)
    objects = Counter(one["image_id"] for one in json.loads(truth.read_text())["annotations"])
    ends = np.cumsum(kept.counts)
    rows, counts = [], []
    for place in range(min(KEPT_IMAGES, len(kept.images))):
        mine = np.arange(ends[place] - kept.counts[place], ends[place])
        count = data.SURE * objects[int(kept.images[place])]
        mine = mine[data._surest(kept.boxes[mine], kept.scores[mine], count)]
        rows.append(mine)
        counts.append(len(mine))
    sure = np.concatenate(rows)
    few = replace(kept, images=kept.images[: len(counts)], counts=np.array(counts), boxes=kept.boxes[sure].round(),
                  scores=kept.scores[sure].round(2), labels=kept.labels[sure])  # fmt: skip
    predictions.write(root / "few.npz", few)
    with np.load(root / "few.npz") as content:
        np.savez(root / "few.npz", **dict(content))
    return (root / "few.npz").read_bytes()
