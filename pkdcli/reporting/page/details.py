"""What the page shows of one run: its settings, numbers, curves, environment, recipe and detections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pkdcli.reporting.page.beside import Job, packed_curves
from pkdcli.reporting.page.packed import Charts, PackedPanel
from pkdcli.reporting.page.samples import Samples
from pkdcli.reporting.plots.training import Read
from pkdcli.reporting.table import metric, points, signed
from pkdcli.reporting.tables.names import method_name
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import METRICS, Record, plain
from pkdcli.runs.store import read_object

MANY = 60  # from so many runs on, curves and detections are thinned
_FACTS = ("pair", "teacher", "student", "loss", "weight", "temperature", "schedule", "data", "split", "scale", "seed",
          "batch", "init", "levels", "stat_chunk", "training", "distill_until")  # fmt: skip
_TOP = re.compile(r"^(?=[^\s#-])", re.MULTILINE)


class Details:
    """All runs of the page, and what they share: images, detections, parts of recipes."""

    def __init__(self, records: Sequence[Record], everything: Sequence[Record], read: Read) -> None:
        """Take the runs to show, all runs (for baselines), and what gives the curves of a folder."""
        many = len(records) > MANY
        self._records = records
        self._known = {record["run"]: record for record in everything} | {one["run"]: one for one in records}
        points = 40 if many else 120
        jobs = [Job(record, self._known.get(record["baseline"]), points) for record in records]
        self._curves = packed_curves(jobs, read, beside=many)
        self._samples = Samples(15, 0.1) if many else Samples()
        self._parts: dict[str, int] = {}
        self._environments: dict[tuple[tuple[str, str], ...], int] = {}
        self._charts = Charts()
        self._panels: list[list[Any]] = []

    def all(self) -> list[dict[str, Any]]:
        """Each run as the template shows it; to be asked for once."""
        found = [self._one(record) for record in self._records]
        for one, panels in zip(found, self._curves(), strict=True):
            one["panels"] = self._place_of(panels)
        return found

    def shared(self) -> dict[str, Any]:
        """For the page's script, after `all`: images and sets of detections, parts of recipes, panels of curves."""
        return {**self._samples.shared(), "parts": list(self._parts), "panels": self._panels,
                "environments": list(self._environments), "charts": self._charts.shared()}  # fmt: skip

    def _place_in_all(self, environment: list[tuple[str, str]]) -> int | None:
        """The place of an environment, which many runs have in common; None where nothing is known of it."""
        return self._environments.setdefault(tuple(environment), len(self._environments)) if environment else None

    def _place_of(self, panels: list[PackedPanel | None]) -> int | None:
        """The place of a run's curves among those of all; None where it has none."""
        if not panels:
            return None
        self._panels.append([self._charts.put(panel) for panel in panels])
        return len(self._panels) - 1

    def _one(self, record: Record) -> dict[str, Any]:
        folder = record["path"] or ""
        paths = RunPaths(Path(folder))
        baseline = self._known.get(record["baseline"])
        status = read_object(paths.status)
        error = status.get("error") if isinstance(status.get("error"), dict) else {}
        env = read_object(paths.env)
        return {
            "run": record["run"],
            "state": record["state"] or "unknown",
            "title": method_name(record),
            "marks": [text for text in (record["smoke"] and f"smoke run: {record['smoke']}",
                                        record.get("foreign") and f"imported from {record['foreign']}") if text],
            "error": record["error"] or "",
            "hint": str(error.get("hint") or "") if record["state"] != "done" else "",
            "progress": _progress(record, status),
            "facts": [(key.replace("_", " "), plain(record[key])) for key in _FACTS if record[key] not in (None, "")],
            "costs": _costs(record),
            "metrics": _metrics(record, baseline),
            "classes": _classes(record, baseline),
            "warnings": [str(text) for text in status.get("warnings") or []],
            "env": self._place_in_all(_environment(env)),
            "command": str(env.get("command") or ""),
            "path": from_here(folder),
            "recipe": self._recipe(paths.recipe),
            "samples": self._columns(record, baseline),
        }  # fmt: skip

    def _columns(self, record: Record, baseline: Record | None) -> list[list[Any]]:
        """Heading and place of the set of teacher, baseline and the run itself, as far as they kept something."""
        where = (record["data"], record["split"])
        own = self._samples.of_run(record["path"], *where)
        columns: list[tuple[str, int | None]] = []
        if record["role"] not in ("baseline", "teacher"):
            title = record.get("teacher_title") or record["teacher"] or "teacher"
            columns.append((f"teacher {title}", self._samples.of_teacher(record["path"], *where)))
            columns.append(("baseline", self._samples.of_run(baseline["path"], *where) if baseline else None))
        columns.append((method_name(record), own))
        return [[name, place] for name, place in columns if place is not None]

    def _recipe(self, path: Path) -> list[int]:
        """The recipe's text as places of its top-level parts, most of which many runs have in common."""
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [self._parts.setdefault(part, len(self._parts)) for part in _TOP.split(text) if part]


def from_here(path: Path | str) -> str:
    """A path as seen from the current folder, if it lies below: a page tells no more of a machine than it must."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _progress(record: Record, status: dict[str, Any]) -> str:
    done, total = plain(record["epoch"]), plain(record.get("epochs"))
    text = f"epoch {done or 0} of {total}" if total else f"epoch {done}" if done else ""
    if record["state"] not in ("done", None) and isinstance(status.get("iter"), int) and status.get("iters"):
        text += f", iteration {status['iter']} of {status['iters']}"
    return text.removeprefix(", ")


def _costs(record: Record) -> list[tuple[str, str]]:
    known = []
    for key, label, form in (("seconds", "time", "{:.0f} s"), ("images_per_second", "training", "{:.1f} images/s"),
                             ("peak_memory_mb", "peak memory", "{:.0f} MiB")):  # fmt: skip
        if record[key] is not None:
            known.append((label, form.format(record[key])))
    return known


def _metrics(record: Record, baseline: Record | None) -> list[tuple[str, list[str]]]:
    """Rows of the six metrics and the gain: the teacher, the baseline, the run."""
    rows = []
    if any(record.get(f"teacher_{name}") is not None for name in METRICS):
        title = record.get("teacher_title") or record["teacher"] or ""
        rows.append((f"teacher {title}".strip(), [*(points(record[f"teacher_{name}"]) for name in METRICS), ""]))
    if baseline:
        rows.append(("baseline", [*(metric(baseline, name) for name in METRICS), ""]))
    if record["mAP"] is not None:
        rows.append((method_name(record), [*(metric(record, name) for name in METRICS), signed(record["gain"])]))
    return rows


def _classes(record: Record, baseline: Record | None) -> list[list[str]]:
    """Rows of AP by class: the class, the baseline's, the run's, the gain; none where nobody knows."""
    before = (baseline or {}).get("classes") or {}
    rows = []
    for name, value in (record.get("classes") or {}).items():
        known = None not in (value, before.get(name))
        gain = signed(value - before[name]) if known else ""
        rows.append([name, points(before.get(name)), points(value), gain])
    return rows


def _environment(env: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for key, value in env.items():
        if key == "command" or value in (None, [], {}):
            continue
        if isinstance(value, dict):
            rows += [(f"{key} {name}" if key != "versions" else name, str(one)) for name, one in value.items() if one]
        else:
            rows.append((key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return rows
