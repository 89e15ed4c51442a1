"""`pkd reproduce`: a whole table of the paper, or a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkdcli.cli import typer_options as o
from pkdcli.reporting.write import FORMATS


def command(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="table7, table8, table8-plain, or a YAML file.", autocompletion=o._complete("tables")
        ),
    ],
    scale: o.ScaleName = "paper",
    data: o.DataName = None,
    seeds: Annotated[
        str, typer.Option("--seeds", "--seed", help="Seeds; several give mean ± standard deviation.")
    ] = "0",
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PAIR", help="Only this pair of the table; repeatable.")
    ] = None,
    init: o.Init = None,
    levels: o.Levels = None,
    sets: o.Set = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    accumulate: o.Accumulate = 1,
    amp: o.Amp = False,
    deterministic: o.Deterministic = False,
    max_iters: o.MaxIters = None,
    pretrained: o.Pretrained = True,
    val_interval: o.ValInterval = None,
    checkpoint_minutes: o.CheckpointMinutes = None,
    checkpoint_iters: o.CheckpointIters = None,
    workers: o.Workers = None,
    launcher: o.LauncherName = "local",
    gpus: o.Gpus = None,
    devices: o.Devices = None,
    procs: o.Procs = None,
    threads: o.Threads = None,
    jobs: o.Jobs = None,
    retries: o.Retries = None,
    share_teacher: o.ShareTeacher = None,
    nodes: o.Nodes = None,
    gpus_per_node: o.GpusPerNode = None,
    cpus_per_process: o.CpusPerProcess = None,
    memory: o.Memory = None,
    partition: o.Partition = None,
    account: o.Account = None,
    qos: o.Qos = None,
    constraint: o.Constraint = None,
    time: o.Time = None,
    sbatch_option: o.SbatchOption = None,
    setup: o.Setup = None,
    max_parallel: o.MaxParallel = None,
    wait: o.Wait = False,
    tracker: o.Trackers = None,
    runs: o.Runs = None,
    format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}; default: as FILE ends, else table."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table here.")] = None,
    dry_run: o.DryRun = False,
    quiet: o.Quiet = False,
) -> None:
    """Run every experiment of a table, and print it beside the paper's numbers.

    Teachers, baselines and students that lines share run once, whatever table or command asked for them first; a
    failed run costs its own lines only. Typing the same command again runs what is missing. Differences from the paper
    are given at scale paper on COCO; elsewhere the signs of the gains and the ranks of the weights are compared.

    [bold]Examples[/bold]

      pkd reproduce table8 --scale tiny --dry-run

      pkd reproduce table8 --scale tiny --only gfl101-fcos50 --format md --output table8.md

      pkd reproduce table7 --scale tiny --seeds 0,1,2
    """
    from pkdcli.api.reproduce import reproduce
    from pkdcli.api.train import Where
    from pkdcli.config.trackers import named
    from pkdcli.launch.options import launcher as of_options
    from pkdcli.launch.options import processes
    from pkdcli.recipe import library
    from pkdcli.recipe.resolve import Request
    from pkdcli.reporting.write import format_of

    format = format_of(format, output)
    where_to = of_options(
        launcher,
        dry_run=dry_run,
        gpus=gpus,
        devices=devices,
        procs=procs,
        threads=threads,
        jobs=jobs,
        retries=retries,
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        cpus_per_process=cpus_per_process,
        memory=memory,
        partition=partition,
        account=account,
        qos=qos,
        constraint=constraint,
        time=time,
        sbatch_option=sbatch_option,
        setup=setup,
        max_parallel=max_parallel,
    )
    base = Request(
        scale=scale,
        data=data,
        init=init,
        levels=levels,
        epochs=epochs,
        batch_size=batch_size,
        accumulate=accumulate,
        amp=amp,
        deterministic=deterministic,
        pretrained=pretrained,
        max_iters=max_iters,
        val_interval=val_interval,
        checkpoint_minutes=o.number(checkpoint_minutes, "--checkpoint-minutes", least=0),
        checkpoint_iters=checkpoint_iters,
        workers=workers,
        devices=processes(where_to),
        trackers=tuple(named(tracker or ())),
        sets=tuple(sets or ()),
    )
    wanted = o.whole_numbers(seeds, "--seeds")
    where = Where(runs, dry_run, False, quiet, where_to, wait, share_teacher)
    reproduce(library.load("tables", table), base, wanted, tuple(only or ()), where, format, output)
