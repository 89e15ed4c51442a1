"""`pkd data check`: what a data set holds, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pkdcli.api.data.checking import Checked, DataCheckOptions, data_check
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

SHOWN = 5
"""So many places of a fault are named; --json has up to twenty."""


@spread
def command(options: DataCheckOptions, output: Annotated[OutputOptions, Only("json", "quiet")]) -> None:
    """Look at a whole data set: how much there is of each class and size, and every fault with file, id and remedy.

    Every image is decoded, on all cores, and compared with every other; --no-decode looks at the headers alone. Leaves
    with exit code 1 where something would spoil a training. A quick form of it runs before every training.

    [bold]Examples[/bold]

      pkd data check my-data.yaml

      pkd data check my-data.yaml --no-decode --json

      pkd data check my-data.yaml --fix repaired --html sheet.html
    """
    from pkdcli.cli.progress.choose import watcher

    found = data_check(options, watcher=watcher(json=False, quiet=output.quiet or output.json))
    if output.json:
        from json import dumps

        print(dumps(found.record()))
    else:
        show(found, quiet=output.quiet)
    raise typer.Exit(0 if found.ok else 1)


def show(found: Checked, *, quiet: bool = False) -> None:
    """Print the numbers of each split and every fault.

    Args:
        found: The check.
        quiet: Only what would spoil a training.
    """
    from rich.markup import escape

    from pkdcli.cli.console import out

    console = out()
    if not quiet:
        for split, numbers in found.splits.items():
            console.print(_table(found.name, split, numbers))
    for one in found.faults:
        if quiet and one.weight != "spoils":
            continue
        mark = "[bold red]spoils[/]" if one.weight == "spoils" else "[yellow]odd[/]"
        where = f"{one.split}: " if one.split else ""
        console.print(f"{mark} {escape(f'{where}{one.text}')}")
        for place in one.places[:SHOWN]:
            console.print(f"    {escape(place)}")
        if one.count > SHOWN and len(one.places) > 1:
            console.print(f"    and {one.count - min(SHOWN, len(one.places))} more")
        if one.remedy:
            console.print(f"  remedy: {escape(one.remedy)}")
    for text in found.repaired:
        console.print(f"repaired: {escape(text)}")
    for what, path in found.files.items():
        print(f"{'repaired data recipe' if what == 'fix' else 'page'}: {path}")
    bad = sum(one.weight == "spoils" for one in found.faults)
    odd = len(found.faults) - bad
    if bad:
        print(f"{found.name}: {_of(bad, 'fault')} would spoil a training; {odd} more to know")
    else:
        print(f"{found.name}: nothing would spoil a training; {_of(odd, 'thing')} to know")


def _of(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _table(name: str, split: str, numbers: Mapping[str, Any]) -> Any:
    from rich.table import Table

    sides = " x ".join(_range(numbers[key]) for key in ("image_width", "image_height"))
    title = f"{name}, {split}: {numbers['images']} images of {sides}, {numbers['empty']} without a box"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", overflow="fold")
    for column in ("images", "boxes", "S", "M", "L", "width", "height", "aspect"):
        table.add_column(column, justify="right")
    for label, one in {"all": numbers["all"], **numbers["classes"]}.items():
        shares = ("-" if share is None else f"{100 * share:.0f} %" for share in one["sizes"].values())
        spreads = (_range(one[key]) for key in ("width", "height", "aspect"))
        table.add_row(label, str(one["images"]), str(one["boxes"]), *shares, *spreads)
    table.caption = "sides in pixels and width / height: 5 to 95 of 100 boxes"
    table.caption_justify = "left"
    return table


def _range(spread_: list[float] | None) -> str:
    """The 5th to the 95th percentile, or one number where they are alike."""
    if spread_ is None:
        return "-"
    low, high = f"{spread_[0]:.3g}", f"{spread_[2]:.3g}"
    return low if low == high else f"{low} to {high}"
