"""Faults of disks, files and processes, met by the real worker: what it says, and that nothing good is lost.

A run that met a fault and then goes on ends with the very weights and metrics of one that met none.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pkdcli import compat

compat.activate()

from pkdcli.data.images.loading_error import ImageError  # noqa: E402
from pkdcli.engine.checkpoint import load_state  # noqa: E402
from pkdcli.engine.data.load_image import PkdLoadImage  # noqa: E402
from pkdcli.engine.distributed.stop import StopFlag  # noqa: E402
from pkdcli.engine.worker import lifecycle  # noqa: E402
from pkdcli.errors import ExitCode  # noqa: E402
from pkdcli.runs.liveness import finished, held_by  # noqa: E402
from pkdcli.runs.lock import RunLock  # noqa: E402
from pkdcli.runs.paths import RunPaths  # noqa: E402
from pkdcli.runs.status import Status  # noqa: E402
from pkdcli.runs.store import read_json, read_jsonl  # noqa: E402

STEPS = 12  # four epochs of three


def at_step(step: int, action: str) -> str:
    """Python for a worker: do something once it has taken so many steps, before what is saved there."""
    return f"""
import os, signal, subprocess, time
from pathlib import Path
from pkdcli.engine.train.hooks.progress import PkdProgressHook  # noqa: E402
usual = PkdProgressHook.after_train_iter
def also(self, runner, *args, **kwargs):
    usual(self, runner, *args, **kwargs)
    if runner.iter + 1 == {step}:
        {action}
