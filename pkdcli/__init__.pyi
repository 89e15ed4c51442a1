"""Made by `python -m pkdcli.cli.stub`: the functions of pkdcli with their keywords, which are the options' names."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, overload

from pandas import DataFrame

from pkdcli.api.benchmark import Benchmark
from pkdcli.api.compare import Comparison
from pkdcli.api.data.checking import Checked
from pkdcli.api.data.importing import Imported
from pkdcli.api.diagnosis.diagnose import Diagnosed
from pkdcli.api.doctor import Findings
from pkdcli.api.evaluate import Evaluation
from pkdcli.api.export.export import Exported
from pkdcli.api.predict.predict import Predictions
from pkdcli.api.profile.profile import Profile
from pkdcli.api.runs.archive import Archived
from pkdcli.api.runs.cancel import Cancelled
from pkdcli.api.runs.remove import Removed
from pkdcli.api.runs.unpack import Unpacked
from pkdcli.api.tune.plan import TunePlan
from pkdcli.api.tune.result import Tuned
from pkdcli.api.verify import Verification
from pkdcli.api.visualize.visualize import Figures
from pkdcli.errors import PkdError as PkdError
from pkdcli.experiment.bars import Bars as Bars
from pkdcli.experiment.execute import Experiment as Experiment
from pkdcli.launch.outcome import Watcher as Watcher
from pkdcli.runs.run import Run as Run
from pkdcli.runs.run_list import RunList as RunList

__version__: str

@overload
def train(
    pair: str | os.PathLike[str] = 'gfl101-fcos50',
    *,
    teacher: str | os.PathLike[str] | None = None,
    student: str | os.PathLike[str] | None = None,
    loss: str | os.PathLike[str] = 'pkd',
    weight: float | None = None,
    temperature: float | None = None,
    schedule: str | os.PathLike[str] | None = None,
    seed: int = 0,
    scale: str | os.PathLike[str] = 'paper',
    data: str | os.PathLike[str] | None = None,
    allow_bad_data: bool = False,
    init: str | None = None,
    levels: str | None = None,
    sets: Sequence[str] | str = (),
    tap: Sequence[str] | str = (),
    training: str | None = None,
    distill_until: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    amp: bool = False,
    deterministic: bool = False,
    max_iters: int | None = None,
    val_interval: int | None = None,
    checkpoint_minutes: float | None = None,
    checkpoint_iters: int | None = None,
    workers: int | None = None,
    keep_predictions: bool = True,
    tracker: Sequence[str] | str = (),
    pretrained: bool = True,
    teacher_checkpoint: str | os.PathLike[str] | None = None,
    launcher: str | os.PathLike[str] = 'local',
    gpus: int | None = None,
    devices: str | None = None,
    procs: int | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    retries: int | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    cpus_per_process: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | None = None,
    sbatch_option: Sequence[str] | str = (),
    setup: Sequence[str] | str = (),
    max_parallel: int | None = None,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: Literal[False] = False,
    recipe: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Train a student with a teacher, or alone, and return the run.

    Args:
        pair: Teacher and student.
        teacher: In place of the pair's: a detector's name or file, a config of mmdet's by its name, or a .py of your own.
        student: The same of the student.
        loss: Distillation loss; none is the baseline.
        weight: Loss weight; by default alpha: 6 with a two-stage teacher, 10 with a one-stage one.
        temperature: Temperature of norm-kl (default 50).
        schedule: 1x, 2x or 2x+ms; the pair's own by default.
        seed: Seed of every random number.
        scale: paper: the mmdet models as they are. tiny: minutes on two cores.
        data: A data set's name or YAML file; coco, or shapes at scale tiny.
        allow_bad_data: Train even where the check of the data refuses: leakage, doubled boxes, corners as sizes.
        init: scratch, or inherit: start from the teacher's neck and head.
        levels: index (level i with i, the default), stride, or student:teacher levels such as 0:1,1:2.
        sets: Override any key of the resolved recipe.
        tap: Compare what this module puts out and not the neck: backbone, neck.0, a DETR's encoder, or any inside; of one detector by student=MODULE or teacher=MODULE.
        training: paper: by SGD and steps (appendix A.2). own: by the optimizer, schedule, augmentation, averages and hooks of the student's config; the default where that is not SGD of mmdet's 1x family.
        distill_until: Learn without the teacher after this share of the run, such as 0.9.
        epochs: Length instead of the schedule's; milestones follow.
        batch_size: Images a step over all devices; the rate follows.
        accumulate: Steps whose gradients are added.
        amp: Mixed precision; the distillation loss stays in float32.
        deterministic: The same numbers again from the same GPU, somewhat slower.
        max_iters: A smoke run: so many steps, then 8 images evaluated (see --set val_images=N).
        val_interval: Epochs between evaluations; the last is always evaluated.
        checkpoint_minutes: Save the training state so often, besides at epoch ends (default 10; 0 for never).
        checkpoint_iters: Save it every so many steps too.
        workers: Loader processes.
        keep_predictions: Keep the detections of the last evaluation, for `pkd compare`; a few MB on COCO.
        tracker: Also tell tensorboard, mlflow, wandb (offline), dvclive, aim, clearml or neptune; repeatable. Its files are in trackers/ of the run's folder.
        pretrained: Start from pretrained weights.
        teacher_checkpoint: The teacher's weights; otherwise the zoo's, or it is trained first.
        launcher: local, slurm, or the YAML file of a launcher of your own.
        gpus: The first N GPUs, a process each.
        devices: These GPUs, a process each.
        procs: Processes of a run on the CPU (on each node).
        threads: Compute threads of a process; by default $OMP_NUM_THREADS, or the cores that it has. No part of a run's name: the numbers differ by rounding.
        jobs: Runs at a time, which share out the GPUs given, or are spread over all there are.
        retries: Start a run whose worker was killed again, so many times.
        nodes: Machines of a run.
        gpus_per_node: GPUs of a run on each, a process each.
        cpus_per_process: Cores of each process.
        memory: Memory of a node; what the data wants is said without.
        time: Time limit of a job; a run saves before it and is queued again.
        sbatch_option: Any other option of sbatch, such as gres=gpu:a100:4, exclusive or reservation=x; repeatable.
        setup: A line of shell before the run; repeatable.
        max_parallel: Runs of an array at a time.
        wait: Wait for the jobs to end.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        dry_run: Print what would run, and run nothing.
        recipe: Repeat a run: its recipe.yaml, or its folder. Beside it go --seed, --data and --teacher-checkpoint (where the same files lie now), --runs, and what changes no number, such as --workers and all about machines.
    """
    ...

