"""mmrazor's distiller, which can measure its levels."""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS
from mmrazor.models.distillers import ConfigurableDistiller
from torch import Tensor

from pkdcli.engine.distill.level_stats import LevelMeasures, measure


@MODELS.register_module()
class PkdDistiller(ConfigurableDistiller):
    """mmrazor's distiller, which can measure its levels; no feature map outlives its step.

    The learned parts beside the student, adapters and losses with parameters, are its submodules: they are optimised
    and checkpointed with the student, and are no part of `architecture`, which is what student.pth holds.

    Attributes:
        measuring: Set it to have the next step measured.
        measured: What was measured in the last step, by student level; empty where nothing was.
        detection: The student's own loss in a step that is measured, with its graph; None in any other.
    """

    measuring: bool = False
    detection: Tensor | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.measured: dict[int, LevelMeasures] = {}

    @property
    def level_pairs(self) -> dict[str, tuple[int, int]]:
        """The (student, teacher) levels of each loss, by its name."""
        return {
            name: (mapping["preds_S"]["data_idx"], mapping["preds_T"]["data_idx"])
            for name, mapping in self.loss_forward_mappings.items()
        }

    def adapters(self) -> dict[str, list[int]]:
        """The channels of each adapter, [student's, teacher's], by student level."""
        return {
            str(mapping["preds_S"]["data_idx"]): [conv.in_channels, conv.out_channels]
            for mapping in self.loss_forward_mappings.values()
            if "connector" in mapping["preds_S"]
            for conv in [self.connectors[mapping["preds_S"]["connector"]].conv_module.conv]
        }

    def compute_distill_losses(self) -> dict[str, Tensor]:
        """The distillation loss of each level, by name."""
        losses = {}
        self.measured = {}
        for name, mapping in self.loss_forward_mappings.items():
            student, teacher = self.get_record(**mapping["preds_S"]), self.get_record(**mapping["preds_T"])
            losses[name] = self.distill_losses[name](student, teacher)
            if self.measuring:
                level = self.get_record(**{**mapping["preds_S"], "connector": None})
                self.measured[mapping["preds_S"]["data_idx"]] = measure(
                    losses[name], level, student, teacher, self.detection
                )
        self.measuring, self.detection = False, None
        for manager in (self.student_recorders, self.teacher_recorders):
            for recorder in manager.recorders.values():
                recorder.reset_data_buffer()
        return losses
