"""Losses on one pair of feature maps, built by name. They need nothing but torch."""

from __future__ import annotations

from pkdcli.engine.losses import normalized
from pkdcli.engine.losses.base import FeatureLoss, FeatureShapeError
from pkdcli.engine.losses.registry import LossFacts, available_losses, build_loss, register_loss

__all__ = [
    "FeatureLoss",
    "FeatureShapeError",
    "LossFacts",
    "available_losses",
    "build_loss",
    "normalized",
    "register_loss",
]
