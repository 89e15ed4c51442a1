"""Optimizers that a config builds by a constructor of its own, such as a learning rate by layer."""

from __future__ import annotations

from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PkdOptimWrapperConstructor:
    """Shows a constructor the detector that is trained, whose parameters it knows by name; a teacher may stand around.

    What is trained beside the detector, adapters and losses with parameters, gets the optimizer's plain settings.

    Args:
        optim_wrapper_cfg: As for mmengine's own constructors.
        paramwise_cfg: The same, and the type of the constructor as `constructor`.
    """

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any]) -> None:
        options = {key: value for key, value in paramwise_cfg.items() if key != "constructor"}
        section = {"type": paramwise_cfg["constructor"], "optim_wrapper_cfg": optim_wrapper_cfg}
        self._named = OPTIM_WRAPPER_CONSTRUCTORS.build({**section, "paramwise_cfg": options or None})

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """The optimizer of a model with its wrapper."""
        model = getattr(model, "module", model)
        detector = getattr(model, "architecture", model)
        wrapper = self._named(detector)
        inside = {id(one) for one in detector.parameters()}
        beside = [one for one in model.parameters() if id(one) not in inside and one.requires_grad]
        if beside:
            wrapper.optimizer.add_param_group({"params": beside})
        return wrapper
