"""The levels of two detectors: which there are, and which of them are compared."""

from pkdcli.config.levels.keys import Level, Look, Named, Outputs, backbone_strides, neck_levels, neck_section, outputs
from pkdcli.config.levels.pairs import Pairing, at_other_strides, by_default, far_apart, pairing

__all__ = [
    "Level",
    "Look",
    "Named",
    "Outputs",
    "Pairing",
    "at_other_strides",
    "backbone_strides",
    "by_default",
    "far_apart",
    "neck_levels",
    "neck_section",
    "outputs",
    "pairing",
]
