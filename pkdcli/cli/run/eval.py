"""`pkd eval`: a run or a checkpoint on a data set."""

from __future__ import annotations

from typing import Annotated

from pkdcli.api.options import EvalOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(options: EvalOptions, output: Annotated[OutputOptions, Only("json", "quiet")]) -> None:
    """Evaluate a run's student (or its teacher), or a checkpoint: six COCO metrics.

    A run's own data set and split are the default; the result goes to eval/<data>-<split>.json in the run's folder and
    never touches result.json. Classes are matched by the names in the checkpoint. A run of a release that wrote no
    student.py beside its student.pth gets it here.

    [bold]Examples[/bold]

      pkd eval gfl101-fcos50__pkd-w10__2x__shapes-tiny__s0-1a2b3c4d

      pkd eval gfl101-fcos50__pkd --split test

      pkd eval student.pth --detector fcos50 --data my-data.yaml
    """
    import json

    from pkdcli.api.evaluate import evaluate
    from pkdcli.cli.console import metrics_table, out, tell
    from pkdcli.cli.progress.choose import watcher

    watch = watcher(json=False, quiet=output.quiet or output.json)
    found = evaluate(options, say=tell, watcher=watch)
    if output.json:
        print(json.dumps(found.record))
        return
    out().print(metrics_table([(found.title, found.metrics)], title=f"{found.data}, {found.split}"))
    if found.path and not output.quiet:
        print(found.path)
