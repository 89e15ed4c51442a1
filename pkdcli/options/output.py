"""The options that most commands have: where runs are, and how a command prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkdcli.options.declare import WHERE, option


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where runs are, and how a command prints.

    Attributes:
        runs: The folder of runs; None for $PKD_RUNS, or ./runs.
        dry_run: Print what would run, and run nothing.
        json: Print JSON lines.
        quiet: Print only the result.
    """

    runs: Path | None = option(
        None, "Folder of runs (default $PKD_RUNS, or ./runs).", metavar="PATH", panel=WHERE, folder=True
    )
    dry_run: bool = option(False, "Print what would run, and run nothing.", panel=WHERE)
    json: bool = option(False, "Print JSON lines.", panel=WHERE)
    quiet: bool = option(False, "Print only the result.", names=("--quiet", "-q"), panel=WHERE)
