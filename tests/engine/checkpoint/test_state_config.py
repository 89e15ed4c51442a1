"""The config that stands in the log and in every training state."""

from __future__ import annotations

import torch
from mmengine.config import Config

# Laying a config out takes longer than an epoch of these runs: mmengine would do it at the start and for every state.
NEVER = """
from mmengine.config import config
def never(*words, **options):
    raise AssertionError("the config was laid out")
config.FormatCode = never
"""


def test_it_is_the_runs_config_and_no_time_is_spent_on_its_looks(make_run, workers, tmp_path):
    run = workers.finish(make_run(tmp_path, loss="none", epochs=1), first=NEVER)
    state = torch.load(max((run / "checkpoints").glob("epoch_*.pth")), weights_only=False)
    kept = Config.fromstring(state["meta"]["cfg"], ".py").to_dict()
    config = Config.fromfile(run / "config.py").to_dict()
    for section in ("model", "optim_wrapper", "param_scheduler", "train_dataloader", "custom_hooks", "default_hooks"):
        assert kept[section] == config[section], section
    assert state["meta"]["cfg"] in (run / "log.txt").read_text()