@overload
def train(
    pair: str | os.PathLike[str] = 'gfl101-fcos50',
    *,
    teacher: str | os.PathLike[str] | None = None,
    student: str | os.PathLike[str] | None = None,
    loss: str | os.PathLike[str] = 'pkd',
    weight: float | None = None,
    temperature: float | None = None,
    schedule: str | os.PathLike[str] | None = None,
    seed: int = 0,
    scale: str | os.PathLike[str] = 'paper',
    data: str | os.PathLike[str] | None = None,
    allow_bad_data: bool = False,
    init: str | None = None,
    levels: str | None = None,
    sets: Sequence[str] | str = (),
    tap: Sequence[str] | str = (),
    training: str | None = None,
    distill_until: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    amp: bool = False,
    deterministic: bool = False,
    max_iters: int | None = None,
    val_interval: int | None = None,
    checkpoint_minutes: float | None = None,
    checkpoint_iters: int | None = None,
    workers: int | None = None,
    keep_predictions: bool = True,
    tracker: Sequence[str] | str = (),
    pretrained: bool = True,
    teacher_checkpoint: str | os.PathLike[str] | None = None,
    launcher: str | os.PathLike[str] = 'local',
    gpus: int | None = None,
    devices: str | None = None,
    procs: int | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    retries: int | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    cpus_per_process: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | None = None,
    sbatch_option: Sequence[str] | str = (),
    setup: Sequence[str] | str = (),
    max_parallel: int | None = None,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: Literal[True],
    recipe: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None,
) -> Experiment: ...

@overload
def sweep(
    *,
    losses: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = 'mse',
    weights: Sequence[float] | float | str = (),
    temperatures: Sequence[float] | float | str = (),
    pairs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = 'gfl101-fcos50',
    teachers: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    students: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    schedules: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    seeds: Sequence[int] | int | str = '0',
    baseline: bool = True,
    scale: str | os.PathLike[str] = 'paper',
    data: str | os.PathLike[str] | None = None,
    allow_bad_data: bool = False,
    init: str | None = None,
    levels: str | None = None,
    sets: Sequence[str] | str = (),
    tap: Sequence[str] | str = (),
    training: str | None = None,
    distill_until: float | None = None,
    grid: Sequence[str] | str = (),
    until_decided: bool = False,
    max_seeds: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    amp: bool = False,
    deterministic: bool = False,
    max_iters: int | None = None,
    val_interval: int | None = None,
    checkpoint_minutes: float | None = None,
    checkpoint_iters: int | None = None,
    workers: int | None = None,
    keep_predictions: bool = True,
    tracker: Sequence[str] | str = (),
    pretrained: bool = True,
    teacher_checkpoint: str | os.PathLike[str] | None = None,
    share_teacher: bool | None = None,
    launcher: str | os.PathLike[str] = 'local',
    gpus: int | None = None,
    devices: str | None = None,
    procs: int | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    retries: int | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    cpus_per_process: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | None = None,
    sbatch_option: Sequence[str] | str = (),
    setup: Sequence[str] | str = (),
    max_parallel: int | None = None,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: Literal[False] = False,
    watcher: Watcher | None = None,
) -> RunList:
    """Train one student for every combination of some lists, and the baselines, and return the runs.

    Args:
        losses: Losses.
        weights: Loss weights.
        temperatures: Temperatures of norm-kl.
        pairs: Pairs.
        teachers: In place of the pairs': names or files of detectors, configs of mmdet's, or .py of your own.
        students: The same of the students.
        schedules: Schedules.
        seeds: Seeds.
        baseline: Also train the student alone.
        scale: paper: the mmdet models as they are. tiny: minutes on two cores.
        data: A data set's name or YAML file; coco, or shapes at scale tiny.
        allow_bad_data: Train even where the check of the data refuses: leakage, doubled boxes, corners as sizes.
        init: scratch, or inherit: start from the teacher's neck and head.
        levels: index (level i with i, the default), stride, or student:teacher levels such as 0:1,1:2.
        sets: Override any key of the resolved recipe.
        tap: Compare what this module puts out and not the neck: backbone, neck.0, a DETR's encoder, or any inside; of one detector by student=MODULE or teacher=MODULE.
        training: paper: by SGD and steps (appendix A.2). own: by the optimizer, schedule, augmentation, averages and hooks of the student's config; the default where that is not SGD of mmdet's 1x family.
        distill_until: Learn without the teacher after this share of the run, such as 0.9.
        grid: Any key of the resolved recipe as an axis, as --set names it; a value with commas in quotes or brackets. Repeatable: every combination.
        until_decided: Start with three seeds, or those given, and add one at a time, of baseline and methods alike, until each method is GO or NO-GO. It allows for all these looks: of methods that do nothing, 5 % are judged at most.
        max_seeds: With --until-decided: stop at so many (default 10).
        epochs: Length instead of the schedule's; milestones follow.
        batch_size: Images a step over all devices; the rate follows.
        accumulate: Steps whose gradients are added.
        amp: Mixed precision; the distillation loss stays in float32.
        deterministic: The same numbers again from the same GPU, somewhat slower.
        max_iters: A smoke run: so many steps, then 8 images evaluated (see --set val_images=N).
        val_interval: Epochs between evaluations; the last is always evaluated.
        checkpoint_minutes: Save the training state so often, besides at epoch ends (default 10; 0 for never).
        checkpoint_iters: Save it every so many steps too.
        workers: Loader processes.
        keep_predictions: Keep the detections of the last evaluation, for `pkd compare`; a few MB on COCO.
        tracker: Also tell tensorboard, mlflow, wandb (offline), dvclive, aim, clearml or neptune; repeatable. Its files are in trackers/ of the run's folder.
        pretrained: Start from pretrained weights.
        teacher_checkpoint: The teacher's weights; otherwise the zoo's, or it is trained first.
        share_teacher: Train students that differ only in loss, weight, temperature, levels or init in one process, which loads each image and asks the teacher once a step; the results are the same. By default wherever two such students or more are to be trained; as many at a time as fit into half of the free memory. On Slurm each run is a task of its own.
        launcher: local, slurm, or the YAML file of a launcher of your own.
        gpus: The first N GPUs, a process each.
        devices: These GPUs, a process each.
        procs: Processes of a run on the CPU (on each node).
        threads: Compute threads of a process; by default $OMP_NUM_THREADS, or the cores that it has. No part of a run's name: the numbers differ by rounding.
        jobs: Runs at a time, which share out the GPUs given, or are spread over all there are.
        retries: Start a run whose worker was killed again, so many times.
        nodes: Machines of a run.
        gpus_per_node: GPUs of a run on each, a process each.
        cpus_per_process: Cores of each process.
        memory: Memory of a node; what the data wants is said without.
        time: Time limit of a job; a run saves before it and is queued again.
        sbatch_option: Any other option of sbatch, such as gres=gpu:a100:4, exclusive or reservation=x; repeatable.
        setup: A line of shell before the run; repeatable.
        max_parallel: Runs of an array at a time.
        wait: Wait for the jobs to end.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        dry_run: Print what would run, and run nothing.
    """
    ...

