"""`pkd export`: a run's detector for use elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pkdcli.api.options.deploy import ExportOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.export.export import Exported


@spread
def command(options: ExportOptions, output: Annotated[OutputOptions, Only("json", "quiet")]) -> None:
    """Write a run's student for use elsewhere: for stock mmdet, as safetensors, TorchScript or ONNX.

    An ONNX file takes images of any size and number and gives boxes: colours, mean and standard deviation, decoding and
    suppression are inside. Beside it a JSON file says how images are resized, and predict.py uses both without pkd,
    mmdet or torch. It is compared with PyTorch on real images and by mAP; a file that fails is not kept.

    [bold]Examples[/bold]

      pkd export gfl101-fcos50__pkd -o student/

      pkd export gfl101-fcos50__pkd -o student/ --format onnx,safetensors

      pkd export gfl101-fcos50__pkd -o student/ --format onnx --int8

      pkd export gfl101-fcos50__pkd -o student/ --format torchscript --raw
    """
    import json

    from pkdcli.api.export.export import export
    from pkdcli.cli.console import tell
    from pkdcli.cli.progress.choose import watcher

    quiet = output.quiet or output.json
    last: list[str] = []
    watch = watcher(json=False, quiet=quiet)
    with watch.counting("images") as counted:

        def step(doing: str, done: int | None, total: int | None) -> None:
            if done is not None:
                counted(done, total, doing)
            elif not quiet and doing not in last:
                last.append(doing)
                tell(f"{doing} ...")

        found = export(options, on_step=step, say=tell, watcher=watch)
    if output.json:
        print(json.dumps(found.record()))
    elif output.quiet:
        print(found.folder)
    else:
        _show(found)


def _show(found: Exported) -> None:
    for path in found.files:
        print(path)
        about = found.about.get(path.name, {})
        apart = about.get("difference")
        if apart and "scores" in apart:
            images = f"{apart['images']} image{'' if apart['images'] == 1 else 's'}"
            scores, pixels = apart["scores"], apart["pixels"]
            print(f"  {images}: scores within {scores:.1e} of PyTorch's, boxes within {pixels:.1e} pixels")
        elif apart:
            print(f"  outputs within {apart['outputs']:.1e} of PyTorch's")
        for name, value in about.get("mAP", {}).items():
            print(f"  mAP {value:.2f} ({name})")
