"""`pkd clean`: remove what is no longer needed, after showing it."""

from __future__ import annotations

from typing import Annotated

from pkdcli.api.runs.clean import CleanOptions, clean
from pkdcli.cli.typer_options import spread
from pkdcli.folders import cache_root, runs_root
from pkdcli.options import Only, OutputOptions


@spread
def command(options: CleanOptions, output: Annotated[OutputOptions, Only("runs", "dry_run", "json")]) -> None:
    """Remove checkpoints of finished runs and what killed processes left half-written, or what --what names.

    Results, weights, logs and the checkpoints of unfinished runs stay, and so do teachers, unless --what names failed
    runs, smoke runs or teachers. Without --yes nothing is removed: it is only shown, with sizes.

    [bold]Examples[/bold]

      pkd clean

      pkd clean --keep-checkpoints 0 --yes

      pkd clean --what failed,smoke

      pkd clean --cache downloads,data
    """
    from pkdcli.cli.console import in_bytes

    found = clean(options, output)
    if output.json:
        import json

        for path, size in found.sizes.items():
            print(json.dumps({"path": str(path), "bytes": size, "removed": found.removed}))
        return
    if not found.sizes:
        print(f"nothing to remove in {runs_root(output.runs)} and {cache_root()}")
        return
    for path, size in found.sizes.items():
        print(f"{in_bytes(size):>10}  {path}")
    total = f"{in_bytes(found.total)} in {len(found.sizes)} places"
    print(f"removed {total}" if found.removed else f"{total}; nothing is removed yet: add --yes")
