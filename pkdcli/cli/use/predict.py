"""`pkd predict`: what a run's detectors find in images and videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pkdcli.api.options.deploy import PredictOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.predict.predict import Predictions


@spread
def command(options: PredictOptions, output: Annotated[OutputOptions, Only("json", "quiet")]) -> None:
    """Look for objects in images, folders and videos with a run's student, its teacher, or both side by side.

    Boxes are drawn into copies of the images; predictions.json is COCO's format with a `score` (of both detectors, a
    file each), predictions.csv has a row a box, and page.html (--html) shows every box from 0.05 on behind a slider.
    What can't be read is named and the others go on; the exit code is then 1.

    [bold]Examples[/bold]

      pkd predict gfl101-fcos50__pkd street.jpg

      pkd predict gfl101-fcos50__pkd photos/ --model both --score 0.4 --html -o found/

      pkd predict gfl101-fcos50__pkd drive.mp4 --batch 8

      pkd predict faster.pth photos/ --detector faster50 --no-pictures
    """
    import json

    from pkdcli.api.predict.predict import predict
    from pkdcli.cli.console import tell
    from pkdcli.cli.progress.choose import watcher

    quiet = output.quiet or output.json
    watch = watcher(json=False, quiet=quiet)
    with watch.counting("files") as step:
        found = predict(options, on_image=step, say=lambda text: tell(f"warning: {text}."), watcher=watch)
    if output.json:
        print(json.dumps(found.record()))
    elif output.quiet:
        print(found.folder)
    else:
        _show(found)
    if found.code:
        raise typer.Exit(found.code)


def _show(found: Predictions) -> None:
    images = f"{found.images} image{'' if found.images == 1 else 's'}"
    for name, count in found.counts.items():
        seconds = found.seconds[name]
        speed = f", {seconds:.4g} s an image" if seconds is not None else ""
        print(f"{name}: {count} box{'' if count == 1 else 'es'} in {images}{speed}")
    if found.whole is not None:
        print(f"{found.whole:.4g} s an image with reading, drawing and writing")
    for file in found.files:
        print(file)
    if found.failed:
        print(f"{len(found.failed)} could not be read: {found.failed[0]}" + (" ..." if len(found.failed) > 1 else ""))
