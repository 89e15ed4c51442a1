"""Where runs are to run: on this machine, by Slurm, or as a plug-in does it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from pkdcli import plugins
from pkdcli.recipe.references import Name
from pkdcli.recipe.schema import sbatch
from pkdcli.recipe.schema.types import Count, Strict


def _slurm_word(value: str) -> str:
    if not sbatch.WORD.fullmatch(value) or value.startswith("-"):
        raise ValueError("should be a word as Slurm takes it: letters, digits and _ . , : = @ & | * + ( ) [ ] / -")
    return value


def _line(value: str) -> str:
    if any(not (character.isprintable() or character == "\t") for character in value):
        raise ValueError("should be one line, without control characters")
    return value


def _kind(value: str) -> str:
    allowed = [*OWN_KINDS, *(plugins.names("launchers", OWN_KINDS) if value not in OWN_KINDS else ())]
    if value not in allowed:
        words = [repr(word) for word in allowed]
        raise ValueError(f"should be {', '.join(words[:-1])} or {words[-1]}")
    return value


OWN_KINDS = ("local", "slurm")
SlurmOption = Annotated[str, AfterValidator(sbatch.checked)]
SlurmWord = Annotated[str, AfterValidator(_slurm_word)]
Line = Annotated[str, AfterValidator(_line)]


LOCAL_KEYS = ("devices", "jobs", "retries")
SLURM_KEYS = (
    *("nodes", "gpus_per_node", "cpus_per_process", "memory", "partition", "account", "qos", "constraint", "time"),
    *("max_parallel", "options", "setup", "container", "python", "save_seconds", "max_requeues"),
)
"""Keys of a launcher that only one kind of it has."""


class Launcher(Strict):
    """recipes/launchers: where runs are carried out, and with what.

    Attributes:
        kind: `local`, on this machine, `slurm`, as jobs of a cluster, or that of a plug-in.
        processes: Worker processes of a run (on each node), where it has no GPUs.
        threads: Compute threads of a process; by default the cores that it has.
        devices: local: GPUs to share out among the jobs, as CUDA_VISIBLE_DEVICES names them.
        jobs: local: runs at a time.
        retries: local: how many times a run whose worker was killed by a signal is started again.
        nodes: slurm: machines of a run.
        gpus_per_node: slurm: GPUs of a run on each of them, one process each; 0 for the CPU.
        cpus_per_process: slurm: cores of each process, its loader processes included.
        memory: slurm: of a node, as `--mem` takes it.
        max_parallel: slurm: runs of an array at a time.
        options: slurm: what there is no key for, as sbatch takes it: `gres=gpu:a100:8`, `exclusive`, `reservation=x`.
        setup: slurm: lines of shell before the run, such as `module load cuda`.
        container: slurm: the words before the command, such as `apptainer exec --nv image.sif`, one item each.
        python: slurm: the interpreter on the nodes; by default the one that submits.
        save_seconds: slurm: how long before the time limit a run saves and is queued again.
        max_requeues: slurm: how many times that happens.
        own: What a launcher of a plug-in takes beside these, as it says.
    """

    name: Name
    kind: Annotated[str, AfterValidator(_kind)]
    processes: Count = 1
    threads: Count | None = None
    devices: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]] = []
    jobs: Count = 1
    retries: Annotated[int, Field(ge=0)] = 0
    nodes: Count = 1
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    cpus_per_process: Count | None = None
    memory: SlurmWord | None = None
    partition: SlurmWord | None = None
    account: SlurmWord | None = None
    qos: SlurmWord | None = None
    constraint: SlurmWord | None = None
    time: SlurmWord | None = None
    max_parallel: Count | None = None
    options: Annotated[list[SlurmOption], AfterValidator(sbatch.merged)] = []
    setup: list[Line] = []
    container: list[Line] = []
    python: Line | None = None
    save_seconds: Count = 120
    max_requeues: Annotated[int, Field(ge=0)] = 50
    own: dict[str, Any] = {}
    notes: str = ""

    @property
    def per_node(self) -> int:
        """Worker processes of a run on each node."""
        return self.gpus_per_node or self.processes

    @model_validator(mode="after")
    def _gpus_by_gres(self) -> Launcher:
        asked = sbatch.gpus(self.options)
        if asked is not None and self.gpus_per_node not in (0, asked):
            own = self.gpus_per_node
            raise ValueError(f"options: gres asks for {asked} GPUs of a node, and gpus_per_node for {own}")
        if asked:  # a process each, however they are asked for
            object.__setattr__(self, "gpus_per_node", asked)
        if self.memory and any(word.startswith("mem-per-") for word in self.options):
            raise ValueError("memory: not beside an option mem-per-cpu or mem-per-gpu")
        return self

    @model_validator(mode="after")
    def _of_its_kind(self) -> Launcher:
        others = {"local": (*SLURM_KEYS, "own"), "slurm": (*LOCAL_KEYS, "own")}.get(self.kind, ())
        wrong = [key for key in others if key in self.model_fields_set]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: not for a launcher of kind {self.kind}")
        return self
