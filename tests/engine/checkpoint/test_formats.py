"""Files by their true format: what holds weights is read whatever its name; anything else is named, with a remedy."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pkdcli.engine.checkpoint import load_state, read_checkpoint
from pkdcli.errors import PkdError


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "a folder").mkdir()
    return tmp_path / "a folder" / "weights.pth"


def refused(path: Path) -> PkdError:
    with pytest.raises(PkdError) as caught:
        load_state(path)
    assert caught.value.code == 2
    return caught.value


def typed(error: PkdError, folder: Path) -> None:
    """Type the command that a remedy gives."""
    (line,) = [line for line in error.hint.splitlines() if line.startswith("  python -c")]
    words = [sys.executable, *shlex.split(line)[1:]]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


TENSORS = {"backbone.weight": torch.arange(6.0).view(2, 3), "head.bias": torch.ones(2, dtype=torch.float16)}


def same(state) -> bool:
    return list(state) == list(TENSORS) and all(torch.equal(state[key], TENSORS[key]) for key in TENSORS)


def test_safetensors_are_read_whatever_they_are_called(path):
    from safetensors.torch import save

    data = save(TENSORS)
    path.write_bytes(data)
    state = load_state(path)
    assert state.keys() == TENSORS.keys()
    assert all(torch.equal(state[key], TENSORS[key]) for key in TENSORS)
    assert read_checkpoint(path)["meta"] == {}
    path.write_bytes(data[:-1])
    assert refused(path).message == (
        f"the checkpoint {path} is damaged: part of it is missing or was changed after it was written."
    )


def test_the_name_of_a_file_says_nothing(tmp_path):
    for name in ("weights.safetensors", "weights.onnx", "weights"):
        torch.save(TENSORS, tmp_path / name)
        assert same(load_state(tmp_path / name))


def test_a_torchscript_archive_and_its_remedy(path):
    torch.jit.script(nn.Linear(3, 2)).save(path)
    error = refused(path)
    assert error.message == (
        f"{path} is not a checkpoint: it is a TorchScript archive (torch.jit.save), code along with weights."
    )
    typed(error, path.parent)
    assert list(load_state(path.parent / "weights.pth")) == ["weight", "bias"]


def test_arrays_of_numpy_and_their_remedy(path):
    with open(path, "wb") as file:
        np.savez(file, **{key: value.numpy() for key, value in TENSORS.items()})
    error = refused(path)
    assert error.message == f"{path} is not a checkpoint: it is an archive of NumPy arrays (.npz)."
    path.rename(path.parent / "arrays.npz")
    path.write_bytes((path.parent / "arrays.npz").read_bytes())
    typed(error, path.parent)
    assert same(load_state(path.parent / "weights.pth"))


def tar(*members: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name in members:
            file.addfile(tarfile.TarInfo(name), io.BytesIO())
    return buffer.getvalue()


def zipped(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in members:
            file.writestr(name, "text")
    return buffer.getvalue()


ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.6.0:\xb1\x12"


@pytest.mark.parametrize(
    ("data", "what", "remedy"),
    [
        (b"\n<!DOCTYPE html><html><head>", "a web page (HTML or XML), perhaps that of a login or an error", "Download"),
        (b"<html>404</html>", "a web page (HTML or XML), perhaps that of a login or an error", "Download"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "a pointer of Git LFS that stands for the file",
            "lfs pull",
        ),
        (b"hello world", "a text file that begins with 'hello world'", "Give a checkpoint"),
        (b"classes: 3\nname: x\n", "a text file that begins with 'classes: 3'", "Give a checkpoint"),
        (b'{"epoch": 3}\n', "a text file that begins with '{\"epoch\": 3}'", "Give a checkpoint"),
        (ONNX, "an ONNX model", "the .pth file that it was exported from"),
        (b"\x20\x00\x00\x00TFL3" + bytes(20), "a TensorFlow Lite model", "exported from"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "a NumPy array (.npy)", "by name"),
        (gzip.compress(b"weights"), "compressed by gzip", "Unpack it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file, as Keras writes them", "PyTorch"),
        (zipped("run/best.pth", "run/log.txt"), "a zip archive with run/best.pth", "Unpack it"),
        (tar("best.pth", "log.txt"), "a tar archive with best.pth, log.txt", "Unpack it"),
        (
            tar("sys_info", "pickle", "tensors", "storages"),
            "a checkpoint of a PyTorch before 0.1.10 (a tar archive), which has no safe way to be read",
            "weights_only=False",
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_what_holds_no_weights_is_named(path, data, what, remedy):
    path.write_bytes(data)
    error = refused(path)
    assert error.message == f"{path} is not a checkpoint: it is {what}."
    assert remedy in error.hint


class Config:
    """Something of the training's own that a checkpoint carries along."""


def test_the_remedy_for_what_could_run_code_is_of_the_files_own_kind(path):
    torch.save({"state_dict": TENSORS, "config": Config()}, path)
    assert "load it with torch.load(..., weights_only=False), save its tensors by name alone" in refused(path).hint
    content = torch.load(path, weights_only=False)
    torch.save(content["state_dict"], path.parent / "plain.pth")
    assert same(load_state(path.parent / "plain.pth"))
    # Detectron2's zoo: a pickle of arrays, which torch.load can't read at all.
    path.write_bytes(pickle.dumps({"model": {"a": np.ones(2)}, "config": Config()}))
    assert "load it with pickle.load, save its tensors by name alone" in refused(path).hint
    with pytest.raises(Exception, match="magic"):
        torch.load(path, weights_only=False)


def test_a_pointer_to_a_pretrained_backbone_is_named_too(path):
    """What mmengine loads by `init_cfg` is read in the same way."""
    from mmengine.runner.checkpoint import CheckpointLoader

    from pkdcli.engine.checkpoint.model_zoo import install_into_mmengine

    install_into_mmengine(path.parent)
    path.write_text(json.dumps({"message": "rate limit"}))
    with pytest.raises(PkdError, match="is not a checkpoint: it is a text file"):
        CheckpointLoader.load_checkpoint(str(path))
