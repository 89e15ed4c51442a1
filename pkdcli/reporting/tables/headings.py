"""What a table of runs says beside its numbers: its title, the settings in which its runs differ, its notes."""

from __future__ import annotations

from pkdcli.runs.record import Record, plain

_VARYING = {"batch": "batch", "init": "init", "levels": "levels", "stat_chunk": "chunk", "training": "training",
            "seed": "seed", "n": "seeds"}  # fmt: skip
SMOKE_NOTE = "A smoke run evaluates few images: its AP shows that the code runs, and is compared with no whole run's."


def differing(records: list[Record]) -> dict[str, str]:
    """The settings, beyond those with a column of their own, in which the records differ: key -> heading."""
    extra = {}
    for key, heading in _VARYING.items():
        if len({record.get(key) for record in records} - {None}) > 1:
            extra[key] = heading
    if len({record.get("distill_until") for record in records if record["role"] not in ("baseline", "teacher")}) > 1:
        extra["distill_until"] = "taught until"
    epochs: dict[str | None, set] = {}
    for record in records:
        epochs.setdefault(record["schedule"], set()).add(record["epoch"])
    if any(len(values - {None}) > 1 for values in epochs.values()):
        extra["epoch"] = "epochs"
    if any(record["smoke"] for record in records):
        extra["smoke"] = "smoke run"
    if any(record.get("foreign") for record in records):
        extra["foreign"] = "imported from"
    shown = ("pair", "role", "loss", "weight", "temperature", "schedule", "student", "teacher", *extra)
    identities = [tuple(record.get(key) for key in shown) for record in records]
    if len(set(identities)) < len(identities):
        for record in records:
            record["id"] = str(record["run"]).rpartition("-")[2]
        extra["id"] = "id"
    return extra


def title_of(records: list[Record], extra: dict[str, str]) -> str:
    """What the runs of a table have in common: data, scale, batch, seed.

    Args:
        records: The runs of the table.
        extra: The settings in which they differ, which have columns of their own.
    """
    first = records[0]
    data = " ".join(filter(None, (first["data"] or "unknown data", first["split"])))
    parts = [data, f"scale {first['scale'] or 'unknown'}"]
    for key, heading in (("batch", "batch"), ("seed", "seed")):
        value = next((record[key] for record in records if record.get(key) is not None), None)
        if key not in extra and value is not None and not (key == "seed" and "seeds" in first):
            parts.append(f"{heading} {plain(value)}")
    if "seeds" in first:
        same = len({record["seeds"] for record in records}) == 1
        parts.append("mean ± standard deviation over seeds" + (f" {first['seeds']}" if same else ""))
    return ", ".join(parts)


def notes_of(notes: list[str], records: list[Record], paper: bool) -> list[str]:
    """The notes below a table, each once, with what is to be said of smoke runs and of published numbers.

    Args:
        notes: Those that its rows have.
        records: The runs of the table.
        paper: Whether published numbers stand beside.
    """
    notes = list(dict.fromkeys(notes))
    if any(record["smoke"] for record in records):
        notes.insert(0, SMOKE_NOTE)
    if paper and any(record["scale"] != "paper" or record["data"] != "coco" for record in records):
        notes.insert(0, "Published numbers are COCO val2017's at scale paper; beside other runs they only orient.")
    return notes
