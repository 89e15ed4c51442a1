"""mmdet's PointAssigner (RepPoints), which counts the points on the CPU and picks from them with a mask of the GPU."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.task_modules.assigners import PointAssigner
from mmdet.models.task_modules.assigners.assign_result import AssignResult
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData


@TASK_UTILS.register_module(name="PointAssigner", force=True)
class DevicePointAssigner(PointAssigner):
    """mmdet's, with all that it makes on the device of its points."""

    def assign(self, pred_instances: InstanceData, *args: Any, **kwargs: Any) -> AssignResult:
        """As mmdet's."""
        device = pred_instances.priors.device
        if device.type == "cpu":
            return super().assign(pred_instances, *args, **kwargs)
        with torch.device(device):
            return super().assign(pred_instances, *args, **kwargs)
