"""Runs of stock mmdet and mmrazor, read from the work directories that mmengine 0.x leaves behind."""

from __future__ import annotations

from pkdcli.runs.importers.mmengine.record import read_work_dirs

__all__ = ["read_work_dirs"]
