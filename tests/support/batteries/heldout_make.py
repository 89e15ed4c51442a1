"""Makes the held-out runs of `pkd diagnose` again: data, teachers and runs as `heldout.py` has them.

`python tests/support/batteries/heldout_make.py FOLDER --cells BCCD` trains all in a folder (two hours on two cores)
and packs what the rules read into heldout.tar.xz. BCCD is a folder with `images/` and `annotations/{train,val}.json` of
blood cells in COCO's form. `--only b1-bgr --steps 2` tries one run in two minutes, and packs it into the folder. Labels
are drawn anew, so that runs made again are not those that the page tells of to the last digit.
"""

from __future__ import annotations

import json
import random
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from battery import Battery, asked
from heldout import ALL, FIRST, PACKED, SECOND, TWO, Held
from heldout_pack import pack

HELD: dict[str, Held] = {f"{battery}-{name}": one for battery, made in (("b1", FIRST), ("b2", SECOND), ("two", TWO))
                         for name, one in made.items()}  # fmt: skip
DATA: dict[str, tuple[str, slice, slice]] = {
    **{name: ("shapes", slice(*images), slice(100, 140)) for name, images in
       {"s66": (400, 466), "corners": (400, 466), "s133": (466, 599), "s400": (400, 800)}.items()},
    **{name: ("shapes", slice(*images), slice(140, 200)) for name, images in
       {"q66": (600, 666), "leak": (600, 640), "q133": (667, 800), "q400": (0, 400)}.items()},
    "b50": ("cells", slice(0, 50), slice(0, 30)), "bshuf": ("cells", slice(50, 100), slice(0, 30)),
    "c50": ("cells", slice(100, 150), slice(30, 60)), "bswap": ("cells", slice(150, 200), slice(30, 60)),
}  # fmt: skip
"""By the name of a data set: whose images, and which of them train and validate."""
LEAKED = 26
"""So many validation images of `leak` are trained on."""
TEACHERS = {"gfl101-30-steps": ("s400", 30), "fcosx101-15-steps": ("q400", 15)}
"""Teachers that have seen too little: on which data, and how many steps of 4 images."""


STARTS = ("student.pth", "half-constant-student.pth", "dead-level-student.pth")
"""Weights that some runs start from."""


def command(one: Held, teacher: Path, root: Path) -> list[str]:
    """The words of `pkd train` that make a run.

    Args:
        one: Which.
        teacher: The weights that teach.
        root: The folder of the weights that it starts from.
    """
    words = shlex.split(f"{one.words} {ALL}")
    at = "config.load_from="
    words = [f"{at}{root / word.removeprefix(at)}" if word.removeprefix(at) in STARTS else word for word in words]
    return ["train", "--teacher-checkpoint", str(teacher), *words]


class Making(Battery):
    """The folder in which the runs are made.

    Args:
        root: An empty folder, or one in which some are made already.
        steps: So many alone, of runs and teachers, to try the making; None for all.
        cells: The folder of blood cells; None for runs that need none.
    """

    def __init__(self, root: Path, steps: int | None = None, cells: Path | None = None) -> None:
        super().__init__(root, steps)
        self.cells = cells.absolute() if cells else None
        root.mkdir(parents=True, exist_ok=True)

    def make(self, name: str) -> Path:
        """One run with all that it needs; returns its folder."""
        one = HELD[name]
        words = shlex.split(one.words)
        pair, data = words[1], words[3].removesuffix(".yaml")
        teacher = self.weights(one.teacher, data) if one.teacher else self.good(pair, DATA[data][0])
        self.cut(data)
        for file in STARTS:
            if f"config.load_from={file}" in words:
                self.start(file)
        self.pkd(*command(one, teacher, self.root), *self.few, runs=name)
        (folder,) = (file.parent for file in (self.root / "runs" / name).glob("*/metrics.jsonl"))
        if one.look:
            self.look(folder)
        return folder

    def good(self, pair: str, source: str) -> Path:
        """The weights of a pair's good teacher, trained on all images of a source."""
        self.source(source)
        name = "bccd" if source == "cells" else "shapes"
        found = f"cache/teachers/{pair.partition('-')[0]}__teacher__own__{name}-tiny*/teacher.pth"
        if not list(self.root.glob(found)):
            self.pkd("train", "--pair", pair, "--data", "bccd.yaml" if source == "cells" else "shapes", "--scale",
                     "tiny", *self.few, runs="teachers")  # fmt: skip
        return next(self.root.glob(found))

    def source(self, source: str) -> tuple[Path, Mapping[str, str]]:
        """The folder of a source's data, and where its images of each split are in it."""
        if source == "cells":
            if self.cells is None:
                raise SystemExit("This run is of blood cells: name their folder, --cells BCCD.")
            lines = [f"{split}: {{images: {self.cells}/images, annotations: {self.cells}/annotations/{split}.json}}"
                     for split in ("train", "val")]  # fmt: skip
            (self.root / "bccd.yaml").write_text("\n".join(["name: bccd", *lines]) + "\n")
            return self.cells, {"train": "images", "val": "images"}
        shapes = self.root / "cache" / "data" / "shapes-v1"
        if not shapes.is_dir():
            self.pkd("data", "check", "shapes", runs="teachers")  # which draws them
        return shapes, {"train": "images/train", "val": "images/val"}

    def cut(self, name: str) -> None:
        """One data set, whole or spoilt, with its recipe."""
        source, *parts = DATA[name]
        home, images = self.source(source)
        listed = {split: json.loads((home / "annotations" / f"{split}.json").read_text()) for split in images}
        content = {split: _some(listed[split], part) for split, part in zip(listed, parts, strict=True)}
        folders = {split: home / folder for split, folder in images.items()}
        if name == "leak":
            content["train"], folders = _leaked(content, folders, self.root / name)
        _spoil(name, content["train"])
        lines = [f"name: {name}"] + ["image: 160"] * (source == "shapes")
        for split in images:
            (self.root / f"{name}-{split}.json").write_text(json.dumps(content[split]))
            lines.append(f"{split}: {{images: {folders[split]}, annotations: {self.root}/{name}-{split}.json}}")
        (self.root / f"{name}.yaml").write_text("\n".join(lines) + "\n")

    def weights(self, name: str, data: str) -> Path:
        """The weights of a teacher that is none: of few steps, or with constant channels."""
        if name in TEACHERS:
            which, steps = TEACHERS[name]
            self.cut(which)
            self.pkd("train", "--student", name.partition("-")[0], "--loss", "none", "--data", f"{which}.yaml",
                     "--scale", "tiny", "--batch-size", "4", "--max-iters", str(steps), runs=name)  # fmt: skip
            return next((self.root / "runs" / name).glob("*/student.pth"))
        return self.spoilt(self.good("fcosx101-retina50", DATA[data][0]), name, _half)

    def start(self, file: str) -> Path:
        """The weights that a run starts from: of a student trained alone, whole or spoilt."""
        self.source("shapes")
        self.pkd("train", "--loss", "none", "--scale", "tiny", *self.few, runs="student")
        student = next((self.root / "runs" / "student").glob("*/student.pth"))
        if file == "student.pth":
            (self.root / file).write_bytes(student.read_bytes())
            return self.root / file
        return self.spoilt(student, Path(file).stem, _half_below if file.startswith("half") else _level_below)

    def spoilt(self, weights: Path, name: str, change: Any) -> Path:
        """A changed copy of weights."""
        import torch

        content = torch.load(weights, map_location="cpu", weights_only=True)
        for key, value in content["state_dict"].items():
            change(key, value)
        torch.save(content, self.root / f"{name}.pth")
        return self.root / f"{name}.pth"

    def look(self, folder: Path) -> None:
        """What `pkd diagnose --look` measures, beside the run."""
        code = ("import json, sys; from pathlib import Path; from pkdcli.api.diagnosis.look import look; "
                "from pkdcli.recipe.modules.copies import read_recipe; from pkdcli.runs.paths import RunPaths; "
                "paths = RunPaths(Path(sys.argv[1])); "
                "found = look(paths, read_recipe(paths.recipe), Path(sys.argv[2]), 16); "
                "(paths.root / 'look.json').write_text(json.dumps(found))")  # fmt: skip
        self.python("-c", code, str(folder), str(self.root / "cache"))


