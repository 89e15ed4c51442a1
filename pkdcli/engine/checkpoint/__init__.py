"""Checkpoints: read without running their code, loaded only where they fit, written so that stock mmdet reads them."""

from pkdcli.engine.checkpoint.classes import among, classes_of, in_order_of, told_by_mmdet, with_classes
from pkdcli.engine.checkpoint.read import load_state, read_checkpoint
from pkdcli.engine.checkpoint.weights import LoadReport, export_student, load_into, sha256

__all__ = [
    "LoadReport",
    "among",
    "classes_of",
    "export_student",
    "in_order_of",
    "load_into",
    "load_state",
    "read_checkpoint",
    "sha256",
    "told_by_mmdet",
    "with_classes",
]
