"""`pkd archive`: runs in one file, for another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pkdcli.api.runs.archive import ArchiveOptions, archive
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.runs.archive import Archived


@spread
def command(options: ArchiveOptions, output: Annotated[OutputOptions, Only("runs", "json")]) -> None:
    """Pack runs into one file: recipes, own configs and modules, weights, metrics, predictions, and their teachers.

    `pkd unpack` restores them on another machine, where report, eval and resume work. A run that is not finished takes
    its training states along. The same runs make the same bytes. Data is not packed: shapes is drawn again, and your
    own is named with `pkd unpack --data NAME=FOLDER`.

    [bold]Examples[/bold]

      pkd archive gfl101-fcos50__pkd-w10__2x__shapes-tiny__s0

      pkd archive gfl101-fcos50__pkd fcos50__baseline -o runs.tar.gz
    """
    found = archive(options, output)
    if output.json:
        import json
        from dataclasses import asdict

        print(json.dumps({**asdict(found), "path": str(found.path)}))
        return
    _show(found)


def _show(found: Archived) -> None:
    from pkdcli.cli.console import in_bytes, tell

    for text in found.notes:
        tell(f"note: {text}")
    for name in dict.fromkeys(one.name for one in found.data):
        tell(f"note: data set {name} is not packed: pkd unpack {found.path.name} --data {name}=FOLDER")
    for path in found.outside:
        tell(f"note: not packed, and named by a recipe: {path}")
    for kind, names in (("run", found.runs), ("teacher", found.teachers)):
        for name in names:
            print(f"{kind:>8}  {name}")
    print(f"wrote {found.path} ({in_bytes(found.size)})")