def _some(content: Mapping[str, Any], part: slice) -> dict[str, Any]:
    """Some images of COCO annotations, in their order, with their boxes."""
    images = content["images"][part]
    ids = {image["id"] for image in images}
    boxes = [dict(one) for one in content["annotations"] if one["image_id"] in ids]
    return {**content, "images": [dict(image) for image in images], "annotations": boxes}


def _spoil(name: str, train: dict[str, Any]) -> None:
    """What is wrong with the labels of a data set, planted in its training annotations."""
    drawn, classes = random.Random(0), [one["id"] for one in train["categories"]]
    for one in train["annotations"]:
        if name == "bshuf":
            one["category_id"] = drawn.choice(classes)
        elif name == "bswap":
            one["category_id"] = classes[(classes.index(one["category_id"]) + 1) % len(classes)]
        elif name == "corners":
            x, y, width, height = one["bbox"]
            one["bbox"] = [x, y, x + width, y + height]
            one.pop("segmentation", None)


def _leaked(content: Mapping[str, Any], folders: Mapping[str, Path], to: Path) -> tuple[dict, dict[str, Path]]:
    """The training annotations with validation images among them, and one folder that has all of both."""
    to.mkdir(exist_ok=True)
    for split in content:
        for image in content[split]["images"]:
            name = f"{split[0]}{image['file_name']}"
            (to / name).write_bytes((folders[split] / image["file_name"]).read_bytes())
            image["file_name"] = name
    train, val = content["train"], _some(content["val"], slice(LEAKED))
    far = 10**6  # ids of images and boxes are those of a split, and must not meet
    images = [{**one, "id": one["id"] + far} for one in val["images"]]
    boxes = [{**one, "id": one["id"] + far, "image_id": one["image_id"] + far} for one in val["annotations"]]
    train = {**train, "images": train["images"] + images, "annotations": train["annotations"] + boxes}
    return train, dict.fromkeys(content, to)


def _half(name: str, value: Any) -> None:
    """Half of a neck's channels become constant, whatever is shown."""
    if name.startswith("neck.fpn_convs") and name.endswith("weight"):
        value[: len(value) // 2].zero_()


def _half_below(name: str, value: Any) -> None:
    """Half of a neck's channels fall below what a ReLU lets through."""
    _half(name, value)
    if name.startswith("neck.fpn_convs") and name.endswith("bias"):
        value[: len(value) // 2].fill_(-1.0)


def _level_below(name: str, value: Any) -> None:
    """The same with all channels of the second level."""
    if name.startswith("neck.fpn_convs.1."):
        value.fill_(-1.0 if name.endswith("bias") else 0.0)


def main(argv: Sequence[str]) -> None:
    """Train what is missing, and pack all."""
    words = asked(HELD, PACKED, argv, cells="a folder of blood cells: images/, annotations/train.json and val.json")
    making = Making(words.folder, words.steps, words.cells[-1] if words.cells else None)
    folders = {name: making.make(name) for name in words.only}
    pack(folders, making.root, making.root / "cache", words.to)
    print(f"Wrote {words.to}")


if __name__ == "__main__":
    main(sys.argv[1:])
