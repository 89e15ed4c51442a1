"""Which runs belong into one picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pkdcli.reporting.tables.names import method_name
from pkdcli.runs.record import Record, order

_SAME = ("data", "split", "scale", "pair", "schedule", "batch", "epoch", "init", "levels", "stat_chunk", "training",
         "distill_until")  # fmt: skip
_SHOWN = {"batch": "batch", "epoch": "epochs", "init": "init", "levels": "levels", "stat_chunk": "chunk",
          "training": "training", "distill_until": "taught until"}  # fmt: skip

DEVIATION = " Bars and bands: one standard deviation over seeds to each side."
"""What is said of error bars of a metric; those of a gain are intervals, and said to be."""


@dataclass(frozen=True)
class Group:
    """Finished distilled runs that differ in loss, weight, temperature and seed alone, and their baselines.

    Attributes:
        runs: The distilled runs, in the order of the tables.
        baselines: The runs they are measured against.
        settings: In which this group differs from others of its pair, schedule and data: `batch 16`.
    """

    runs: list[Record]
    baselines: list[Record]
    settings: str = ""

    @property
    def first(self) -> Record:
        """Any of its runs, for what they have in common."""
        return self.runs[0]

    @property
    def key(self) -> tuple[str | None, ...]:
        """Pair, schedule and data."""
        return (self.first["pair"], self.first["schedule"], self.first["data"])

    @property
    def title(self) -> str:
        """Of which detectors, schedule and data it is."""
        one = self.first
        teacher, student = (one.get(f"{who}_title") or one[who] or "unknown" for who in ("teacher", "student"))
        data = " ".join(filter(None, (one["data"] or "unknown data", one["split"])))
        parts = (f"{teacher} → {student}", one["schedule"], f"{data}, scale {one['scale'] or 'unknown'}", self.settings)
        return ", ".join(part for part in parts if part)

    @property
    def file_words(self) -> tuple[str | None, ...]:
        """What names its files."""
        one = self.first
        return (one["pair"], one["schedule"], f"{one['data']}-{one['scale']}", self.settings)


def groups_of(records: Sequence[Record], everything: Iterable[Record]) -> list[Group]:
    """The groups among some runs; smoke runs and runs without a result are in none.

    Args:
        records: Runs to show.
        everything: All runs, for the baselines.
    """
    known = {record["run"]: record for record in everything}
    found: dict[tuple, list[Record]] = {}
    for record in sorted(records, key=order):
        if record["mAP"] is not None and not record["smoke"] and record["role"] not in ("baseline", "teacher"):
            found.setdefault(tuple(record[key] for key in _SAME), []).append(record)
    groups = []
    for key, members in found.items():
        alike = [other for other in found if other[:5] == key[:5]]
        differing = [name for n, name in enumerate(_SAME) if name in _SHOWN and len({other[n] for other in alike}) > 1]
        settings = ", ".join(f"{_SHOWN[name]} {members[0][name]}" for name in differing if members[0][name] is not None)
        named = dict.fromkeys(record["baseline"] for record in members if record["baseline"])
        groups.append(Group(members, [known[run] for run in named if run in known], settings))
    return groups


def by_method(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Runs under the name of their loss and its knobs: the seeds of each together."""
    methods: dict[str, list[Record]] = {}
    for record in records:
        methods.setdefault(method_name(record), []).append(record)
    return methods


def over_seeds(records: Iterable[Record], name: str) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of a metric; None where it is not known, or for one seed.

    Args:
        records: Runs that differ in their seed.
        name: The metric's column.
    """
    values = [record[name] for record in records if record.get(name) is not None]
    if not values:
        return None, None
    return fmean(values), stdev(values) if len(values) > 1 else None


def best_of_each_loss(records: Sequence[Record], limit: int) -> list[tuple[str, list[Record]]]:
    """By loss the method with the highest mean mAP, the best first, at most so many.

    Args:
        records: Runs of one group.
        limit: Losses at most.
    """
    best: dict[str | None, tuple[float, str, list[Record]]] = {}
    for name, members in by_method(records).items():
        mean = over_seeds(members, "mAP")[0] or 0.0
        loss = members[0]["loss"]
        if loss not in best or mean > best[loss][0]:
            best[loss] = (mean, name, members)
    ranked = sorted(best.values(), key=lambda one: -one[0])
    return [(name, members) for _, name, members in ranked[:limit]]
