"""mmengine's Runner, writing into the run directory and nowhere else."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import EMAHook
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from pkdcli.engine.speedups.frozen_norms import apply_speedups
from pkdcli.engine.speedups.upload import quicken_upload
from pkdcli.engine.train.batches import Pause, TrainingCoroutine
from pkdcli.engine.train.hooks.mean_weights import MeanWeightsHook


class PkdRunner(Runner):
    """A Runner whose log goes to the process's output, which the launcher keeps as log.txt."""

    by_steps = False
    """Its loop leaves the steps to `run_steps`."""
    measures = "val"
    """What an evaluation is called in metrics.jsonl: that of the weights, or `rung`, of their mean before a pause."""

    def run_steps(self, pause: Pause | None = None) -> TrainingCoroutine[None]:
        """Train as `train` does, with batches that somebody hands over.

        Args:
            pause: Where it pauses; None for nowhere.
        """
        if pause is not None and pause.mean and not any(isinstance(hook, EMAHook) for hook in self.hooks):
            # Else what is evaluated is an average already.
            self.register_hook(MeanWeightsHook(detector(self.model), pause.at, pause.mean))
        self.by_steps = True
        self.train()  # all that comes before the first step
        self.by_steps = False
        self.train_loop.pause = pause
        yield from self.train_loop.run_steps()
        self.call_hook("after_run")

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """As mmengine's; the end of `train` is not that of the run where the steps are still to come."""
        if not (self.by_steps and fn_name == "after_run"):
            super().call_hook(fn_name, **kwargs)

    @property
    def timestamp(self) -> str:
        """Empty: mmengine makes a folder of this name inside the run directory."""
        return ""

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """A logger without a file of its own.

        Args:
            log_level: As logging's.
            log_file: Not used: the launcher keeps what is printed.
            kwargs: mmengine's others; not used.
        """
        return MMLogger.get_instance(name=self._experiment_name, log_level=log_level, logger_name="pkd")

    def dump_config(self) -> None:
        """Nothing: config.py is already there."""

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """The model, its feature maps laid out channels last where the scale says so."""
        built = super().build_model(model)
        quicken_upload(built)
        return built.to(memory_format=torch.channels_last) if self.cfg.get("channels_last") else built

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, *args: Any, **kwargs: Any) -> DataLoader:
        """As mmengine's; where there is a GPU, its pictures lie in page-locked memory, from which copies don't wait."""
        if isinstance(dataloader, dict) and torch.cuda.is_available():
            dataloader = {"pin_memory": True, **dataloader}
        return Runner.build_dataloader(dataloader, *args, **kwargs)

    def _init_model_weights(self) -> None:
        """As mmengine's; the student is made quicker after it, since it looks for modules by their types' names."""
        super()._init_model_weights()
        apply_speedups(detector(self.model))

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """The model for several processes; mmengine names a GPU also where there is none.

        Args:
            model_wrapper_cfg: As mmengine's.
            model: The whole model, not wrapped yet.
        """
        if self.distributed and not torch.cuda.is_available():
            return MMDistributedDataParallel(module=model, broadcast_buffers=False)
        return super().wrap_model(model_wrapper_cfg, model)

    def load_checkpoint(self, filename: str, map_location: Any = "cpu", strict: bool = True, **kwargs: Any) -> Any:
        """As mmengine's, but a state with other weights than the model's is an error, not half loaded.

        Args:
            filename: Of the training state.
            map_location: The device that it is read to.
            strict: Refuse other weights.
            kwargs: As mmengine's.
        """
        return super().load_checkpoint(filename, map_location=map_location, strict=strict, **kwargs)


def detector(model: nn.Module) -> nn.Module:
    """The mmdet detector that is trained, without DDP's wrapper and the distillation around it."""
    model = getattr(model, "module", model)
    return getattr(model, "architecture", model)