@overload
def sweep(
    *,
    losses: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = 'mse',
    weights: Sequence[float] | float | str = (),
    temperatures: Sequence[float] | float | str = (),
    pairs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = 'gfl101-fcos50',
    teachers: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    students: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    schedules: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    seeds: Sequence[int] | int | str = '0',
    baseline: bool = True,
    scale: str | os.PathLike[str] = 'paper',
    data: str | os.PathLike[str] | None = None,
    allow_bad_data: bool = False,
    init: str | None = None,
    levels: str | None = None,
    sets: Sequence[str] | str = (),
    tap: Sequence[str] | str = (),
    training: str | None = None,
    distill_until: float | None = None,
    grid: Sequence[str] | str = (),
    until_decided: bool = False,
    max_seeds: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    amp: bool = False,
    deterministic: bool = False,
    max_iters: int | None = None,
    val_interval: int | None = None,
    checkpoint_minutes: float | None = None,
    checkpoint_iters: int | None = None,
    workers: int | None = None,
    keep_predictions: bool = True,
    tracker: Sequence[str] | str = (),
    pretrained: bool = True,
    teacher_checkpoint: str | os.PathLike[str] | None = None,
    share_teacher: bool | None = None,
    launcher: str | os.PathLike[str] = 'local',
    gpus: int | None = None,
    devices: str | None = None,
    procs: int | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    retries: int | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    cpus_per_process: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | None = None,
    sbatch_option: Sequence[str] | str = (),
    setup: Sequence[str] | str = (),
    max_parallel: int | None = None,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: Literal[True],
    watcher: Watcher | None = None,
) -> Experiment: ...

