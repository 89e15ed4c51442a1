"""Losses on one pair of feature maps, built by name. They need nothing but torch; mmrazor's own, mmrazor."""

from __future__ import annotations

from pkdcli.engine.losses import normalized, razor  # noqa: F401
from pkdcli.engine.losses.base import FeatureLoss, FeatureShapeError
from pkdcli.engine.losses.parameters import Parameter
from pkdcli.engine.losses.registry import (
    LossFacts,
    available_losses,
    build_loss,
    register_loss,
    takes_temperature,
)

__all__ = [
    "FeatureLoss",
    "FeatureShapeError",
    "LossFacts",
    "Parameter",
    "available_losses",
    "build_loss",
    "register_loss",
    "takes_temperature",
]
