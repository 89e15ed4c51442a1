"""What a run says it is at, from its start to the end of its process."""

from __future__ import annotations

import os

import pkdcli.engine.register  # noqa: F401

# isort: split
import torch

from pkdcli import cores
from pkdcli.cli.progress.base import describe
from pkdcli.data.prepare import prepare
from pkdcli.engine.train.hooks import progress
from pkdcli.engine.worker import lifecycle, single
from pkdcli.experiment import plan
from pkdcli.experiment import prepare as preparation
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.status import Status
from pkdcli.runs.store import read_object


def test_every_phase_is_said_and_the_evaluation_with_its_images(tmp_path, micro, monkeypatch):
    asked = {"pair": "gfl101-fcos50", "loss": "none", "data": str(micro), "scale": "tiny", "batch_size": 8}
    recipe = resolve(Request(**asked, workers=0, max_iters=2))
    recipe = recipe.model_copy(update={"data": prepare(recipe.data, tmp_path / "cache"), "val_images": None})
    recipe = recipe.model_copy(update={"scale": recipe.scale.model_copy(update={"val_batch": 3})})
    (run,) = plan.plan([recipe], tmp_path / "runs", tmp_path / "cache")
    preparation.prepare(run, tmp_path / "cache")
    said = []
    write = Status.write

    def watched(self, **fields):
        write(self, **fields)
        said.append(describe(read_object(self.paths.status)).split(", loss")[0])

    monkeypatch.setattr(Status, "write", watched)
    monkeypatch.setattr(progress, "STATUS_SECONDS", 0.0)
    single.run(run.paths, lifecycle.start(run.paths, 0))
    Status(run.paths).done()
    assert list(dict.fromkeys(said)) == [
        *("starting", "reading data", "loading weights"),
        *("epoch 1/1, step 0/2", "epoch 1/1, step 1/2", "epoch 1/1, step 2/2"),
        *(f"evaluating, {images}/8 images" for images in (0, 3, 6, 8)),
        "finishing",
    ]
    assert said[-1] == "finishing"  # as long as its process takes to be gone
    env = read_object(run.paths.env)
    parallel = {key: env["parallel"][key] for key in ("compute", "opencv", "loaders")}
    assert parallel == {"compute": torch.get_num_threads(), "opencv": 1, "loaders": 0}
    assert env["parallel"]["variables"]["OMP_NUM_THREADS"] == os.environ["OMP_NUM_THREADS"]
    assert env["cores"]["usable"] == cores.cores().count
