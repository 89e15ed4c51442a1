"""What `pkd profile` has measured of runs: profile.json in their folders."""

from pkdcli.runs.profiles.columns import size_columns
from pkdcli.runs.profiles.measurements import RUNTIMES, conditions, described, keep, measurements

__all__ = ["RUNTIMES", "conditions", "described", "keep", "measurements", "size_columns"]
