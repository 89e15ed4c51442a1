"""`pkd profile`: how large and how fast detectors are, teacher and student side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pkdcli.api.options.deploy import ProfileOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.profile.profile import Profile


@spread
def command(
    options: ProfileOptions, output: Annotated[OutputOptions, Only("runs", "dry_run", "json", "quiet")]
) -> None:
    """Measure how large and how fast detectors are: parameters, GFLOPs, latency, memory; teacher and student together.

    Latency is the median for a batch, from pixels in memory to boxes; detectors take turns. A multiply-add is two
    FLOPs. A pair has random weights; of a run the numbers are kept in its folder, for
    [bold]pkd report --columns latency_ms[/bold] and [bold]pkd report --plot tradeoff[/bold].

    [bold]Examples[/bold]

      pkd profile gfl101-fcos50 --scale tiny

      pkd profile gfl101-fcos50__pkd --batch 8 --threads 2

      pkd profile gfl101-fcos50__pkd --onnx --size 192x192

      pkd profile --teacher gfl101 --student retina50 --device cpu
    """
    import json

    from pkdcli.api.profile.profile import profile
    from pkdcli.cli.console import tell
    from pkdcli.cli.progress.choose import watcher

    quiet = output.quiet or output.json
    found = profile(options, output, say=tell, watcher=watcher(json=False, quiet=quiet))
    if output.dry_run:
        _plan(found, output.json)
    elif output.json:
        print(json.dumps(found.record()))
    elif output.quiet:
        for line in found.verdicts():
            print(line)
    else:
        _show(found)


def _plan(found: Profile, as_json: bool) -> None:
    """What would be measured."""
    import json

    for one in found.subjects:
        row = {"detector": one.recipe.student.name, "role": one.role, "of": one.of,
               "weights": str(one.weights) if one.weights else None}  # fmt: skip
        weights = row["weights"] or "random weights"
        print(json.dumps(row) if as_json else f"would profile {one.role} {one.title} of {one.of}: {weights}")


def _show(found: Profile) -> None:
    from rich.table import Table

    from pkdcli.cli.console import out, points
    from pkdcli.cli.look.bench import in_words
    from pkdcli.runs.profiles import RUNTIMES

    console = out()
    sizes = Table(title="Size", title_justify="left", title_style="bold")
    for name in ("detector", "", "of"):
        sizes.add_column(name, overflow="fold")
    for name in ("parameters", "GFLOPs", "at", "weights", "mAP"):
        sizes.add_column(name, justify="right")
    for one in found.subjects:
        gflops, image = one.size["gflops"], one.size["image"]
        sizes.add_row(one.title, one.role, one.of, f"{one.size['parameters'] / 1e6:.2f} M",
                      "-" if gflops is None else f"{gflops:.3g}" if gflops < 100 else f"{gflops:.1f}",
                      f"{image[0]}x{image[1]}", f"{one.size['weights_mb']:.1f} MiB", points(one.mAP))  # fmt: skip
    console.print(sizes)
    speed = Table(title="Speed", title_justify="left", title_style="bold")
    for name in ("detector", "", "on", "in"):
        speed.add_column(name, overflow="fold")
    for name in ("batch", "latency", "quartiles", "images/s", "peak memory"):
        speed.add_column(name, justify="right")
    for one in found.subjects:
        for row in one.rows:
            peak = row["peak_memory_mb"]
            speed.add_row(one.title, one.role, row["device"], RUNTIMES[row["runtime"]], str(row["batch"]),
                          f"{row['latency_ms']:.1f} ms", f"{row['low_ms']:.1f} - {row['high_ms']:.1f}",
                          f"{row['images_per_second']:.1f}", "-" if peak is None else f"{peak:.0f} MiB")  # fmt: skip
    console.print(speed)
    images = dict.fromkeys(one.size["images"] for one in found.subjects)
    print(f"{in_words(found.machine)}; images: {', '.join(images)}")
    for line in found.verdicts():
        print(line)
