"""Choosing among the collected runs, and the mean over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pkdcli.errors import PkdError, nearest, unknown
from pkdcli.reporting.table import points
from pkdcli.runs.record import COLUMNS, METRICS, Record, plain

AVERAGED = (*METRICS, "gain", "baseline_mAP", *(f"teacher_{name}" for name in METRICS))

_GROUP = (
    *("pair", "teacher", "student", "role", "loss", "weight", "temperature", "schedule", "data", "scale", "split"),
    *("batch", "init", "levels", "stat_chunk", "training", "distill_until", "epoch", "experiment", "smoke", "foreign"),
)
_OF_THE_PAIR = ("pair", "teacher", "weight", "temperature", "init", "levels", "stat_chunk", "distill_until")

BEST_OF = ("pair", "teacher", "student", "role", "loss", "schedule", "data", "split", "scale", "batch", "training",
           "foreign")  # fmt: skip
"""What a group of `--best` shares where `--group-by` does not say."""

MEAN_COLUMNS = (
    *("pair", "teacher", "student", "role", "loss", "weight", "temperature", "schedule", "data", "scale"),
    *("seeds", "n"),
    *(column for name in (*METRICS, "gain", "baseline_mAP", "teacher_mAP") for column in (name, f"{name}_std")),
    *("split", "batch", "init", "levels", "stat_chunk", "training", "distill_until", "epoch", "smoke", "foreign"),
)
"""The columns of `--seeds mean --format csv`: `seeds` lists the seeds, `n` counts them."""


def parse_where(words: Iterable[str]) -> list[tuple[str, str]]:
    """`key=value` words as pairs.

    Raises:
        PkdError: A word without `=`, or a key that is no column.
    """
    pairs = []
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise PkdError(f"--where {word!r} is not of the form key=value.", "For example: --where scale=tiny.")
        if key not in COLUMNS:
            raise unknown("column", key, COLUMNS, where=f"--where {word}")
        pairs.append((key, value))
    return pairs


def choose(records: list[Record], conditions: list[tuple[str, str]]) -> list[Record]:
    """The runs that meet every condition; several on one key are alternatives.

    `pair` also chooses the baselines its runs are measured against, whatever pair they were asked for with. Numbers are
    compared as numbers: `weight=10.0` is `weight=10`.

    Args:
        records: All runs.
        conditions: Pairs of a column and a value.

    Raises:
        PkdError: No run at all has such a value.
    """
    wanted: dict[str, list[str]] = {}
    for key, value in conditions:
        wanted.setdefault(key, []).append(value)
    for key, values in wanted.items():
        present = [text for record in records if (text := plain(record[key]))]
        for value in values:
            if not any(_equal(text, value) for text in set(present)):
                raise _none_has(key, value, present)
    serving = {record["baseline"] for record in records if record["pair"] in wanted.get("pair", ())}
    kept = []
    for record in records:
        if all(
            (key == "pair" and record["run"] in serving) or any(_equal(plain(record[key]), value) for value in values)
            for key, values in wanted.items()
        ):
            kept.append(record)
    return kept


def without_smoke(records: list[Record]) -> list[Record]:
    """The runs without smoke runs, whose numbers say nothing beside whole ones; all where there is no whole one."""
    whole = [record for record in records if not record["smoke"]]
    return records if all(record["mAP"] is None for record in whole) else whole


def hidden(count: int, kind: str) -> list[str]:
    """The line that says of runs which are not shown; none where all are.

    Args:
        count: How many.
        kind: What they are, such as `smoke` or `failed`.
    """
    return [f"{count} {kind} run{'s' * (count != 1)} hidden: --all"] if count else []


def parse_group_by(words: Iterable[str]) -> tuple[str, ...]:
    """The columns that `--group-by` names, repeated or with commas between them.

    Raises:
        PkdError: No such column.
    """
    keys = [key.strip() for word in words for key in word.split(",")]
    for key in keys:
        if key not in COLUMNS:
            raise unknown("column", key, COLUMNS, where="--group-by")
    return tuple(dict.fromkeys(keys))


def grouped(records: list[Record], keys: Sequence[str]) -> list[tuple[str, list[Record]]]:
    """Records that share their values of some columns, each group with a name such as `loss mse, data shapes`.

    Groups stand in the order of their first records, and records in theirs.

    Args:
        records: Runs, in order.
        keys: The columns whose values a group shares.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        name = ", ".join(f"{key} {text}" if (text := plain(record[key])) else f"no {key}" for key in keys)
        groups.setdefault(name, []).append(record)
    return list(groups.items())


