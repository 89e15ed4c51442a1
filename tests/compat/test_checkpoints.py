"""mmengine's checkpoints load, and a malicious one runs nothing."""

from __future__ import annotations

import builtins
import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pkdcli.compat import checkpoints


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def load_file(path: Path):
    """As mmengine loads a file; what a run puts in its place refuses in words of its own."""
    from mmengine.runner.checkpoint import load_from_local

    return load_from_local(str(path), map_location="cpu")


def load_address(path: Path):
    """As mmengine loads http addresses; a file's address needs no network."""
    from mmengine.runner import checkpoint

    return checkpoint.load_url(path.as_uri(), model_dir=str(path.parent / "downloaded"), map_location="cpu")


LOADERS = pytest.mark.parametrize("load", [load_file, load_address])


@LOADERS
@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_checkpoint_runs_nothing(tmp_path, load, legacy):
    from mmengine.logging import HistoryBuffer

    proof = tmp_path / "proof"
    attacks = {
        "system": Call(os.system, f"touch {proof}"),
        "path": Call(Path.touch, proof),
        "eval": Call(builtins.eval, f"open({str(proof)!r}, 'w')"),
        "getattr_private": Call(getattr, HistoryBuffer, "__init__"),
        "getattr_of_another": Call(getattr, np.ndarray, "tofile"),
        "load": Call(np.load, str(proof)),
    }
    for name, attack in attacks.items():
        path = tmp_path / f"{name}.pth"
        torch.save({"state_dict": {}, "meta": attack}, path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(pickle.UnpicklingError):
            load(path)
        assert not proof.exists(), name


def test_getattr_gives_the_statistics_only():
    from mmengine.logging import HistoryBuffer

    for name in ("min", "max", "mean", "current"):
        assert checkpoints._statistic(HistoryBuffer, name) is getattr(HistoryBuffer, name)
    for owner, name in ((HistoryBuffer, "__init__"), (HistoryBuffer, "register_statistics"), (np.ndarray, "min")):
        with pytest.raises(pickle.UnpicklingError, match=name):
            checkpoints._statistic(owner, name)


def test_the_allow_list_holds_data_types_only():
    """Whoever extends the list meets this test."""
    names = set()
    for entry in checkpoints.allowed():
        names.add(entry[1] if isinstance(entry, tuple) else f"{entry.__module__}.{entry.__qualname__}")
    functions = {
        "builtins.getattr",  # replaced by one that knows HistoryBuffer's statistics only
        "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
    }  # fmt: skip
    assert functions <= names
    assert "mmengine.logging.history_buffer.HistoryBuffer" in names
    rest = names - functions - {"mmengine.logging.history_buffer.HistoryBuffer", "numpy.ndarray", "numpy.dtype"}
    scalars = r"bool|bool_|u?int(8|16|32|64)|float(16|32|64)|str_?|bytes_?"
    dtypes = r"dtypes\.(Bool|U?Int(8|16|32|64)|Float(16|32|64)|Str|Bytes|U?Long|U?LongLong)DType|dtype\[.*\]"
    assert not [name for name in rest if not re.fullmatch(rf"numpy\.({scalars}|{dtypes})", name)]


@LOADERS
def test_numpy_of_every_kind(tmp_path, load):
    kinds = (np.bool_, np.int8, np.int64, np.uint16, np.float16, np.float32, np.float64)
    content = {kind.__name__: (kind(1), np.array([[0, 1]], kind)) for kind in kinds}
    content |= {"text": (np.str_("a"), np.array(["ab", "c"]))}
    torch.save(content, tmp_path / "numpy.pth")
    loaded = load(tmp_path / "numpy.pth")
    assert loaded.keys() == content.keys()
    for name, (scalar, array) in content.items():
        assert loaded[name][0] == scalar
        assert loaded[name][0].dtype == scalar.dtype
        assert loaded[name][1].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name][1], array)


@pytest.mark.parametrize(("ours", "theirs"), [(b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")])
def test_a_file_written_under_another_numpy(tmp_path, ours, theirs):
    """NumPy 2 renamed the module that a file names; the other spelling loads as well."""
    torch.save({"epoch": np.int64(3), "loss": np.arange(4.0)}, tmp_path / "own.pth")
    with zipfile.ZipFile(tmp_path / "own.pth") as own, zipfile.ZipFile(tmp_path / "other.pth", "w") as other:
        for name in own.namelist():
            data = own.read(name)
            other.writestr(name, data.replace(ours + b".multiarray", theirs + b".multiarray"))
    loaded = load_file(tmp_path / "other.pth")
    assert loaded["epoch"] == 3
    np.testing.assert_array_equal(loaded["loss"], np.arange(4.0))


def test_a_run_saves_and_resumes(tmp_path):
    """A real checkpoint of mmengine's Runner: optimizer, schedulers, random states, message hub."""
    from mmengine.logging import HistoryBuffer
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Line(BaseModel):
        def __init__(self):
            super().__init__()
            self.line = torch.nn.Linear(1, 1)

        def forward(self, x, mode="tensor"):
            return {"loss": (self.line(x) - 2 * x).pow(2).mean()}

    def runner(epochs: int, resume: bool) -> Runner:
        data = [torch.ones(1), torch.zeros(1)]
        return Runner(
            model=Line(),
            work_dir=str(tmp_path),
            train_dataloader={"dataset": data, "sampler": {"type": "DefaultSampler", "shuffle": True}, "batch_size": 1},
            train_cfg={"by_epoch": True, "max_epochs": epochs},
            optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
            param_scheduler=[{"type": "MultiStepLR", "milestones": [1]}],
            default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
            resume=resume,
            experiment_name=f"resume-{epochs}-{tmp_path.name}",
            log_level="ERROR",
        )

    first = runner(2, resume=False)
    first.train()
    saved = load_file(tmp_path / "epoch_2.pth")
    losses = saved["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(losses, HistoryBuffer)
    np.testing.assert_array_equal(losses.data[0], first.message_hub.get_scalar("train/loss").data[0])
    assert losses.statistics("mean") == losses.data[0].mean()

    second = runner(3, resume=True)
    second.train()
    assert (second.epoch, second.iter) == (3, 6)
    resumed = second.message_hub.get_scalar("train/loss").data[0]
    np.testing.assert_array_equal(resumed[:4], losses.data[0])
    assert len(resumed) == 6
