"""Runs broken on purpose, one for each cause: how each is made, and how what it records is kept for the tests.

`python tests/support/batteries/battery.py FOLDER --healthy RUN --healthy RUN` trains them all in a folder (half an hour
on two idle cores) and packs them with finished runs of one's own, as healthy ones, into recorded.tar.xz. `--only NAME
--steps 2` tries one of them in two minutes, and packs it into the folder.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

PACKED = Path(__file__).parents[2] / "reporting" / "diagnosis" / "recorded.tar.xz"
KEPT_IMAGES = 24
PLACE = "/battery"
"""Stands in the packed files for the folder where they were made."""


@dataclass(frozen=True)
class Broken:
    """A run that is broken on purpose.

    Attributes:
        cause: What is planted, as docs/diagnose.md calls it; `healthy` for none.
        words: The options of `pkd train`; FOLDER is the battery's.
        short: 100 steps of 4 images; else 200 of 8.
        data: Which data set.
        teacher: Whose weights teach.
    """

    cause: str
    words: tuple[str, ...] = ()
    short: bool = True
    data: str = "few"
    teacher: str = "good"


def _set(key: str, value: object) -> tuple[str, str]:
    return "--set", f"{key}={value}"


_INPUT = "config.model.data_preprocessor.teacher"
_LEVEL = "config.model.distiller.distill_losses.loss_pkd_fpn1"
BATTERY = {
    "healthy": Broken("healthy", short=False, data="small"),
    "weight-1000": Broken("overwhelms", ("--weight", "1000"), short=False, data="small"),
    "weight-0.0001": Broken("overwhelmed", ("--weight", "0.0001"), short=False, data="small"),
    "normalisation": Broken("normalisation", (*_set(f"{_INPUT}.mean", "[0,0,0]"), *_set(f"{_INPUT}.std", "[1,1,1]")),
                            short=False, data="small"),
    "rate-times-10": Broken("rate-high", _set("scale.lr_factor", 10), short=False, data="small"),
    "rate-over-100": Broken("rate-low", _set("scale.lr_factor", 0.01)),
    "short": Broken("too-short", ("--epochs", "1"), short=False, data="small"),
    "shuffled-labels": Broken("labels", short=False, data="shuffled"),
    "random-teacher": Broken("weak-teacher", teacher="random"),
    "frozen-backbone": Broken("frozen", _set("config.model.architecture.backbone.frozen_stages", 4)),
    "constant-level": Broken("dead-level", teacher="dead"),
    "zero-weight-level": Broken("dead-level", _set(f"{_LEVEL}.loss_weight", 0.0)),
    "constant-channels": Broken("constant-channels", teacher="constant"),
    "levels-reversed": Broken("mispaired", ("--levels", "0:3,1:2,2:1,3:0")),
    "images-of-64": Broken("domain", _set("scale.image", "[64,64]")),
}  # fmt: skip
LENGTH = {True: ("--epochs", "1", "--batch-size", "4"), False: ("--epochs", "4")}


def command(one: Broken, teacher: Path) -> tuple[str, ...]:
    """The words of `pkd train` that make a run.

    Args:
        one: Which.
        teacher: The weights that teach.
    """
    words = ("train", "--scale", "tiny", "--workers", "0", "--data", f"{one.data}.yaml")
    return (*words, "--teacher-checkpoint", str(teacher), *LENGTH[one.short], *one.words)


class Battery:
    """The folder in which the runs are made.

    Args:
        root: An empty folder, or one in which some are made already.
        steps: So many alone, of runs and teachers, to try the making; None for all.
    """

    def __init__(self, root: Path, steps: int | None = None) -> None:
        self.root, self.env = root, {**os.environ, "PKD_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"}
        self.few = ("--max-iters", str(steps)) if steps else ()

    def pkd(self, *words: str, runs: str) -> None:
        """Type a command; its runs have a folder of their own, so that none finds another's baseline."""
        self.python("-m", "pkdcli", *words, PKD_RUNS=str(self.root / "runs" / runs))

    def python(self, *words: str, **env: str) -> None:
        """Run Python in the folder, and stop at an error."""
        done = subprocess.run([sys.executable, *words], env={**self.env, **env}, cwd=self.root, capture_output=True,
                              text=True, check=False)  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"{shlex.join(words)}: exit code {done.returncode}\n{done.stderr}")

    def prepare(self) -> None:
        """Train the good teacher, spoil copies of it, and cut the data sets."""
        if (self.root / "constant.pth").exists():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        self.pkd("train", "--scale", "tiny", *self.few, runs="none")  # without --steps the teacher has all of its own
        _teachers(self.teacher("good"), self.root)
        _data(self.root / "cache" / "data" / "shapes-v1", self.root)

    def teacher(self, name: str) -> Path:
        """The weights of a teacher: the good one's are in its run's folder, as a user would name them."""
        (good,) = self.root.glob("cache/teachers/gfl101__teacher__own__shapes-tiny*/teacher.pth")
        return good if name == "good" else self.root / f"{name}.pth"

    def train(self, name: str) -> Path:
        """One run of the battery; returns its folder."""
        self.pkd(*command(BATTERY[name], self.teacher(BATTERY[name].teacher)), *self.few, runs=name)
        (folder,) = (self.root / "runs" / name).glob("gfl101-fcos50__*")
        return folder


