"""Section `import`: annotations of another tool become a data set, beside the bare reading of the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from pkdcli.engine.bench.measure import Section, elsewhere, interleaved

FILES, SECONDS = 10_000, 20.0  # of the bound
WIDTH, HEIGHT = 500, 375

BARE = """
import os, sys
from pathlib import Path
from xml.etree import ElementTree
import imagesize
root, out = map(Path, sys.argv[1:])
out.mkdir()
for file in sorted((root / "Annotations").iterdir()):
    top = ElementTree.parse(file).getroot()
    [(one.findtext("name"), [one.findtext(f"bndbox/{c}") for c in ("xmin", "ymin", "xmax", "ymax")])
     for one in top.findall("object")]
    image = root / "JPEGImages" / top.findtext("filename")
    imagesize.get(image)
    os.symlink(image, out / image.name)
"""
"""What every import has to do at least: read each XML file and each image's header, and link the image."""


def imports(files: int, repeat: int, folder: Path) -> Section:
    """Time `pkd data import` of Pascal VOC files, from launch to end.

    Args:
        files: How many; the bound holds for `FILES`.
        repeat: Rounds.
        folder: For the files and what is made of them.
    """
    section = Section("import", f"Import of {files} Pascal VOC files")
    source, out = folder / "voc", folder / "out"
    _write(source, files)
    env = {**os.environ, "PKD_CACHE": str(folder / "cache")}

    def command(*words: str) -> Callable[[], object]:
        def run() -> None:
            shutil.rmtree(out, ignore_errors=True)
            subprocess.run([sys.executable, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True, env=env)

        return run

    pieces = {
        "pkd data import": command("-m", "pkdcli", "data", "import", str(source), "-o", str(out), "--split", "0.9,0.1"),
        "reading and linking alone": command("-c", BARE, str(source), str(out)),
    }
    section.time(interleaved(pieces, repeat, warmup=0, read=elsewhere()))
    section.ratio("times as long as reading and linking alone", ["pkd data import"], ["reading and linking alone"])
    worst = max(section.timings[0]["seconds"])
    section.number("pkd data import", worst, "s", at_most=SECONDS if files >= FILES else None)
    section.number("files a second", files / worst, "")
    return section


def _write(root: Path, files: int) -> None:
    """VOC files with one to six objects of ten classes; all images are one file under many names."""
    random = np.random.default_rng(0)
    for name in ("Annotations", "JPEGImages"):
        (root / name).mkdir(parents=True)
    coarse = random.integers(0, 256, (HEIGHT // 25, WIDTH // 25, 3), dtype=np.uint8)
    cv2.imwrite(str(root / "picture.jpeg"), cv2.resize(coarse, (WIDTH, HEIGHT)))
    os.replace(root / "picture.jpeg", root / "picture")  # no image of the data set
    for number in range(files):
        os.link(root / "picture", root / "JPEGImages" / f"{number:06d}.jpg")
        objects = ""
        for _ in range(random.integers(1, 7)):
            x, y = random.integers(1, WIDTH // 2), random.integers(1, HEIGHT // 2)
            corners = (x, y, x + random.integers(9, WIDTH // 2), y + random.integers(9, HEIGHT // 2))
            box = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
            objects += f"<object><name>class {random.integers(10)}</name><bndbox>{box}</bndbox></object>"
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{number:06d}.jpg</filename>{size}{objects}</annotation>"
        (root / "Annotations" / f"{number:06d}.xml").write_text(text)
