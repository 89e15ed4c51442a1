"""`pkd clean`: remove what is no longer needed, after showing it."""

from __future__ import annotations

from typing import Annotated

from pkdcli.api.runs.clean import CleanOptions, clean
from pkdcli.cli.typer_options import spread
from pkdcli.folders import cache_root, runs_root
from pkdcli.options import Only, OutputOptions


@spread
def command(options: CleanOptions, output: Annotated[OutputOptions, Only("runs")]) -> None:
    """Remove checkpoints of finished runs and what killed processes left half-written.

    Results, weights, logs and the checkpoints of unfinished runs stay, and so do teachers. Without --yes nothing is
    removed: it is only shown.

    [bold]Examples[/bold]

      pkd clean

      pkd clean --keep-checkpoints 0 --yes

      pkd clean --cache downloads,data
    """
    found = clean(options, output)
    if not found.sizes:
        print(f"nothing to remove in {runs_root(output.runs)} and {cache_root()}")
        return
    for path, size in found.sizes.items():
        print(f"{_bytes(size):>10}  {path}")
    total = f"{_bytes(found.total)} in {len(found.sizes)} places"
    print(f"removed {total}" if found.removed else f"{total}; nothing is removed yet: add --yes")


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
