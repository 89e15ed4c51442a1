"""Section `coco`: what a training on an annotation file as large as COCO's takes, in time and in memory.

Started as `python -m pkdcli.engine.bench.sections.coco_size KIND FILE IMAGES` this process loads the file and
prints what it took as JSON; with `wait` as a fourth word it then goes on holding what it
has loaded until its input ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import write_text

CHECK, CHECK_MEMORY = 15.0, 1536.0  # seconds; MiB in all
SURVEY, SURVEY_MEMORY, SURVEYED = 60.0, 4096.0, 2000.0  # seconds; MiB in all; images a second
LOAD, KEPT = 5.0, 614.0  # seconds from the cache; MiB, 0.6 GiB


def coco_size(images: int, repeat: int, folder: Path) -> Any:
    """Measure the checks, the loading by mmdet, the first time and from the cache, and what is held afterwards.

    Args:
        images: Of the annotation file; bounds hold for as many as COCO's train2017 has.
        repeat: Rounds.
        folder: For files of about 3.5 KB an image, and the cache.
    """
    from pkdcli.engine.bench.inputs.checking import checked
    from pkdcli.engine.bench.inputs.coco_file import TRAIN, write_coco
    from pkdcli.engine.bench.measure import Section

    file, pictures = write_coco(folder / "train", images)
    others, more = write_coco(folder / "val", max(2, images * 5000 // TRAIN), seed=1, above=5 * images)
    recipe = folder / "data.yaml"
    splits = {"train": (file, pictures), "val": (others, more)}
    content = {name: {"images": str(where), "annotations": str(what)} for name, (what, where) in splits.items()}
    write_text(recipe, yaml.safe_dump({"name": "as-large-as-coco", **content}))
    title = f"Annotations of {images} images, {file.stat().st_size / 2**20:.0f} MiB: check and loading"
    section, whole = Section("coco", title), images >= TRAIN
    found: dict[str, list[dict[str, float]]] = {"check": []}
    for _ in range(repeat):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        seconds, peak = checked(recipe)
        found["check"].append({"seconds": seconds, "peak": 1024 * peak})
        for name, kind in (("pkd data check --no-decode", "survey"), ("json.loads of the files", "json")):
            seconds, peak = checked(recipe, kind)
            found.setdefault(name, []).append({"seconds": seconds, "peak": 1024 * peak})
        for name, kind in (("mmdet's loading", "mmdet"), ("loading, first time", "load"),
                           ("loading, from the cache", "load")):  # fmt: skip
            found.setdefault(name, []).append(_measured(kind, file, pictures))
    section.time({name: [one["seconds"] for one in samples] for name, samples in found.items()})
    section.ratio("times faster than mmdet's, from the cache", ["mmdet's loading"], ["loading, from the cache"])
    section.ratio("times as long as json.loads, pkd data check", ["pkd data check --no-decode"],
                  ["json.loads of the files"])  # fmt: skip
    worst = {name: {key: max(one[key] for one in samples) for key in samples[0]} for name, samples in found.items()}

    def number(name: str, value: float, unit: str, bound: float | None = None) -> None:
        section.number(name, value, unit, at_most=bound if whole else None)

    number("check", worst["check"]["seconds"], "s", CHECK)
    number("check, peak memory of the process", worst["check"]["peak"], "MiB", CHECK_MEMORY)
    survey = worst["pkd data check --no-decode"]
    number("pkd data check --no-decode", survey["seconds"], "s", SURVEY)
    number("pkd data check --no-decode, peak memory of the process", survey["peak"], "MiB", SURVEY_MEMORY)
    section.number("pkd data check --no-decode, images a second", images / survey["seconds"], "",
                   at_least=SURVEYED if whole else None)  # fmt: skip
    cached, first, theirs = (worst[name] for name in ("loading, from the cache", "loading, first time",
                                                      "mmdet's loading"))  # fmt: skip
    number("loading, from the cache", cached["seconds"], "s", LOAD)
    number("held after loading and reading all, the first time", first["held"], "MiB", KEPT)
    number("held after loading and reading all, from the cache", cached["held"], "MiB", KEPT)
    number("of that, of this process alone", cached["own"], "MiB")
    number("held by mmdet's", theirs["held"], "MiB")
    number("two processes, in all (PSS)", _of_two(file, pictures), "MiB")
    section.notes.append("Held: grown resident memory; pages of the cache's file, which processes share, among it.")
    return section


def _command(kind: str, file: Path, pictures: Path) -> dict[str, Any]:
    env = {**os.environ, "PKD_CACHE": str(file.parent.parent / "cache")}
    words = [sys.executable, "-m", "pkdcli.engine.bench.sections.coco_size", kind, str(file), str(pictures)]
    return {"args": words, "env": env, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
            "text": True}  # fmt: skip


def _measured(kind: str, file: Path, pictures: Path) -> dict[str, float]:
    process = subprocess.Popen(**_command(kind, file, pictures))
    out, err = process.communicate()
    if process.returncode:
        last = "\n".join(err.splitlines()[-5:])
        raise PkdError(f"{kind} ended with exit code {process.returncode}.", last, ExitCode.RUN_FAILED)
    return json.loads(out.splitlines()[-1])


def _of_two(file: Path, pictures: Path) -> float:
    """MiB by which two processes that hold the data at a time have grown, shared pages shared out."""
    command = _command("load", file, pictures)
    command["args"] = [*command["args"], "wait"]
    processes = [subprocess.Popen(**command) for _ in range(2)]
    try:
        befores = [json.loads(_last(process))["before"] for process in processes]
        # Each has loaded and waits now: a page that both hold counts by half in each.
        return sum(memory("Pss", process.pid) - before for process, before in zip(processes, befores, strict=True))
    finally:
        for process in processes:
            process.communicate("")


def _last(process: subprocess.Popen) -> str:
    for line in process.stdout:
        if line.startswith("{"):
            return line
    raise PkdError("loading ended before it was done.", process.stderr.read()[-500:], ExitCode.RUN_FAILED)


def memory(what: str, process: int | str = "self") -> float:
    """MiB of a process by a name in Linux's smaps_rollup (Rss, Pss, Private_Dirty, ...), 0 where there is none.

    Args:
        what: The name.
        process: Its id; `self` for this one.
    """
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.split(":")[0] == what) / 1024


def main(argv: list[str]) -> int:
    """Load the data as `load` or `mmdet` does; say what it took: seconds, and MiB held and own."""
    import pkdcli.engine.register  # noqa: F401

    # isort: split
    from mmdet.datasets import CocoDataset

    from pkdcli.data.annotations.read import read_classes
    from pkdcli.engine.data.dataset import PkdCocoDataset
    from pkdcli.engine.worker.memory import keep_freed_memory

    kind, file, pictures, *wait = argv
    keep_freed_memory()  # as in a worker
    classes = tuple(read_classes(Path(file)))
    held, own, before = (memory(what) for what in ("Rss", "Private_Dirty", "Pss"))
    begin = time.perf_counter()
    dataset = (PkdCocoDataset if kind == "load" else CocoDataset)(
        ann_file=file, data_prefix={"img": pictures}, metainfo={"classes": classes}, pipeline=[],
        filter_cfg={"filter_empty_gt": True, "min_size": 32},
    )  # fmt: skip
    answer = {"seconds": time.perf_counter() - begin, "before": before}
    for index in range(len(dataset)):
        dataset.get_data_info(index)
    answer |= {"held": memory("Rss") - held, "own": memory("Private_Dirty") - own}
    print(json.dumps(answer), flush=True)
    if wait:
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