@overload
def tune(
    pair: str | os.PathLike[str] = 'gfl101-fcos50',
    *,
    loss: str | os.PathLike[str] = 'mse',
    weight: str | None = None,
    temperature: str | None = None,
    budget: str | None = None,
    trials: int | None = None,
    confirm_seeds: Sequence[int] | int | str = (),
    scale: str | os.PathLike[str] = 'paper',
    data: str | os.PathLike[str] | None = None,
    allow_bad_data: bool = False,
    init: str | None = None,
    levels: str | None = None,
    sets: Sequence[str] | str = (),
    tap: Sequence[str] | str = (),
    training: str | None = None,
    distill_until: float | None = None,
    teacher: str | os.PathLike[str] | None = None,
    student: str | os.PathLike[str] | None = None,
    schedule: str | os.PathLike[str] | None = None,
    seed: int = 0,
    grid: Sequence[str] | str = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    amp: bool = False,
    deterministic: bool = False,
    max_iters: int | None = None,
    val_interval: int | None = None,
    checkpoint_minutes: float | None = None,
    checkpoint_iters: int | None = None,
    workers: int | None = None,
    keep_predictions: bool = True,
    tracker: Sequence[str] | str = (),
    pretrained: bool = True,
    teacher_checkpoint: str | os.PathLike[str] | None = None,
    share_teacher: bool | None = None,
    launcher: str | os.PathLike[str] = 'local',
    gpus: int | None = None,
    devices: str | None = None,
    procs: int | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    retries: int | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    cpus_per_process: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | None = None,
    sbatch_option: Sequence[str] | str = (),
    setup: Sequence[str] | str = (),
    max_parallel: int | None = None,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: Literal[False] = False,
    watcher: Watcher | None = None,
) -> Tuned:
    """Find the best weight, temperature or key of a recipe for less than a full grid costs.

    Args:
        loss: Distillation loss; none is the baseline.
        weight: Loss weights to search, LOW..HIGH, by their logarithm (default 1..100); one number is kept as it is. Without it the loss's own, where something else is searched.
        temperature: Temperatures of norm-kl to search, in the same way.
        budget: What the trials may take: 2h, 30m, 1900steps, 3runs. By default 40 % of the steps of a full grid of eight weights.
        trials: So many trials, of which two are trained to the end.
        confirm_seeds: Train the best and the runner-up on these further seeds too, such as 1,2, and choose by the mean over them: apart from the budget.
        scale: paper: the mmdet models as they are. tiny: minutes on two cores.
        data: A data set's name or YAML file; coco, or shapes at scale tiny.
        allow_bad_data: Train even where the check of the data refuses: leakage, doubled boxes, corners as sizes.
        init: scratch, or inherit: start from the teacher's neck and head.
        levels: index (level i with i, the default), stride, or student:teacher levels such as 0:1,1:2.
        sets: Override any key of the resolved recipe.
        tap: Compare what this module puts out and not the neck: backbone, neck.0, a DETR's encoder, or any inside; of one detector by student=MODULE or teacher=MODULE.
        training: paper: by SGD and steps (appendix A.2). own: by the optimizer, schedule, augmentation, averages and hooks of the student's config; the default where that is not SGD of mmdet's 1x family.
        distill_until: Learn without the teacher after this share of the run, such as 0.9.
        pair: Teacher and student.
        teacher: In place of the pair's: a detector's name or file, a config of mmdet's by its name, or a .py of your own.
        student: The same of the student.
        schedule: 1x, 2x or 2x+ms; the pair's own by default.
        seed: Seed of every random number.
        grid: Any key of the resolved recipe as an axis, as --set names it; a value with commas in quotes or brackets. Repeatable: every combination.
        epochs: Length instead of the schedule's; milestones follow.
        batch_size: Images a step over all devices; the rate follows.
        accumulate: Steps whose gradients are added.
        amp: Mixed precision; the distillation loss stays in float32.
        deterministic: The same numbers again from the same GPU, somewhat slower.
        max_iters: A smoke run: so many steps, then 8 images evaluated (see --set val_images=N).
        val_interval: Epochs between evaluations; the last is always evaluated.
        checkpoint_minutes: Save the training state so often, besides at epoch ends (default 10; 0 for never).
        checkpoint_iters: Save it every so many steps too.
        workers: Loader processes.
        keep_predictions: Keep the detections of the last evaluation, for `pkd compare`; a few MB on COCO.
        tracker: Also tell tensorboard, mlflow, wandb (offline), dvclive, aim, clearml or neptune; repeatable. Its files are in trackers/ of the run's folder.
        pretrained: Start from pretrained weights.
        teacher_checkpoint: The teacher's weights; otherwise the zoo's, or it is trained first.
        share_teacher: Train students that differ only in loss, weight, temperature, levels or init in one process, which loads each image and asks the teacher once a step; the results are the same. By default wherever two such students or more are to be trained; as many at a time as fit into half of the free memory. On Slurm each run is a task of its own.
        launcher: local, slurm, or the YAML file of a launcher of your own.
        gpus: The first N GPUs, a process each.
        devices: These GPUs, a process each.
        procs: Processes of a run on the CPU (on each node).
        threads: Compute threads of a process; by default $OMP_NUM_THREADS, or the cores that it has. No part of a run's name: the numbers differ by rounding.
        jobs: Runs at a time, which share out the GPUs given, or are spread over all there are.
        retries: Start a run whose worker was killed again, so many times.
        nodes: Machines of a run.
        gpus_per_node: GPUs of a run on each, a process each.
        cpus_per_process: Cores of each process.
        memory: Memory of a node; what the data wants is said without.
        time: Time limit of a job; a run saves before it and is queued again.
        sbatch_option: Any other option of sbatch, such as gres=gpu:a100:4, exclusive or reservation=x; repeatable.
        setup: A line of shell before the run; repeatable.
        max_parallel: Runs of an array at a time.
        wait: Wait for the jobs to end.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        dry_run: Print what would run, and run nothing.
    """
    ...

