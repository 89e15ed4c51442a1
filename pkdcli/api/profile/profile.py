"""How large and how fast detectors are: `pkdcli.profile()` and `pkd profile`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pkdcli.api.benchmark import size
from pkdcli.api.options.deploy import ProfileOptions
from pkdcli.api.profile.subjects import Subject, subjects
from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.outcome import Watcher, unheard
from pkdcli.options import Only, OutputOptions
from pkdcli.runs.paths import RunPaths

if TYPE_CHECKING:
    import pandas as pd

_Where = Annotated[OutputOptions, Only("runs", "dry_run")]
INSTALL = "pip install 'pkdcli[export]'"
COLUMNS = (
    *("detector", "role", "of", "mAP", "parameters", "gflops", "gmacs", "weights_mb", "image", "images"),
    *("device", "device_name", "runtime", "threads", "batch", "latency_ms", "low_ms", "high_ms", "images_per_second"),
    *("rounds", "peak_memory_mb", "file_mb"),
)
"""The columns of a profile's data frame: a row for each detector, device and runtime."""


@dataclass
class Profile:
    """What was measured.

    Attributes:
        subjects: The detectors, each teacher behind the first of its students.
        machine: cpu, cores, threads, gpu, load, torch, python; None where nothing was measured.
        notes: What could not be measured, and why.
    """

    subjects: list[Subject]
    machine: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each detector, device and runtime, with the keys `COLUMNS`."""
        return [one.row(row) for one in self.subjects for row in one.rows]

    def verdicts(self) -> list[str]:
        """A line for each student that has a teacher: `4.0x smaller, 2.3x faster, -2.1 mAP`."""
        return [
            f"{one.of}: {against(one, self.subjects[one.teacher])}"
            for one in self.subjects
            if one.teacher is not None
        ]

    def record(self) -> dict[str, Any]:
        """All of it as plain data, as `pkd profile --json` prints it."""
        return {
            **{"schema": 1, "machine": self.machine, "rows": self.rows(), "verdicts": self.verdicts()},
            "notes": self.notes,
        }

    def frame(self) -> pd.DataFrame:
        """The rows as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=list(COLUMNS))

    def _repr_html_(self) -> str:
        """The rows as a table, for notebooks."""
        return self.frame().to_html(index=False, na_rep="", float_format="{:.4g}".format)


def profile(
    options: ProfileOptions,
    output: _Where,
    *,
    say: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
) -> Profile:
    """Count parameters and operations of detectors, and time them on this machine: teacher and student side by side.

    What is measured of a run is kept in its folder, as profile.json, for `pkd report --columns` and its plot tradeoff.

    Args:
        options: Which detectors, and how.
        output: Where runs are; a dry run only finds out what would be measured.
        say: Called with each line that a user should read.
        watcher: Told of what is being done.

    Raises:
        PkdError: Nothing of that name, weights that don't fit, a device or a package that is not there.
    """
    from pkdcli.launch.request import ask_lines

    tell, watcher = say or unheard, watcher or Watcher()
    image = size(options.size, "--size")
    if options.onnx:
        _check_packages()
    found = Profile(subjects(options, output, watcher))
    if output.dry_run:
        return found
    request = {
        "models": [
            {"recipe": one.recipe.model_dump(mode="json"), "weights": str(one.weights) if one.weights else None}
            for one in found.subjects
        ],
        **{"devices": list(options.device), "batch": options.batch, "threads": options.threads, "image": image},
        **{"repeat": options.repeat, "onnx": options.onnx},
    }
    # PyTorch chooses the threads where nobody else does.
    env = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    asked = ask_lines("pkdcli.engine.profile.profile", request, "the profile", env)
    with ExitStack() as shown, closing(asked) as lines:
        shown.enter_context(watcher.doing("starting ..."))
        for line in lines:
            if "doing" in line:
                shown.close()
                shown.enter_context(watcher.doing(f"{line['doing']} ..."))
            elif "machine" in line:
                found.machine = line["machine"]
            elif "note" in line:
                found.notes.append(line["note"])
            elif "size" in line:
                one = found.subjects[line["place"]]
                one.size = line["size"]
                if one.size["why"]:
                    found.notes.append(f"the operations of {one.title} can't be counted: {one.size['why']}")
            else:
                found.subjects[line["place"]].rows.append(line["row"])
    for note in found.notes:
        tell(f"note: {note}")
    _keep(found, tell)
    return found


def against(student: Subject, teacher: Subject) -> str:
    """How a student compares with its teacher: parameters, latency on the first device, mAP.

    Args:
        student: Measured.
        teacher: Measured with it.
    """
    parts = [_times(teacher.size["parameters"], student.size["parameters"], "smaller", "larger", "as large")]
    if student.rows and teacher.rows:
        first = student.rows[0]
        parts.append(_times(teacher.rows[0]["latency_ms"], first["latency_ms"], "faster", "slower", "as fast"))
    if student.mAP is not None and teacher.mAP is not None:
        parts.append(f"{round(student.mAP - teacher.mAP, 1) + 0.0:+.1f} mAP")
    return ", ".join(parts)


def _times(theirs: float, mine: float, less: str, more: str, equal: str) -> str:
    """`2.3x faster`, `1.2x slower`, or `as fast`, for a number of which less is better."""
    ratio = theirs / max(mine, 1e-12)
    if f"{ratio:.1f}" == "1.0":
        return equal
    return f"{ratio:.1f}x {less}" if ratio > 1 else f"{1 / ratio:.1f}x {more}"


def _check_packages() -> None:
    absent = [package for package in ("onnx", "onnxscript", "onnxruntime") if find_spec(package) is None]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        raise PkdError(f"--onnx needs {', '.join(absent)}, which {are} not installed.", f"Type: {INSTALL}",
                       ExitCode.MISSING)  # fmt: skip


def _keep(found: Profile, tell: Callable[[str], None]) -> None:
    """Leave what was measured of runs in their folders; one that can't be written costs no measurement."""
    from pkdcli.runs.profiles import keep
    from pkdcli.runs.status import now

    kept: dict[Path, tuple[RunPaths, list[dict[str, Any]]]] = {}
    for one in found.subjects:
        for paths in one.paths:
            own = one.weights is not None and one.weights.parent == paths.root
            rows = [{"model": "student" if own else "teacher", **one.row(row), "measured": now()} for row in one.rows]
            kept.setdefault(paths.root, (paths, []))[1].extend(rows)
    for paths, rows in kept.values():
        try:
            keep(paths, rows)
        except PkdError as error:
            tell(f"warning: {paths.profile} was not written: {error.message}")
