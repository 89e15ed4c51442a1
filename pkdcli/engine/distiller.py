"""The distillation: mmrazor's algorithm and distiller, with what they get wrong put right."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import MODELS
from mmrazor.models.algorithms import FpnTeacherDistill
from mmrazor.models.distillers import ConfigurableDistiller
from mmrazor.models.utils import add_prefix
from torch import Tensor, nn

from pkdcli.engine.checkpoint import load_into

_HEADS = ("bbox_head", "rpn_head", "roi_head", "mask_head")


@MODELS.register_module()
class PkdDistiller(ConfigurableDistiller):
    """mmrazor's distiller; its records are let go after each step, so that no feature map outlives it."""

    def compute_distill_losses(self) -> dict[str, Tensor]:
        """The distillation loss of each level, by name."""
        losses = super().compute_distill_losses()
        for manager in (self.student_recorders, self.teacher_recorders):
            for recorder in manager.recorders.values():
                recorder.reset_data_buffer()
        return losses


@MODELS.register_module()
class PkdDistill(FpnTeacherDistill):
    """mmrazor's FpnTeacherDistill with a teacher that is frozen, entirely in eval mode, and fed its own input.

    The teacher is no submodule: it is not in the state dict, has no gradient buckets under DDP, and follows the student
    to its device. Its heads are dropped after loading; only backbone and neck run.

    Differences from mmrazor (mmrazor/models/algorithms/distill/configurable):
        - every module of the teacher is in eval mode (mmrazor leaves Swin's DropPath active);
        - the teacher gets `teacher_inputs`, normalised as its own config says;
        - losses keep the student's own names, so that logs of a baseline and a distilled run compare.

    Args:
        teacher_ckpt: A checkpoint of exactly the teacher's architecture.
        kwargs: As for mmrazor's SingleTeacherDistill.
    """

    def __init__(self, *args: Any, teacher_ckpt: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, teacher_ckpt=None, **kwargs)
        teacher = self._modules.pop("teacher")
        if teacher_ckpt is not None:
            load_into(teacher, teacher_ckpt, strict="exact", what="the teacher")
        for head in _HEADS:
            if getattr(teacher, head, None) is not None:
                delattr(teacher, head)
        teacher.requires_grad_(False)
        teacher.eval()
        object.__setattr__(self, "teacher", teacher)

    def _apply(self, fn: Any, recurse: bool = True) -> nn.Module:
        self.teacher._apply(fn)
        return super()._apply(fn, recurse)

    def train(self, mode: bool = True) -> PkdDistill:
        """Set the student's mode; the teacher stays in eval mode."""
        nn.Module.train(self, mode)
        return self

    def forward(
        self,
        inputs: Tensor,
        data_samples: list | None = None,
        mode: str = "tensor",
        teacher_inputs: Tensor | None = None,
    ) -> Any:
        """As mmdet's detectors; in mode `loss` with the teacher's own view of the batch."""
        if mode != "loss":
            return self.architecture(inputs, data_samples, mode=mode)
        if teacher_inputs is None:
            raise ValueError("mode 'loss' needs teacher_inputs: use PkdPreprocessor as the data_preprocessor")
        with self.distiller.teacher_recorders, torch.no_grad():
            self.teacher.extract_feat(teacher_inputs)
        with self.distiller.student_recorders:
            losses = dict(self.student(inputs, data_samples, mode="loss"))
        losses.update(add_prefix(self.distiller.compute_distill_losses(), "distill"))
        return losses