@overload
def tune(
    pair: str | os.PathLike[str] = 'gfl101-fcos50',
    *,
    loss: str | os.PathLike[str] = 'mse',
    weight: str | None = None,
    temperature: str | None = None,
    budget: str | None = None,
    trials: int | None = None,
    confirm_seeds: Sequence[int] | int | str = (),
    scale: str | os.PathLike[str] = 'paper',
    data: str | os.PathLike[str] | None = None,
    allow_bad_data: bool = False,
    init: str | None = None,
    levels: str | None = None,
    sets: Sequence[str] | str = (),
    tap: Sequence[str] | str = (),
    training: str | None = None,
    distill_until: float | None = None,
    teacher: str | os.PathLike[str] | None = None,
    student: str | os.PathLike[str] | None = None,
    schedule: str | os.PathLike[str] | None = None,
    seed: int = 0,
    grid: Sequence[str] | str = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    amp: bool = False,
    deterministic: bool = False,
    max_iters: int | None = None,
    val_interval: int | None = None,
    checkpoint_minutes: float | None = None,
    checkpoint_iters: int | None = None,
    workers: int | None = None,
    keep_predictions: bool = True,
    tracker: Sequence[str] | str = (),
    pretrained: bool = True,
    teacher_checkpoint: str | os.PathLike[str] | None = None,
    share_teacher: bool | None = None,
    launcher: str | os.PathLike[str] = 'local',
    gpus: int | None = None,
    devices: str | None = None,
    procs: int | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    retries: int | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    cpus_per_process: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | None = None,
    sbatch_option: Sequence[str] | str = (),
    setup: Sequence[str] | str = (),
    max_parallel: int | None = None,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: Literal[True],
    watcher: Watcher | None = None,
) -> TunePlan: ...

def reproduce(
    table: str | os.PathLike[str] | Run,
    *,
    seeds: Sequence[int] | int | str = '0',
    only: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    scale: str | os.PathLike[str] = 'paper',
    data: str | os.PathLike[str] | None = None,
    allow_bad_data: bool = False,
    init: str | None = None,
    levels: str | None = None,
    sets: Sequence[str] | str = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    amp: bool = False,
    deterministic: bool = False,
    max_iters: int | None = None,
    val_interval: int | None = None,
    checkpoint_minutes: float | None = None,
    checkpoint_iters: int | None = None,
    workers: int | None = None,
    keep_predictions: bool = True,
    tracker: Sequence[str] | str = (),
    pretrained: bool = True,
    share_teacher: bool | None = None,
    launcher: str | os.PathLike[str] = 'local',
    gpus: int | None = None,
    devices: str | None = None,
    procs: int | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    retries: int | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    cpus_per_process: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | None = None,
    sbatch_option: Sequence[str] | str = (),
    setup: Sequence[str] | str = (),
    max_parallel: int | None = None,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    watcher: Watcher | None = None,
) -> DataFrame:
    """Run every experiment of a table, and return it beside the paper's numbers, a row for each line.

    Args:
        table: table7, table8, table8-plain, or a YAML file.
        seeds: Seeds; several give mean ± standard deviation.
        only: Only this pair of the table; repeatable.
        scale: paper: the mmdet models as they are. tiny: minutes on two cores.
        data: A data set's name or YAML file; coco, or shapes at scale tiny.
        allow_bad_data: Train even where the check of the data refuses: leakage, doubled boxes, corners as sizes.
        init: scratch, or inherit: start from the teacher's neck and head.
        levels: index (level i with i, the default), stride, or student:teacher levels such as 0:1,1:2.
        sets: Override any key of the resolved recipe.
        epochs: Length instead of the schedule's; milestones follow.
        batch_size: Images a step over all devices; the rate follows.
        accumulate: Steps whose gradients are added.
        amp: Mixed precision; the distillation loss stays in float32.
        deterministic: The same numbers again from the same GPU, somewhat slower.
        max_iters: A smoke run: so many steps, then 8 images evaluated (see --set val_images=N).
        val_interval: Epochs between evaluations; the last is always evaluated.
        checkpoint_minutes: Save the training state so often, besides at epoch ends (default 10; 0 for never).
        checkpoint_iters: Save it every so many steps too.
        workers: Loader processes.
        keep_predictions: Keep the detections of the last evaluation, for `pkd compare`; a few MB on COCO.
        tracker: Also tell tensorboard, mlflow, wandb (offline), dvclive, aim, clearml or neptune; repeatable. Its files are in trackers/ of the run's folder.
        pretrained: Start from pretrained weights.
        share_teacher: Train students that differ only in loss, weight, temperature, levels or init in one process, which loads each image and asks the teacher once a step; the results are the same. By default wherever two such students or more are to be trained; as many at a time as fit into half of the free memory. On Slurm each run is a task of its own.
        launcher: local, slurm, or the YAML file of a launcher of your own.
        gpus: The first N GPUs, a process each.
        devices: These GPUs, a process each.
        procs: Processes of a run on the CPU (on each node).
        threads: Compute threads of a process; by default $OMP_NUM_THREADS, or the cores that it has. No part of a run's name: the numbers differ by rounding.
        jobs: Runs at a time, which share out the GPUs given, or are spread over all there are.
        retries: Start a run whose worker was killed again, so many times.
        nodes: Machines of a run.
        gpus_per_node: GPUs of a run on each, a process each.
        cpus_per_process: Cores of each process.
        memory: Memory of a node; what the data wants is said without.
        time: Time limit of a job; a run saves before it and is queued again.
        sbatch_option: Any other option of sbatch, such as gres=gpu:a100:4, exclusive or reservation=x; repeatable.
        setup: A line of shell before the run; repeatable.
        max_parallel: Runs of an array at a time.
        wait: Wait for the jobs to end.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        dry_run: Print what would run, and run nothing.
    """
    ...

