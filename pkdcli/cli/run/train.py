"""`pkd train`: one student."""

from __future__ import annotations

from pkdcli.cli import typer_options as o


def command(
    pair: o.Pair = "gfl101-fcos50",
    loss: o.Loss = "pkd",
    weight: o.Weight = None,
    temperature: o.Temperature = None,
    schedule: o.Schedule = None,
    scale: o.ScaleName = "paper",
    data: o.DataName = None,
    seed: o.Seed = 0,
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
    """Train a student with a teacher, and print its six COCO metrics.

    The teacher comes from the zoo (scale paper on COCO), from --teacher-checkpoint, or is trained first and kept.
    A run that is finished is not run again; one that was interrupted goes on.

    [bold]Examples[/bold]

      pkd train --pair gfl101-fcos50 --scale tiny

      pkd train --pair gfl101-fcos50 --loss mse --weight 50 --data my-data.yaml --batch-size 16

      pkd train --pair gfl101-fcos50 --loss none --scale tiny    [dim]# the baseline[/dim]

      pkd train --pair gfl101-fcos50 --scale tiny --set schedule.gamma=0.2 --dry-run

      pkd train --pair gfl101-fcos50 --gpus 8
    """
    from pkdcli.api.train import Where, go
    from pkdcli.config.trackers import named
    from pkdcli.launch.options import launcher as of_options
    from pkdcli.launch.options import processes
    from pkdcli.recipe.resolve import Request, resolve

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
    recipe = resolve(
        Request(
            pair=pair,
            scale=scale,
            data=data,
            loss=loss,
            weight=o.number(weight, "--weight", least=0),
            temperature=o.number(temperature, "--temperature", above=0),
            schedule=schedule,
            init=init,
            levels=levels,
            seed=seed,
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
    )
    go([recipe], Where(runs, dry_run, json, quiet, where_to, wait))
