"""`pkd sweep`: many students."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.cli import typer_options as o

_AXES = "Axes (lists with commas)"


def command(
    loss: Annotated[str, typer.Option("--loss", "--losses", help="Losses.", rich_help_panel=_AXES)] = "mse",
    weights: Annotated[
        str | None, typer.Option("--weights", "--weight", help="Loss weights.", rich_help_panel=_AXES)
    ] = None,
    temperatures: Annotated[
        str | None,
        typer.Option("--temperatures", "--temperature", help="Temperatures of norm-kl.", rich_help_panel=_AXES),
    ] = None,
    pair: Annotated[str, typer.Option("--pair", "--pairs", help="Pairs.", rich_help_panel=_AXES)] = "gfl101-fcos50",
    schedule: Annotated[
        str | None, typer.Option("--schedule", "--schedules", help="Schedules.", rich_help_panel=_AXES)
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", "--seed", help="Seeds.", rich_help_panel=_AXES)] = "0",
    baseline: Annotated[bool, typer.Option("--baseline/--no-baseline", help="Also train the student alone.")] = True,
    scale: o.ScaleName = "paper",
    data: o.DataName = None,
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
    teacher_checkpoint: o.TeacherCheckpoint = None,
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
    dry_run: o.DryRun = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Train one student for every combination of losses, weights, temperatures, pairs, schedules and seeds.

    The baseline is trained too, and the teacher once. A failed run does not stop the others; typing the same command
    again runs only what is missing.

    [bold]Examples[/bold]

      pkd sweep --loss mse --weights 10,30,50 --scale tiny

      pkd sweep --loss norm-kl --temperatures 1,10,50 --weights 10 --scale tiny

      pkd sweep --loss pkd,mse --seeds 0,1,2 --schedules 1x,2x --scale tiny --dry-run

      pkd sweep --loss mse --weights 10,30,50 --devices 0,1,2,3 --jobs 2
    """
    from pkdcli.api.train import Where, go
    from pkdcli.config.trackers import named
    from pkdcli.launch.options import launcher as of_options
    from pkdcli.launch.options import processes
    from pkdcli.recipe.resolve import Request
    from pkdcli.recipe.sweep import Grid, expand

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
        teacher_checkpoint=str(teacher_checkpoint) if teacher_checkpoint else None,
        devices=processes(where_to),
        trackers=tuple(named(tracker or ())),
        sets=tuple(sets or ()),
    )
    grid = Grid(
        pairs=o.words(pair, "--pair"),
        losses=o.words(loss, "--loss"),
        weights=o.numbers(weights, "--weights", least=0),
        temperatures=o.numbers(temperatures, "--temperatures", above=0),
        schedules=o.words(schedule, "--schedule"),
        seeds=o.whole_numbers(seeds, "--seeds"),
        baseline=baseline,
    )
    go(expand(base, grid), Where(runs, dry_run, json, quiet, where_to, wait, share_teacher), sweep=True)
