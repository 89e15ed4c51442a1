"""`pkd unpack`: runs that another machine has packed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from pkdcli.api.runs.unpack import UnpackOptions, unpack
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.runs.unpack import Unpacked


@spread
def command(options: UnpackOptions, output: Annotated[OutputOptions, Only("runs", "json")]) -> None:
    """Put packed runs into the runs folder and their teachers into the cache: all of them, or none.

    Every file is held against the archive's list of sizes and hashes before anything is put into place, and nothing
    that is here is written over without --force.

    [bold]Examples[/bold]

      pkd unpack runs.tar.gz

      pkd unpack runs.tar.gz --data bccd=/data/bccd --runs from-the-cluster
    """
    found = unpack(options, output)
    if output.json:
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(found), default=str))
        return
    _show(found)


def _show(found: Unpacked) -> None:
    from pkdcli.cli.console import tell

    for path in found.kept:
        tell(f"note: the teacher {path.name} that is here stays")
    for data in found.missing:
        places = "".join(f"\n  {part['annotations']}" for part in data.parts)
        tell(
            f"note: data set {data.name} is not here; it lay at{places}\nreport needs none of it. Before eval or "
            "resume, say where it lies now by the data recipe there:"
        )
        for path in found.runs:
            tell(f"  pkd train --recipe {shlex.quote(str(path))} --data FILE.yaml")
    for path in found.outside:
        tell(f"note: named by a recipe, and not here: {path}")
    for path in found.code:
        tell(f"note: {path} is Python from the other machine, and will be imported when its run goes on")
    for path in [*found.runs, *found.teachers]:
        print(path)
