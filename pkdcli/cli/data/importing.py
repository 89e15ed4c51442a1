"""`pkd data import`: annotations of another form become a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.api.data.importing import DataImportOptions, Imported, data_import
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

SHOWN = 5
"""So many files of a kind are named; import.json names all."""


@spread
def command(options: DataImportOptions, output: Annotated[OutputOptions, Only("json", "quiet")]) -> None:
    """Make a data set of Pascal VOC, YOLO, COCO, CVAT, Open Images or LabelMe.

    The images are linked, not copied; beside them stand COCO JSON and a data recipe that `pkd train --data` takes. What
    was passed over is named file by file, in full in import.json; where something is wrong with one the exit code is 1,
    and the rest is imported.

    [bold]Examples[/bold]

      pkd data import VOCdevkit/VOC2012

      pkd data import cells --split 0.8,0.1,0.1 --group-by '^(patient[0-9]+)_' -o cells-coco

      pkd data import yolo/data.yaml --map car=vehicle,truck=vehicle --classes vehicle,person

      pkd data import first second --name both
    """
    from pkdcli.cli.progress.choose import watcher

    found = data_import(options, watcher=watcher(json=False, quiet=output.quiet or output.json))
    if output.json:
        from json import dumps

        print(dumps(found.record()))
    else:
        show(found, quiet=output.quiet)
    raise typer.Exit(0 if found.ok else 1)


def show(found: Imported, *, quiet: bool = False) -> None:
    """Print what was made and what was passed over.

    Args:
        found: The import.
        quiet: Print the path of the recipe alone.
    """
    from rich.table import Table

    from pkdcli.cli.console import out, tell

    for wrong in (True, False):
        passed = [one for one in found.passed if one.wrong is wrong]
        if passed and not quiet:
            what = "passed over, since something is wrong with them" if wrong else "left out"
            tell(f"{len(passed)} {what}:")
            for one in passed[:SHOWN]:
                tell(f"  {one.file}: {one.why}")
            if len(passed) > SHOWN:
                tell(f"  and {len(passed) - SHOWN} more, all in {found.recipe.parent / 'import.json'}")
    if quiet:
        print(found.recipe)
        return
    for note in found.notes:
        tell(note)
    table = Table(title=f"from {found.form}", title_justify="left", title_style="bold")
    table.add_column("")
    for name in ("images", "objects", *found.classes):
        table.add_column(name, justify="right")
    for split, count in found.images.items():
        objects = found.objects[split]
        table.add_row(split, str(count), str(sum(objects.values())), *(str(one) for one in objects.values()))
    out().print(table)
    print(f"data recipe: {found.recipe}")
    print(f"next: pkd data check {found.recipe}")
