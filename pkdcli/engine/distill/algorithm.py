"""mmrazor's distillation algorithm, with what it gets wrong put right: the teacher, its input and its modes."""

from __future__ import annotations

import copy
from typing import Any

from mmdet.registry import MODELS
from mmrazor.models.algorithms import FpnTeacherDistill
from mmrazor.models.utils import add_prefix
from torch import Tensor, nn

from pkdcli.config.families import parts_of
from pkdcli.engine.checkpoint import load_into
from pkdcli.engine.distill import teacher as teaching
from pkdcli.engine.distill.inherit import inherit, inheritance
from pkdcli.engine.distill.level_stats import detection_loss
from pkdcli.engine.distill.shared_teacher import SharedTeacher


@MODELS.register_module()
class PkdDistill(FpnTeacherDistill):
    """mmrazor's FpnTeacherDistill with a teacher that is frozen, entirely in eval mode, and fed its own input.

    The teacher is no submodule: it is not in the state dict, has no gradient buckets under DDP, and follows the student
    to its device. Its heads are dropped after loading; only backbone and neck run.

    Differences from mmrazor (mmrazor/models/algorithms/distill/configurable):
        - every module of the teacher is in eval mode (mmrazor leaves Swin's DropPath active);
        - the teacher gets `teacher_inputs`, normalised as its own config says;
        - it runs in inference mode, its batch norms folded away, and its activations keep working in place;
        - losses keep the student's own names, so that logs of a baseline and a distilled run compare.

    Args:
        teacher_ckpt: A checkpoint of exactly the teacher's architecture, whatever its classes.
        inherit: The student starts from the teacher's neck and heads (`pkdcli.engine.distill.inherit`).
        teacher_encoder: The teacher's encoder runs too, since its recorders look at it.
        teacher_speed: `fold`, `precision`, `channels_last` and `compile` of a recipe; none of it without.
        kwargs: As for mmrazor's SingleTeacherDistill.

    Attributes:
        taught: Whether the next steps are with the teacher (`--distill-until`).
        taught_until: Steps that are; None for all.
        shared_teacher: Shared with other students of the same teacher (`pkdcli.engine.worker.group`), or None.
    """

    taught: bool = True
    taught_until: int | None = None
    shared_teacher: SharedTeacher | None = None

    def __init__(
        self,
        *args: Any,
        teacher_ckpt: str | None = None,
        inherit: bool = False,
        teacher_encoder: bool = False,
        teacher_speed: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, teacher_ckpt=None, **{"teacher_module_inplace": True, **kwargs})
        teacher = self._modules.pop("teacher")
        if teacher_ckpt is not None:
            # One of other classes teaches by its features; to inherit its head is refused before (`train.checks`).
            load_into(teacher, teacher_ckpt, strict="resized-heads", what="the teacher")
        self.inheritance = inheritance(self.architecture, teacher) if inherit else None
        for part in parts_of(type(one).__name__ for one in (teacher, getattr(teacher, "backbone", None))):
            if getattr(teacher, part, None) is not None:
                delattr(teacher, part)
        teacher.requires_grad_(False)
        teacher.eval()
        object.__setattr__(self, "teacher", teacher)
        self._teacher_encoder = teacher_encoder
        speed = dict(teacher_speed or {"fold": False})
        self._teacher_format = teaching.FORMATS[speed.pop("channels_last", None)]
        teaching.prepare(teacher, **speed)

    def __deepcopy__(self, memo: dict[int, Any]) -> PkdDistill:
        """A copy of what is trained, as averages of the weights need one; the teacher stays one and the same."""
        memo[id(self.teacher)] = self.teacher
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def _apply(self, fn: Any, recurse: bool = True) -> nn.Module:
        self.teacher._apply(fn)
        if self._teacher_format is not None:  # whatever layout the student gets
            self.teacher.to(memory_format=self._teacher_format)
        return super()._apply(fn, recurse)

    def init_weights(self) -> None:
        """Draw the student's weights; what it inherits takes the place of those."""
        super().init_weights()
        if self.inheritance is not None:
            inherit(self.architecture, self.inheritance)

    def facts(self) -> dict[str, Any]:
        """What result.json says of the distillation beyond the recipe."""
        distiller = self.distiller
        own = sum(p.numel() for p in distiller.distill_losses.parameters() if p.requires_grad)
        return {
            "levels_paired": [list(pair) for pair in distiller.level_pairs.values()],
            "adapters": distiller.adapters(),
            "loss_parameters": own,
            **(self.inheritance.facts() if self.inheritance is not None else {"inherited": []}),
        }

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
        """As mmdet's detectors; in mode `loss` with the teacher's own view of the batch.

        Args:
            inputs: The student's images (N, 3, H, W), normalised as its own config says.
            data_samples: One of mmdet's DetDataSample an image.
            mode: `loss`, `predict` or `tensor`.
            teacher_inputs: The same images as the teacher's config normalises them, (N, 3, H, W); for mode `loss`.
        """
        if mode != "loss":
            return self.architecture(inputs, data_samples, mode=mode)
        if not self.taught:
            return self._untaught_losses(inputs, data_samples)
        if teacher_inputs is None:
            raise ValueError("mode 'loss' needs teacher_inputs: use PkdPreprocessor as the data_preprocessor")
        self.record_teacher(teacher_inputs, data_samples)
        with self.distiller.student_recorders:
            losses = dict(self.student(inputs, data_samples, mode="loss"))
        if self.distiller.measuring:
            self.distiller.detection = detection_loss(losses)
        losses.update(add_prefix(self.distiller.compute_distill_losses(), "distill"))
        return losses

    def set_taught(self, taught: bool) -> None:
        """Say whether the next steps are with the teacher; without, its view of a batch is not made either."""
        self.taught = taught
        if hasattr(self.data_preprocessor, "for_teacher"):
            self.data_preprocessor.for_teacher = taught

    def _untaught_losses(self, inputs: Tensor, data_samples: list | None) -> dict[str, Any]:
        """The student's own losses; what is trained beside it has a gradient of zero, for which DDP would wait."""
        losses = dict(self.student(inputs, data_samples, mode="loss"))
        beside = [one for one in self.distiller.parameters() if one.requires_grad]
        if beside:
            nothing = sum(one.flatten()[:0].sum() for one in beside)
            name, value = next((name, value) for name, value in losses.items() if "loss" in name)
            losses[name] = value + nothing if isinstance(value, Tensor) else [value[0] + nothing, *value[1:]]
        return losses

    def share_teacher(self, shared_teacher: SharedTeacher) -> None:
        """Share the teacher with the other students of a group; the first one's own teaches them all."""
        if shared_teacher.teacher is None:
            shared_teacher.teacher = self.teacher
        else:
            object.__setattr__(self, "teacher", shared_teacher.teacher)
            self.distiller.prepare_from_teacher(self.teacher)
        self.shared_teacher = self.data_preprocessor.shared_teacher = shared_teacher

    def record_teacher(self, inputs: Tensor, samples: list | None = None) -> None:
        """Fill the teacher's recorders with its features of a batch.

        Args:
            inputs: The teacher's view of it, (N, 3, H, W).
            samples: One of mmdet's DetDataSample an image, which says how much of it is padding.
        """
        if self.shared_teacher is None:
            self.forward_teacher(inputs, samples)
            return
        for name, buffer in self.shared_teacher.features(inputs, lambda: self.forward_teacher(inputs, samples)).items():
            self.distiller.teacher_recorders.recorders[name]._data_buffer = buffer

    def forward_teacher(self, inputs: Tensor, samples: list | None = None) -> dict[str, list[Any]]:
        """Run the teacher on a batch; returns what its recorders hold then, by their names.

        Args:
            inputs: As for `record_teacher`.
            samples: The same.
        """
        recorders = self.distiller.teacher_recorders
        padded = self._teacher_encoder and samples is not None
        shapes = [one.img_shape for one in samples] if padded else None
        with recorders:
            teaching.forward_features(self.teacher, inputs, self._teacher_encoder, shapes)
        for one in recorders.recorders.values():
            one._data_buffer = teaching.as_constants(one.data_buffer)
        return {name: one.data_buffer for name, one in recorders.recorders.items()}