def best_of(records: list[Record], keys: Sequence[str] = ()) -> list[Record]:
    """Of each group the records with the highest mAP, as it is printed; ties stay together.

    Args:
        records: Runs, or means over seeds; those without mAP are left out, and so are smoke runs beside whole ones.
        keys: What a group shares; by default everything but the knobs of the loss, so that the best weight remains.
    """
    kept: list[Record] = []
    for _, members in grouped([record for record in records if record["mAP"] is not None], keys or BEST_OF):
        whole = [record for record in members if not record["smoke"]] or members
        most = max(float(points(record["mAP"])) for record in whole)
        kept += [record for record in whole if float(points(record["mAP"])) == most]
    return kept


def _none_has(key: str, value: str, present: list[str]) -> PkdError:
    values = [text for text, _ in Counter(present).most_common()]
    guess = nearest(value, values)
    hint = f"Did you mean {guess!r}? " if guess else ""
    shown = ", ".join(sorted(values[:20])) + (", ..." if len(values) > 20 else "")
    hint += f"The runs have: {shown}." if values else f"None states its {key}."
    return PkdError(f"no run here has {key} {value!r}.", hint)


def _equal(text: str, value: str) -> bool:
    if text == value:
        return True
    try:
        return float(text) == float(value)
    except ValueError:
        return False


def same_but_for_seed(record: Record) -> tuple:
    """What the runs of one experiment have in common, whatever their seeds."""
    # Whatever pair a baseline was asked for with, it is the same experiment.
    skipped = _OF_THE_PAIR if record["role"] == "baseline" else ()
    return tuple(None if key in skipped else record[key] for key in _GROUP)


def _repeated(identity: list[tuple], records: list[Record]) -> set[tuple]:
    counts = Counter(zip(identity, (record["seed"] for record in records), strict=True))
    return {key for (key, _), n in counts.items() if n > 1}


def mean_over_seeds(records: list[Record]) -> list[Record]:
    """One record per experiment: the mean of its finished runs over their seeds, and the standard deviation.

    The deviation is the sample's (n - 1), None for one seed. A mean is None where one of the seeds lacks the value: a
    gain is the mean over paired seeds, so without a baseline for each there is none. Runs with equal settings *and*
    equal seeds differ in something the records do not tell, so they stay apart, each its own row.
    """
    import pandas as pd

    done = [record for record in records if record["mAP"] is not None]
    if not done:
        return []
    frame = pd.DataFrame({name: [record[name] for record in done] for name in AVERAGED}, dtype=float)
    identity = [same_but_for_seed(record) for record in done]
    again = _repeated(identity, done)
    # A baseline run once for each of several pairs is no mystery: its pair tells them apart.
    identity = [(*i, r["pair"] if i in again else None) for i, r in zip(identity, done, strict=True)]
    again = _repeated(identity, done)
    # Groups are numbered here, since pandas would take None and NaN, or 1 and True, for one another.
    labels: dict[tuple, int] = {}
    numbers = [
        labels.setdefault((*i, r["run"] if i in again else None), len(labels))
        for i, r in zip(identity, done, strict=True)
    ]
    groups = frame.groupby(numbers, sort=True)
    size = groups.size()
    whole = groups.count().eq(size, axis=0)
    mean, std = groups.mean().where(whole), groups.std(ddof=1).where(whole)
    means = []
    for number in size.index:
        members = [record for record, label in zip(done, numbers, strict=True) if label == number]
        record = dict(members[0]) | {
            "n": len(members),
            "seeds": " ".join(plain(member["seed"]) for member in sorted(members, key=lambda m: m["seed"] or 0)),
            "seed": members[0]["seed"] if len(members) == 1 else None,
        }
        for name in AVERAGED:
            record[name] = None if pd.isna(mean.at[number, name]) else float(mean.at[number, name])
            record[f"{name}_std"] = None if pd.isna(std.at[number, name]) else float(std.at[number, name])
        means.append(record)
    return means