def _teachers(good: Path, root: Path) -> None:
    """Copies of the good teacher: of random weights, with a dead level, with constant channels."""
    import torch

    def spoilt(name, change) -> None:
        content = torch.load(good, map_location="cpu", weights_only=True)
        change(content["state_dict"])
        torch.save(content, root / f"{name}.pth")

    def drawn(state) -> None:
        generator = torch.Generator().manual_seed(0)
        for name, value in state.items():
            if value.is_floating_point() and value.ndim >= 2:
                value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
            elif value.is_floating_point():
                value.fill_(0 if name.endswith("bias") else 1)

    def constant(state) -> None:
        for name, value in state.items():
            if name.startswith("neck.fpn_convs") and name.endswith("weight"):
                value[:40].zero_()  # of 64

    spoilt("random", drawn)
    spoilt("dead", lambda state: state["neck.fpn_convs.1.conv.weight"].zero_())
    spoilt("constant", constant)


def _data(shapes: Path, root: Path) -> None:
    """Three data sets of the first 400 pictures: 100 or 40 to validate, and one whose training labels are drawn."""
    generator = random.Random(0)
    for name, count in (("small", 100), ("few", 40), ("shuffled", 100)):
        for split, images in (("train", 400), ("val", count)):
            content = json.loads((shapes / "annotations" / f"{split}.json").read_text())
            content["images"] = content["images"][:images]
            ids = {image["id"] for image in content["images"]}
            content["annotations"] = [one for one in content["annotations"] if one["image_id"] in ids]
            if (name, split) == ("shuffled", "train"):
                classes = [one["id"] for one in content["categories"]]
                for one in content["annotations"]:
                    one["category_id"] = generator.choice(classes)
            (root / f"{name}-{split}.json").write_text(json.dumps(content))
        lines = [f"name: {name}", "image: 160"]
        lines += [f"{split}: {{images: {shapes}/images/{split}, annotations: {root}/{name}-{split}.json}}"
                  for split in ("train", "val")]  # fmt: skip
        (root / f"{name}.yaml").write_text("\n".join(lines) + "\n")


def pack(folders: dict[str, Path], home: Path, truth: Path, root: Path, to: Path = PACKED) -> None:
    """Keep what the rules read of some runs: texts, and few of the detections, coarsely.

    Args:
        folders: By the name of the entry.
        home: The run of the good teacher.
        truth: The annotations of validation images.
        root: Where they were made; `PLACE` takes its place.
        to: The archive.
    """
    with tarfile.open(to, "w:xz") as archive:
        for name, folder in {**folders, "home": home}.items():
            inside = f"runs/{name}/{folder.name}" if name in folders else name
            _add(archive, f"{inside}/recipe.yaml", _moved(folder / "recipe.yaml", home).encode())
            for file in ("metrics.jsonl", "result.json", "status.json", "env.json"):
                if name in folders or file == "result.json":
                    text = _short(folder / file).replace(str(home), f"{PLACE}/home").replace(str(root), PLACE)
                    _add(archive, f"{inside}/{file}", text.encode())
            if name in folders and (folder / "predictions.npz").is_file():
                _add(archive, f"{inside}/predictions.npz", _fewer(folder / "predictions.npz", root))
        _add(archive, "val.json", _truth(truth).encode())