def resume(
    *names: str | os.PathLike[str] | Run,
    everything: bool = False,
    wait: bool = False,
    runs: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None,
) -> RunList:
    """Carry on runs that were interrupted, failed or lost, from their last checkpoints, as they were launched before.

    Args:
        names: Runs' ids, or their beginnings.
        everything: Every run that has ended without a result, but those that a search has paused.
        wait: Wait for the jobs to end.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def cancel(
    *names: str | os.PathLike[str] | Run,
    runs: str | os.PathLike[str] | None = None,
) -> list[Cancelled]:
    """Stop runs: those at work save first, those in a queue leave it, and with a teacher its students.

    Args:
        names: Runs' ids; their beginnings are enough.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def evaluate(
    target: str | os.PathLike[str] | Run,
    *,
    data: str | os.PathLike[str] | None = None,
    split: str = 'val',
    model: str = 'student',
    detector: str | os.PathLike[str] | None = None,
    scale: str | None = None,
    runs: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
) -> Evaluation:
    """Evaluate a run's student or teacher, or a bare file of weights.

    Args:
        target: A run's id or folder, or a checkpoint file.
        data: A data set's name or YAML file; coco, or shapes at scale tiny.
        split: val, test or train.
        model: student or teacher (of a run).
        detector: What a bare checkpoint is of; a run knows.
        scale: Of a bare checkpoint; by default full size, on images as its own config tests.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def report(
    *,
    runs: str | os.PathLike[str] | None = None,
    format: str | None = None,
    layout: str = 'auto',
    pair: Sequence[str] | str = (),
    loss: Sequence[str] | str = (),
    where: Sequence[str] | str = (),
    imports: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    group_by: Sequence[str] | str = (),
    best: bool = False,
    seeds: str = 'each',
    paper: bool = False,
    columns: Sequence[str] | str = (),
    compare: Sequence[str] | str | None = None,
    everything: bool = False,
    verdict: bool = False,
    by_class: bool = False,
    split: str = 'val',
    plots: Sequence[str | os.PathLike[str] | Run] | str | os.PathLike[str] | Run = (),
    plot_dir: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] | None = None,
) -> DataFrame | Path | str:
    """Show what the runs reached.

    Args:
        runs: The runs folder; default: $PKD_RUNS, or ./runs.
        format: table, md, csv, json, latex or html; default: as FILE ends, else table.
        layout: auto, table7, table8 or runs: like the paper's Table 7 (teacher, student, methods) or 8 (loss weights), or a list of every run. csv and json always have one row per run.
        pair: Only this pair and its baselines; repeatable.
        loss: Only this loss; repeatable.
        where: Only runs with this value in a csv column; repeatable.
        imports: Also runs of stock mmdet or mmrazor: a work_dir, or a folder of them; marked so. Repeatable.
        group_by: A table for each value of these csv columns.
        best: Only the best mAP of each group; by default of each loss: its best weight.
        seeds: each seed, or their mean and standard deviation (mean).
        paper: Put the published numbers beside.
        columns: Also these: parameters, gflops, teacher_parameters, teacher_gflops, latency_ms, teacher_latency_ms, latency_on.
        compare: Two runs, or the beginnings of their names, side by side.
        everything: Also smoke runs beside whole ones.
        verdict: Is the gain real? GO, NO-GO or INCONCLUSIVE for each method, from its seeds and the baseline's.
        by_class: AP of each class, with its gain over the baseline.
        split: val, as the runs ended, or test: as pkd eval RUN --split test has measured them.
        plots: With --plot or --plot-dir, only these: tradeoff, search, weights, gains, sizes, levels, training.
        plot_dir: Also write the plots here, as PNG, SVG and PDF.
        output: Write here; html without it goes to report.html.
    """
    ...

def compare(
    *names: str | os.PathLike[str] | Run,
    split: str = 'val',
    resamples: int = 1000,
    format: str | None = None,
    output: str | os.PathLike[str] | None = None,
    plot_dir: str | os.PathLike[str] | None = None,
    runs: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    watcher: Watcher | None = None,
) -> Comparison:
    """Hold runs against each other, image by image: differences with intervals, classes, kinds of errors.

    Args:
        names: Runs: what is compared with, then the others. A beginning that means several runs is a group of seeds.
        split: val; or test or train, if `pkd eval` has evaluated it.
        resamples: How often images are drawn for the intervals; 0 for none.
        format: table, md, csv, json, latex or html (a page with pictures).
        output: Write to a file instead of the terminal.
        plot_dir: Write plots, and the images where runs differ most, into a folder.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        quiet: Print only the result.
    """
    ...

def diagnose(
    name: str | os.PathLike[str] | Run,
    *,
    look: bool = False,
    images: int = 16,
    format: str | None = None,
    output: str | os.PathLike[str] | None = None,
    runs: str | os.PathLike[str] | None = None,
    json: bool = False,
    quiet: bool = False,
    watcher: Watcher | None = None,
) -> Diagnosed:
    """Say why a run may be no better than it is: causes, the likeliest first, with evidence and what to type.

    Args:
        name: A run's id, its beginning or its folder.
        look: Also run teacher and student over a few images, which takes half a minute.
        images: For --look: images of the training and of the validation split each.
        format: table, md or json.
        output: Write to a file instead of the terminal.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        json: Print JSON lines.
        quiet: Print only the result.
    """
    ...

def verify(
    pair: str | os.PathLike[str] = 'gfl101-fcos50',
    *,
    scale: str | os.PathLike[str] = 'tiny',
    data: str | os.PathLike[str] | None = None,
    images: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    runs: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None,
) -> Verification:
    """Check the mathematics on a pair's features, and write plot, CSV and JSON.

    Args:
        pair: Teacher and student.
        scale: paper: the mmdet models as they are. tiny: minutes on two cores.
        data: A data set's name or YAML file; coco, or shapes at scale tiny.
        images: Instead of the data set's first two val images; repeatable.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        output: Folder of plot, CSV and JSON; default: verify/ in the runs folder.
    """
    ...

def visualize(
    figure: str = 'all',
    *,
    pair: str | os.PathLike[str] | None = None,
    teacher: str | None = None,
    student: str | None = None,
    distilled: str | None = None,
    untrained: bool = False,
    images: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    count: int = 2,
    scale: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    seed: int = 0,
    levels: Sequence[str] | str = (),
    reduce: str = 'max',
    color_scale: str | None = None,
    formats: Sequence[str] | str = 'png,pdf,svg',
    dpi: int = 220,
    output: str | os.PathLike[str] | None = None,
    runs: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    watcher: Watcher | None = None,
) -> Figures:
    """Draw Figures 4 to 8 of the paper from the features of a teacher and its student before distillation.

    Args:
        figure: Which; several with commas between.
        pair: Teacher and student; each figure's own by default.
        teacher: Its weights; by default those that pkd train would take.
        student: Its weights; by default the baseline's.
        distilled: A third detector: the student after distillation.
        untrained: Random weights for what is not named.
        images: Instead of images of the data set; repeatable.
        count: Images of the data set's val split.
        scale: paper (the default) or tiny, as for pkd train.
        data: A data set's name or YAML file; coco, or shapes at scale tiny.
        seed: Seed of every random number.
        levels: Stages by their strides (P3 has 8); each figure's own by default.
        reduce: How a position's channels become one number.
        color_scale: One colour scale for all patterns, one a detector, or each its own; each figure's own way by default.
        formats: Kinds of pictures.
        dpi: Dots an inch of pictures.
        output: Folder of the files; default: figures/<name>/ in the runs folder.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        dry_run: Print what would run, and run nothing.
    """
    ...

def predict(
    target: str | os.PathLike[str] | Run,
    *,
    inputs: Sequence[str | os.PathLike[str] | Run] | str | os.PathLike[str] | Run,
    model: str = 'student',
    score: float = 0.3,
    batch: int = 1,
    device: str | None = None,
    pictures: bool = True,
    html: bool = False,
    detector: str | os.PathLike[str] | None = None,
    scale: str | None = None,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    runs: str | os.PathLike[str] | None = None,
    on_image: Callable[[int, int | None, str], None] | None = None,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
) -> Predictions:
    """Look for objects in images and videos: pictures with boxes, COCO JSON, CSV, a page.

    Args:
        target: A run's id or folder, or a checkpoint file.
        inputs: Images, folders of images, videos.
        model: student, teacher or both side by side (of a run).
        score: The lowest score that is drawn and written.
        batch: Images at a time.
        device: By default the first GPU, or the CPU.
        pictures: Draw the boxes.
        html: Write a page with a score slider too.
        detector: What a bare checkpoint is of; a run knows.
        scale: Of a bare checkpoint; by default full size, on images as its own config tests.
        data: Of a bare checkpoint without class names: its data set.
        output: Folder of what is written; default: predictions/<run>/ in the runs folder.
        force: Write into a folder that is there.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def export(
    target: str | os.PathLike[str] | Run,
    *,
    formats: Sequence[str] | str = 'mmdet',
    model: str = 'student',
    raw: bool = False,
    int8: bool = False,
    images: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    map: bool = True,
    detector: str | os.PathLike[str] | None = None,
    scale: str | None = None,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    runs: str | os.PathLike[str] | None = None,
    on_step: Callable[[str, int | None, int | None], None] | None = None,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
) -> Exported:
    """Write a run's student (or its teacher) for use elsewhere, checked against PyTorch on real images.

    Args:
        target: A run's id or folder, or a checkpoint file.
        formats: Kinds of files.
        model: student or teacher (of a run).
        raw: Outputs of the head itself in place of boxes; of any detector.
        int8: ONNX in 8 bits too, quantized on training images.
        images: Compare with PyTorch on this in place of val images; repeatable.
        map: Measure mAP on the val split too (ONNX).
        detector: What a bare checkpoint is of; a run knows.
        scale: Of a bare checkpoint; by default full size, on images as its own config tests.
        data: Of a bare checkpoint without class names: its data set.
        output: Folder of the files; default: exports/<run>/ in the runs folder.
        force: Write into a folder that is there.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def profile(
    *names: str | os.PathLike[str] | Run,
    teacher: str | os.PathLike[str] | None = None,
    student: str | os.PathLike[str] | None = None,
    scale: str | None = None,
    data: str | os.PathLike[str] | None = None,
    batch: int = 1,
    threads: int | None = None,
    size: str | None = None,
    device: Sequence[str] | str = (),
    onnx: bool = False,
    repeat: int = 10,
    runs: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
) -> Profile:
    """Count parameters and operations of detectors, and time them on this machine: teacher and student side by side.

    Args:
        names: Pairs (name or file) and runs (id, its beginning, or folder).
        teacher: In place of a pair's name, with --student.
        student: The same of the student.
        scale: Of a pair: paper (the default) or tiny; a run knows its own.
        data: Of a pair: its data set.
        batch: Images at a time.
        threads: Of the processor; PyTorch's own choice.
        size: Height and width of the images; what each detector is tested on.
        device: By default the CPU, and the first GPU where there is one.
        onnx: In onnxruntime too, where the detector can be exported.
        repeat: Rounds that are timed.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        dry_run: Print what would run, and run nothing.
    """
    ...

def benchmark(
    *,
    pair: str | os.PathLike[str] = 'gfl101-fcos50',
    scale: str | os.PathLike[str] = 'tiny',
    loss: str | os.PathLike[str] = 'pkd',
    image: str | None = None,
    batch: int | None = None,
    threads: int | None = None,
    only: Sequence[str] | str = (),
    suggest: bool = False,
    clock: str = 'wall',
    repeat: int = 5,
    students: int = 5,
    eval_images: int = 200,
    report_runs: int = 200,
    coco_images: int = 118287,
    epochs: int = 12,
    sets: Sequence[str] | str = (),
    watcher: Watcher | None = None,
) -> Benchmark:
    """Measure losses, steps, shared teachers, evaluation, loading and start-up on this machine.

    Args:
        pair: Teacher and student.
        scale: paper: the mmdet models as they are. tiny: minutes on two cores.
        loss: Distillation loss; none is the baseline.
        image: Size of the images in pixels.
        batch: Images a step.
        threads: Of a step on the CPU; PyTorch's own choice.
        only: Sections: losses, launches, step, group, eval, data, startup, suggest, experiment, operators, coco, import, report, predict, compare, predictions.
        suggest: Propose faster settings for the teacher.
        clock: cpu: processor time, on one thread; steadier where others use the machine too.
        repeat: Rounds of each comparison.
        students: Students that share a teacher.
        eval_images: Images of eval and compare; 5000 is COCO's val.
        report_runs: Runs that the report reads.
        coco_images: Images of the annotations for coco; COCO has 118287.
        epochs: Of experiment and predictions.
        sets: Override any key of the resolved recipe.
    """
    ...

def data_check(
    data: str | os.PathLike[str] | Run,
    *,
    decode: bool = True,
    fix: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Checked:
    """Look at a whole data set: counts and sizes by class, and every fault with file, id and remedy.

    Args:
        data: A data set's name or YAML file, or the folder of an import.
        decode: Decode every image, and compare all with each other.
        fix: Write repaired annotations and a data recipe there; the original stays.
        html: Write a page of images with their boxes.
        force: Replace what is there (--fix, --html).
    """
    ...

def data_import(
    *paths: str | os.PathLike[str] | Run,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    first_pixel: int | None = None,
    split: Sequence[float] | float | str = (),
    seed: int = 0,
    group_by: str | None = None,
    classes: Sequence[str] | str = (),
    renamed: Sequence[str] | str = (),
    output: str | os.PathLike[str] | None = None,
    name: str | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Imported:
    """Make a data set of Pascal VOC, YOLO, COCO, CVAT, Open Images or LabelMe: links, COCO JSON and a data recipe.

    Args:
        paths: Folders or files of annotations; several become one data set.
        form: The form of the annotations, where it can't be told.
        images: Folder of the images, if not below PATH.
        first_pixel: Of Pascal VOC: 1 as in the original, or 0; by default 0 where a box begins at 0.
        split: Shares of train, val and test, stratified by class; by default the source's own splits, or 0.8,0.1,0.1.
        seed: Seed of the split.
        group_by: Keep images together in one split: folder, or a regular expression for a part of their names.
        classes: Keep these classes, in this order; by their new names.
        renamed: Rename classes, or merge several into one.
        output: Folder that is made; default: NAME-coco here.
        name: Of the data set; by default the folder's.
        force: Replace what an earlier import wrote there.
    """
    ...

def doctor() -> Findings:
    """Say what this machine has (versions, devices, data, cache), what it lacks, and the remedy."""
    ...

def archive(
    *names: str | os.PathLike[str] | Run,
    output: str | os.PathLike[str] | None = None,
    teacher: bool = True,
    force: bool = False,
    runs: str | os.PathLike[str] | None = None,
) -> Archived:
    """Pack what another machine needs of some runs: recipes, own configs and modules, weights, metrics, predictions.

    Args:
        names: Runs' ids, their beginnings, or folders.
        output: The file; default: RUN.tar.gz here.
        teacher: Pack the teacher with its weights, without which a run that is not finished can't go on to the same numbers.
        force: Write over a file that is there.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def unpack(
    file: str | os.PathLike[str],
    *,
    data: Sequence[str] | str = (),
    teacher: bool = True,
    force: bool = False,
    runs: str | os.PathLike[str] | None = None,
) -> Unpacked:
    """Put packed runs into the runs folder and their teachers into the cache, all of them or none.

    Args:
        file: What `pkd archive` has written.
        data: Where a data set lies here: the folder that has its files as the other machine's had, or its data recipe; repeatable.
        teacher: Unpack the teachers, too; without, those that are here stay.
        force: Write over runs, and teachers with other weights, that are here already.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def remove(
    *names: str | os.PathLike[str] | Run,
    force: bool = False,
    runs: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
) -> Removed:
    """Remove runs with all that is in their folders.

    Args:
        names: Runs' ids, their beginnings, or folders.
        force: Also a teacher that other runs learn or have learned from.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
        dry_run: Print what would run, and run nothing.
    """
    ...

def list_runs(
    *,
    runs: str | os.PathLike[str] | None = None,
) -> RunList:
    """The runs of a folder, in the order of the tables.

    Args:
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...

def load_run(
    name: str | os.PathLike[str] | Run,
    *,
    runs: str | os.PathLike[str] | None = None,
) -> Run:
    """One run, a teacher's in the cache too.

    Args:
        name: A run's id, its beginning, or its folder.
        runs: Folder of runs (default $PKD_RUNS, or ./runs).
    """
    ...
