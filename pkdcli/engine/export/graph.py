"""A detector as one function of tensors: images in, boxes out, with whatever lies between inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from torch import Tensor, nn

from pkdcli.engine.export.boxes import best, keep_best, suppressed
from pkdcli.engine.export.deform import with_samplers
from pkdcli.engine.export.heads import COVERED, Candidates, decoder_of, limit_of
from pkdcli.engine.export.two_stage import Boxes, Proposals, uncovered
from pkdcli.errors import PkdError


class Preprocessed(nn.Module):
    """What every exported graph begins with: colours, mean and standard deviation, and what is beside an image.

    Args:
        model: mmdet's detector.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = with_samplers(model)
        prepare = model.data_preprocessor
        self.flip = not prepare._channel_conversion  # it takes BGR as it is loaded, and the graph is given RGB
        mean, std = (getattr(prepare, name, None) for name in ("mean", "std"))
        self.register_buffer("mean", torch.zeros(3, 1, 1) if mean is None else mean.detach().clone().float().cpu())
        self.register_buffer("std", torch.ones(3, 1, 1) if std is None else std.detach().clone().float().cpu())
        self.pad_value = float(getattr(prepare, "pad_value", 0) or 0)

    def features(self, images: Tensor, sizes: Tensor) -> Any:
        """The maps of the neck.

        Args:
            images: (N, 3, H, W), RGB, 0 to 255; H and W are multiples of the divisor.
            sizes: (N, 2), height and width of each image in it; what is right of it and below does not matter.
        """
        if self.flip:
            images = images.flip(1)
        images = (images - self.mean) / self.std
        rows = torch.arange(images.shape[2], device=images.device).reshape(1, 1, -1, 1)
        columns = torch.arange(images.shape[3], device=images.device).reshape(1, 1, 1, -1)
        inside = (rows < sizes[:, 0].reshape(-1, 1, 1, 1)) & (columns < sizes[:, 1].reshape(-1, 1, 1, 1))
        images = torch.where(inside, images, torch.full_like(images[:1, :1, :1, :1], self.pad_value))
        return self.model.extract_feat(images)


class Detections(Preprocessed):
    """Images to boxes (N, K, 4) in pixels of `images`, scores (N, K) from the best on, labels (N, K), -1 where is none.

    Args:
        model: A detector whose heads are covered.
        plain: With operators that TorchScript knows.

    Attributes:
        limit: K, detections of an image at most.
    """

    def __init__(self, model: nn.Module, plain: bool = False) -> None:
        super().__init__(model)
        self.plain = plain
        head = getattr(model, "roi_head", None) or model.bbox_head
        self.config = head.test_cfg
        self.classes = getattr(head, "bbox_head", head).num_classes
        self.limit = limit_of(self.config)

    def chosen(self, found: Candidates, groups: int, config: Any) -> tuple[Tensor, Tensor, Tensor]:
        """What suppression leaves of candidates: boxes, scores, labels.

        Args:
            found: They.
            groups: Labels, each of which is suppressed by itself.
            config: With `nms` and `max_per_img`.
        """
        keep = suppressed if self.plain else keep_best
        scores = keep(found.boxes, found.scores, found.labels, float(config.nms.iou_threshold), int(groups))
        return best(found.boxes, scores, found.labels, limit_of(config))


class OneStage(Detections):
    """Of a head that predicts boxes from the maps."""

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, scores, labels.

        Args:
            images: As for `features`.
            sizes: As for `features`.
        """
        head = self.model.bbox_head
        found = decoder_of(head)(head, head(self.features(images, sizes)), sizes)
        return self.chosen(found, self.classes, self.config)


class TwoStage(Detections):
    """Of Faster R-CNN; of Mask R-CNN the boxes.

    Args:
        model: As for `Detections`.
        plain: As for `Detections`.
    """

    def __init__(self, model: nn.Module, plain: bool = False) -> None:
        super().__init__(model, plain)
        self.first, self.second = Proposals(self.model.rpn_head), Boxes(self.model.roi_head, plain)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, scores, labels.

        Args:
            images: As for `features`.
            sizes: As for `features`.
        """
        maps = self.features(images, sizes)
        boxes, _, there = self.chosen(self.first(maps, sizes), len(maps), self.first.config)
        return self.chosen(self.second(maps, boxes, there >= 0, sizes), self.classes, self.config)


class Raw(Preprocessed):
    """Images to what the head itself returns, whatever head that is."""

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Every tensor that the head returns, in order; of a two-stage detector those of its first stage.

        Args:
            images: As for `features`.
            sizes: As for `features`.
        """
        head = getattr(self.model, "bbox_head", None)
        head = self.model.rpn_head if head is None else head
        return tuple(flat(head(self.features(images, sizes))))


def flat(outputs: Any) -> list[Tensor]:
    """The tensors in nested lists and tuples, in order."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, (list, tuple)):
        return [tensor for one in outputs for tensor in flat(one)]
    return []


def refusal(model: nn.Module) -> str | None:
    """Why a detector's boxes can't be decoded inside a graph; None where they can."""
    if isinstance(model, TwoStageDetector):
        why, heads = uncovered(model), (model.rpn_head, model.roi_head)
    elif type(model).predict is SingleStageDetector.predict and hasattr(model, "bbox_head"):
        head, heads = model.bbox_head, (model.bbox_head,)
        known = decoder_of(head) is not None
        why = None if known else f"{type(head).__name__}, the head of {type(model).__name__}, is not covered"
    else:
        why = f"{type(model).__name__} is not covered"
    if why is not None:
        return why
    kinds = [head.test_cfg.nms.get("type", "nms") for head in heads]
    other = [kind for kind in kinds if kind != "nms"]
    return f"its suppression is {other[0]}, which ONNX has not" if other else None


def graph_of(model: nn.Module, raw: bool, plain: bool = False) -> Preprocessed:
    """A detector as a function of tensors.

    Args:
        model: mmdet's.
        raw: The outputs of the head in place of boxes.
        plain: With operators that TorchScript knows.

    Raises:
        PkdError: Its head is not covered.
    """
    if raw:
        return Raw(model).eval()
    why = refusal(model)
    if why is not None:
        hint = f"Boxes are decoded for {COVERED}. --raw exports the outputs of the head itself, of any detector."
        raise PkdError(f"{why}: its boxes can't be decoded inside the graph.", hint)
    kind = TwoStage if isinstance(model, TwoStageDetector) else OneStage
    return kind(model, plain).eval()


def example(model: nn.Module, divisor: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    """Arguments of such a function, of a size that no dimension of which is special.

    Args:
        model: Its parameters say on which device.
        divisor: Of height and width.
        batch: Images.
    """
    height, width = 4 * divisor * max(1, 32 // divisor), 6 * divisor * max(1, 32 // divisor)
    device = next(model.parameters()).device
    images = torch.rand(batch, 3, height, width, device=device) * 255
    sizes = torch.tensor([[height - 3, width - 5]] * batch, device=device)
    return images, sizes


def names_of(outputs: Sequence[Tensor], raw: bool) -> list[str]:
    """The names of a graph's outputs.

    Args:
        outputs: They.
        raw: The head's own.
    """
    return [f"output_{number}" for number in range(len(outputs))] if raw else ["boxes", "scores", "labels"]