PkdProgressHook.after_train_iter = also
"""


def signalled(name: str) -> str:
    return f"os.kill(os.getpid(), signal.{name})"


@pytest.fixture(scope="module")
def whole(make_run, workers, tmp_path_factory) -> Path:
    """A run that met no fault."""
    return workers.finish(make_run(tmp_path_factory.mktemp("whole"), loss="none"))


@pytest.fixture(scope="module")
def stopped(make_run, workers, tmp_path_factory) -> Path:
    """The same run, stopped after step 8, in the middle of its third epoch."""
    run = make_run(tmp_path_factory.mktemp("stopped"), loss="none")
    assert workers.run(run, at_step(8, signalled("SIGTERM"))) == ExitCode.INTERRUPTED
    assert names(run) == ["epoch_0002.pth", "epoch_0002_iter_00000008.pth"]
    return run


@pytest.fixture
def half(stopped, tmp_path) -> Path:
    """A copy of the stopped run, to be damaged."""
    return shutil.copytree(stopped, tmp_path / "runs" / stopped.name)


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def status(run: Path) -> dict:
    return read_json(run / "status.json")


def error(run: Path) -> dict:
    return status(run)["error"]


def begins(run: Path) -> list[int]:
    """The steps at which the run was started."""
    return [record["iter"] for record in read_jsonl(run / "metrics.jsonl") if record["kind"] == "start"]


def same(run: Path, other: Path) -> bool:
    """Whether two finished runs have the same weights, bit by bit, and the same metrics."""
    ours, theirs = (load_state(path / "student.pth") for path in (run, other))
    assert ours.keys() == theirs.keys()
    results = [read_json(path / "result.json")["metrics"] for path in (run, other)]
    return all(torch.equal(ours[key], theirs[key]) for key in ours) and results[0] == results[1]


# Training states


class Malicious:
    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self):
        return os.mkdir, (str(self.evidence),)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "bit flipped":
        place = within_the_weights(path)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif how == "malicious":
        torch.save({"state_dict": Malicious(path.parents[2] / "evidence")}, path)


def within_the_weights(path) -> int:
    """A place in the data of the largest part of a state: between the parts lies padding, which nothing depends on."""
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
    header = path.read_bytes()[largest.header_offset :][:30]
    name, extra = struct.unpack("<HH", header[26:])
    return largest.header_offset + 30 + name + extra + largest.file_size // 2


DAMAGED = "the checkpoint {path} is damaged: part of it is missing or was changed after it was written."
REFUSED = "{path} was not loaded: it asks for posix.mkdir, which a checkpoint of weights has no need of."


@pytest.mark.parametrize(
    ("how", "words"), [("truncated", DAMAGED), ("bit flipped", DAMAGED), ("malicious", REFUSED)]
)
def test_a_bad_state_is_passed_over_for_the_one_before(half, whole, workers, how, words):
    newest = half / "checkpoints" / "epoch_0002_iter_00000008.pth"
    damage(newest, how)
    bad = newest.read_bytes()
    workers.finish(half)
    (warning,) = status(half)["warnings"]
    why = words.format(path=newest)
    assert warning == f"{newest.name} was passed over, and is now {newest.name}.damaged: {why}"
    assert (half / "checkpoints" / f"{newest.name}.damaged").read_bytes() == bad
    assert begins(half) == [0, 6]
    assert same(half, whole)
    assert not (half.parent / "evidence").exists()


def test_where_no_state_is_whole_the_run_starts_again(half, whole, workers):
    for path in (half / "checkpoints").iterdir():
        damage(path, "truncated")
    workers.finish(half)
    assert status(half)["warnings"][-1] == "No training state is whole: the run starts from its beginning."
    assert begins(half) == [0]
    assert same(half, whole)


def test_what_a_killed_process_left_half_written_is_cleared_away(half, whole, workers):
    for path in (half / "checkpoints" / ".epoch_0003.pth.part", half / ".result.json.abc.part"):
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    workers.finish(half)
    assert not list(half.rglob("*.part"))
    assert same(half, whole)


def test_code_in_a_config_is_not_run(half, whole, workers):
    (half / "config.py").write_text(f"import os\nos.mkdir({str(half.parent / 'evidence')!r})\n")
    workers.finish(half)
    assert not (half.parent / "evidence").exists()
    assert same(half, whole)


# JSON


def test_half_written_json_is_made_again(whole, workers, tmp_path):
    run = shutil.copytree(whole, tmp_path / whole.name)
    for name in ("status.json", "result.json", "metrics.jsonl"):
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: 2 * len(content) // 3])
    assert not finished(RunPaths(run))
    workers.finish(run)
    assert finished(RunPaths(run))
    assert same(run, whole)
    known = ("run", "state", "role", "pair", "student", "loss", "data", "scale", "seed", "batch", "recipe_hash")
    assert {key: status(run)[key] for key in known} == {key: status(whole)[key] for key in known}
    assert all(isinstance(json.loads(line), dict) for line in (run / "metrics.jsonl").read_text().splitlines())


def test_a_half_written_job_is_named(half, workers):
    (half / "job.json").write_text('{"cache": "/')
    assert workers.run(half) == ExitCode.USAGE
    assert error(half)["message"] == f"{half / 'job.json'} is absent or damaged."
    assert error(half)["hint"] == "Type the command that made the run again."
    assert names(half) == ["epoch_0002.pth", "epoch_0002_iter_00000008.pth"]


# Disks


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, and a function that mounts it again with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)

    if os.geteuid() != 0 or (said := mount("-t", "tmpfs", "-o", "size=64m", "pkd", str(folder))).returncode:
        pytest.skip("a disk that is full for everybody needs root" if os.geteuid() else f"no tmpfs here: {said.stderr}")
    yield folder, lambda options: mount("-o", f"remount,{options}", str(folder)).check_returncode()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_costs_what_came_after_the_last_state(disk, stopped, whole, workers, tmp_path):
    folder, _ = disk
    run = shutil.copytree(stopped, folder / stopped.name)
    (run / "log.txt").unlink()
    (run / "log.txt").symlink_to(tmp_path / "log.txt")  # else there might be no room for the words that are sought
    fill = f"subprocess.run(['dd', 'if=/dev/zero', 'of={folder}/filler', 'bs=4k'], capture_output=True)"
    assert workers.run(run, at_step(9, fill)) == ExitCode.MISSING
    log = (tmp_path / "log.txt").read_text()
    assert f"error: no space left to write {run}/checkpoints/epoch_0003.pth.\nFree some space, or " in log
    assert "Traceback" not in log
    assert names(run) == ["epoch_0002.pth", "epoch_0002_iter_00000008.pth"]
    assert not list(run.rglob("*.part"))
    assert status(run)["state"] == "running"  # the last that could be written
    assert held_by(RunPaths(run)) is None
    (folder / "filler").unlink()
    workers.finish(run)
    assert begins(run) == [0, 8, 8]
    assert same(run, whole)


def test_a_log_that_takes_no_word_more_hides_no_error(tmp_path, monkeypatch):
    """log.txt may lie on the very disk that is full."""
    status = Status(RunPaths(tmp_path))
    full = open("/dev/full", "w")  # noqa: SIM115 (to close it is an error as well)
    monkeypatch.setattr(sys, "stderr", full)
    assert lifecycle.explain(OSError(errno.ENOSPC, "No space left on device"), status, None) == ExitCode.MISSING
    monkeypatch.undo()
    with suppress(OSError):
        full.close()
    assert error(tmp_path)["message"] == "no space left to write the run's log."
    assert error(tmp_path)["hint"].startswith("Free some space, or choose other folders")


def test_a_folder_that_becomes_read_only(disk, half, whole, workers):
    folder, remount = disk
    (half / "checkpoints").rename(half / "copy")
    shutil.copytree(half / "copy", folder / "checkpoints")
    (half / "checkpoints").symlink_to(folder / "checkpoints")
    read_only = f"subprocess.run(['mount', '-o', 'remount,ro', '{folder}'], check=True)"
    assert workers.run(half, at_step(9, read_only)) == ExitCode.MISSING
    assert status(half)["state"] == "failed"
    assert error(half)["message"] == f"can't write {half}/checkpoints/epoch_0003.pth: Read-only file system."
    assert error(half)["hint"].startswith("Check the folder's permissions")
    assert names(half) == ["epoch_0002.pth", "epoch_0002_iter_00000008.pth"]
    remount("rw")
    workers.finish(half)
    assert same(half, whole)


# Images


@pytest.fixture
def pictures(dozen):
    """The folder of the training images, put right again afterwards."""
    folder, aside = dozen.parent / "images" / "train", dozen.parent / "aside"
    shutil.copytree(folder, aside)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


AGAIN = (
    "Put a whole copy of it there, or take it out of the annotation file; then type the same command again: the run "
    "goes on where it stopped."
)


def test_images_that_vanish_in_the_middle_of_an_epoch(half, whole, workers, pictures):
    gone = pictures.with_name("gone")
    assert workers.run(half, at_step(10, f"os.rename({str(pictures)!r}, {str(gone)!r})")) == ExitCode.MISSING
    said = error(half)
    assert re.fullmatch(rf"image {re.escape(str(pictures))}/\d{{6}}\.png is missing\.", said["message"])
    assert said["hint"] == AGAIN
    assert names(half) == ["epoch_0003.pth", "epoch_0003_iter_00000010.pth"]
    gone.rename(pictures)
    workers.finish(half)
    assert begins(half) == [0, 8, 10]
    assert same(half, whole)


def test_a_corrupt_image_in_a_loader_process(half, whole, workers, pictures):
    recipe = half / "recipe.yaml"
    assert "\nworkers: 0\n" in recipe.read_text()
    recipe.write_text(recipe.read_text().replace("\nworkers: 0\n", "\nworkers: 1\n"))
    kept = {path: path.read_bytes() for path in pictures.iterdir()}
    for path, content in kept.items():
        path.write_bytes(content[:-20])
    assert workers.run(half) == ExitCode.MISSING
    assert re.fullmatch(rf"image {re.escape(str(pictures))}/\d{{6}}\.png is cut short\.", error(half)["message"])
    assert error(half)["hint"] == AGAIN
    assert names(half) == ["epoch_0002.pth", "epoch_0002_iter_00000008.pth"]
    for path, content in kept.items():
        path.write_bytes(content)
    workers.finish(half)
    assert same(half, whole)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda content: content[: len(content) // 2], "is cut short"),
        (lambda content: content[:40] + bytes(len(content) - 60) + content[-20:], "is corrupt: opencv can't decode it"),
        (lambda content: b"", "is empty"),
        (None, "is missing"),
    ],
)
def test_an_image_is_loaded_whole_or_not_at_all(tmp_path, kind, damage, why):
    path = tmp_path / f"a{kind}"
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    path.write_bytes(cv2.imencode(kind, pixels)[1].tobytes())
    load = PkdLoadImage()
    assert load.transform({"img_path": str(path)})["img"].shape == (48, 64, 3)
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    with pytest.raises(ImageError) as caught:
        load.transform({"img_path": str(path)})
    assert (caught.value.message, caught.value.hint) == (f"image {path} {why}.", AGAIN)


# Two commands


def test_a_second_worker_is_refused_and_leaves_everything_as_it_is(half, workers):
    def content():
        return {path: path.read_bytes() for path in half.rglob("[!.]*") if path.is_file() and path.name != "log.txt"}

    before = content()
    with RunLock(RunPaths(half)):
        assert workers.run(half) == ExitCode.USAGE
        assert content() == before
    assert f"error: {half.name} is running already: process {os.getpid()} on " in (half / "log.txt").read_text()


# NaN


def test_a_loss_that_is_not_finite_stops_the_run_which_goes_on_from_the_state_before(half, whole, workers):
    spoil = "[group.update(lr=1e20) for group in runner.optim_wrapper.optimizer.param_groups]"
    assert workers.run(half, at_step(10, spoil)) == ExitCode.RUN_FAILED
    said, written = error(half), read_json(half / "nan.json")
    assert re.match(r"training diverged: the loss is (nan|inf) at step 12; it began .*of the student", said["message"])
    assert said["hint"].startswith("Lower the learning rate (--set scale.lr_factor=X), or the weight of the distillat")
    assert said["hint"].endswith(f"The batch's images and the losses are in {half / 'nan.json'}.")
    assert (written["iter"], written["epoch"], len(written["images"])) == (12, 4, 4)
    assert {"level", "channel", "module"} <= written["began"].keys()
    assert names(half) == ["epoch_0002_iter_00000008.pth", "epoch_0003.pth"]
    workers.finish(half)
    assert begins(half) == [0, 8, 9]
    assert same(half, whole)


# Signals


def test_every_asking_signal_saves_and_the_run_goes_on(half, whole, workers):
    for step, name in ((9, "SIGUSR1"), (10, "SIGINT"), (11, "SIGTERM")):
        assert workers.run(half, at_step(step, signalled(name))) == ExitCode.INTERRUPTED
        assert (status(half)["state"], error(half)) == ("interrupted", None)
    assert names(half) == ["epoch_0003_iter_00000010.pth", "epoch_0003_iter_00000011.pth"]
    workers.finish(half)
    assert begins(half) == [0, 8, 9, 10, 11]
    assert same(half, whole)


def test_ctrl_c_for_the_second_time_stops_at_once(half, whole, workers):
    twice = f"{signalled('SIGINT')}; time.sleep(1.1); {signalled('SIGINT')}; time.sleep(60)"
    assert workers.run(half, at_step(11, twice)) == ExitCode.INTERRUPTED
    assert status(half)["state"] == "interrupted"
    assert names(half) == ["epoch_0002_iter_00000008.pth", "epoch_0003.pth"]
    workers.finish(half)
    assert same(half, whole)


def test_one_ctrl_c_that_arrives_twice_is_one(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    flag = StopFlag()
    flag.set(signal.SIGINT)
    now[0] += 0.9
    flag.set(signal.SIGINT)
    now[0] += 0.2
    flag.set(signal.SIGTERM)
    assert flag.requested
    with pytest.raises(KeyboardInterrupt):
        flag.set(signal.SIGINT)


def test_a_killed_worker_holds_nothing_and_costs_what_came_after_the_last_state(half, whole, workers):
    assert workers.run(half, at_step(11, signalled("SIGKILL"))) == -signal.SIGKILL
    assert status(half)["state"] == "running"
    assert held_by(RunPaths(half)) is None
    workers.finish(half)
    assert begins(half) == [0, 8, 9]
    assert same(half, whole)


@pytest.mark.parametrize(
    ("raised", "message", "hint"),
    [
        (MemoryError(), "MemoryError: no message", "Give a smaller --batch-size"),
        (RuntimeError("CUDA out of memory. Tried"), "RuntimeError: CUDA out of memory.", "Give a smaller --batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "RuntimeError: DefaultCPUAllo", "Give a sm"),
        (OSError(errno.ENOSPC, "No space", "/data/a"), "no space left to write /data/a.", "Free some space"),
        (OSError(errno.EIO, "Input/output error", "/data/a"), "/data/a: Input/output error.", None),
        (KeyError("x"), "KeyError: 'x'", "The whole story is in the run's log.txt."),
    ],
)
def test_what_nobody_foresaw_is_told_in_words(raised, message, hint):
    told = lifecycle.as_user_error(raised)
    assert told.message.startswith(message)
    assert told.hint is None if hint is None else told.hint.startswith(hint)
    assert told.code == (ExitCode.MISSING if "space" in message else ExitCode.RUN_FAILED)