def _moved(file: Path, home: Path) -> str:
    """A recipe whose files are where the tests have them."""
    recipe = yaml.safe_load(file.read_text())
    for split in ("train", "val", "test"):
        if recipe["data"].get(split):
            recipe["data"][split] = {"images": f"{PLACE}/images", "annotations": f"{PLACE}/{split}.json"}
    given = recipe["teacher_checkpoint"] or recipe["weights"]
    moved = f"{PLACE}/home/teacher.pth" if given == str(home / "teacher.pth") else f"{PLACE}/{Path(given or '').name}"
    for key in ("teacher_checkpoint", "weights"):
        recipe[key] = moved if recipe[key] else None
    return yaml.safe_dump(recipe, sort_keys=False)


def _short(file: Path) -> str:
    """A file's JSON with numbers of five digits; of the environment the command alone."""
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    kept = [json.loads(line, parse_float=lambda text: float(f"{float(text):.5g}")) for line in lines]
    if file.name == "env.json":
        kept = [{"command": re.sub(r" --runs \S+", "", one["command"])} for one in kept]
    return "".join(json.dumps(one) + "\n" for one in kept)


def _truth(file: Path, images: int = KEPT_IMAGES) -> str:
    """The annotations of the images whose detections are kept, without their outlines."""
    content = json.loads(file.read_text())
    content["images"] = content["images"][:images]
    ids = {image["id"] for image in content["images"]}
    boxes = [one for one in content["annotations"] if one["image_id"] in ids]
    content["annotations"] = [{key: one[key] for key in one if key != "segmentation"} for one in boxes]
    return json.dumps(content)


def _fewer(path: Path, root: Path) -> bytes:
    from dataclasses import replace

    from pkdcli.data.scoring import predictions

    kept = predictions.read(path)
    count = int(kept.counts[:KEPT_IMAGES].sum())
    few = replace(kept, images=kept.images[:KEPT_IMAGES], counts=kept.counts[:KEPT_IMAGES],
                  boxes=kept.boxes[:count].round(), scores=kept.scores[:count].round(3),
                  labels=kept.labels[:count])  # fmt: skip
    predictions.write(root / "few.npz", few)
    return (root / "few.npz").read_bytes()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def asked(made: Iterable[str], packed: Path, argv: Sequence[str], **more: str) -> argparse.Namespace:
    """What was typed to make a battery again.

    Args:
        made: The names of its runs.
        packed: The archive of the tests, which is written where nothing is left out.
        argv: The words.
        **more: Further options by name, with what they mean; they may be given several times.

    Returns:
        `folder`, `only` (names), `steps`, `to` (the archive to write) and the further ones (lists of paths).
    """
    parser = argparse.ArgumentParser(description="Make recorded runs again, and pack what the rules read of them.")
    parser.add_argument("folder", type=Path, help="an empty one, or one in which some are made already")
    parser.add_argument("--only", action="append", choices=(names := list(made)), metavar="NAME", help=", ".join(names))
    parser.add_argument("--steps", type=int, metavar="N", help="so many of each run and teacher, to try the making")
    parser.add_argument("--to", type=Path, metavar="FILE", help="the archive; by default the tests' own, or with "
                        "--only or --steps one in the folder")  # fmt: skip
    for name, help in more.items():
        parser.add_argument(f"--{name}", type=Path, action="append", default=[], metavar=name.upper(), help=help)
    found = parser.parse_args(argv)
    found.folder = found.folder.absolute()
    found.to = found.to or (found.folder / packed.name if found.only or found.steps else packed)
    found.only = found.only or names
    return found


def main(argv: Sequence[str]) -> None:
    """Train what is missing, and pack all."""
    words = asked(BATTERY, PACKED, argv, healthy="a finished run in which nothing is wrong, to be packed as well")
    battery = Battery(words.folder, words.steps)
    battery.prepare()
    folders = {name: battery.train(name) for name in words.only}
    folders |= {f"healthy-{number}": folder for number, folder in enumerate(words.healthy, 1)}
    pack(folders, battery.teacher("good").parent, battery.root / "small-val.json", battery.root, words.to)
    print(f"Wrote {words.to}")


if __name__ == "__main__":
    main(sys.argv[1:])
