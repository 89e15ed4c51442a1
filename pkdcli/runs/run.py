"""A run as an object: what a notebook asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import METRICS, number_of
from pkdcli.runs.store import read_jsonl, read_object

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from pkdcli.recipe.schema import Recipe


@dataclass(frozen=True)
class Run:
    """One run: a folder whose files are read when they are asked for.

    It can be pickled, and costs nothing until something is asked of it.

    Attributes:
        paths: Its files, by name: `run.paths.log`, `run.paths.student`.
        state: queued, running, done, failed or interrupted, as `pkd status` says, when this object was made.
        reason: Why it waits, failed or was interrupted; None where there is nothing to say.
        where: The machine, process or job that has or had it; None where it has not begun.
    """

    paths: RunPaths
    state: str
    reason: str | None = field(default=None, compare=False)
    where: str | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """The run's id, which is the name of its folder."""
        return self.paths.run

    @property
    def name(self) -> str:
        """The same as `id`."""
        return self.id

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.paths.root

    @property
    def done(self) -> bool:
        """Whether it has a result."""
        return self.state == "done"

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe: all that is needed to repeat the run.

        Raises:
            PkdError: It can't be read.
        """
        from pkdcli.recipe.modules.copies import read_recipe

        return read_recipe(self.paths.recipe)

    @property
    def status(self) -> dict[str, Any]:
        """What status.json says now: phase, epoch, loss, speed, error; empty where there is none."""
        return read_object(self.paths.status)

    @property
    def result(self) -> dict[str, Any]:
        """What result.json says: metrics, times, what the run was; empty where it is not there yet."""
        return read_object(self.paths.result)

    @property
    def metrics(self) -> dict[str, float | None]:
        """The six COCO metrics of the last evaluation, in AP points (0 to 100); None where there is none."""
        found = self.result.get("metrics")
        return {name: number_of(found.get(name)) if isinstance(found, dict) else None for name in METRICS}

    def metrics_frame(self) -> pd.DataFrame:
        """The six metrics as a frame of one row, whose index is the run's id."""
        import pandas as pd

        return pd.DataFrame([self.metrics], index=pd.Index([self.id], name="run"), dtype=float)

    def history(self) -> pd.DataFrame:
        """What the run wrote while it trained: a row for each record of metrics.jsonl, in order.

        `kind` says what a row is: `train` (losses, learning rate), `val` (metrics in AP points) or `levels`
        (what was measured of each distilled level); `iter` is its step. What a record does not have is NaN.
        """
        import pandas as pd

        records = list(read_jsonl(self.paths.metrics))
        return pd.DataFrame(records, columns=None if records else ["kind", "iter"])

    def log(self, lines: int | None = None) -> str:
        """What the run printed.

        Args:
            lines: Only so many of the last lines.

        Raises:
            PkdError: It has no log yet.
        """
        try:
            text = self.paths.log.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise PkdError(f"{self.id} has no log yet: it is {self.state}.", self.reason, ExitCode.MISSING) from error
        return text if lines is None else "".join(text.splitlines(keepends=True)[-lines:] if lines else [])

    def load_model(self, device: str = "cpu") -> nn.Module:
        """The run's detector with its weights, in evaluation mode, as mmdet's `inference_detector` takes it.

        This imports torch and mmdet, which takes seconds the first time.

        Args:
            device: Where the model shall be: `cpu`, `cuda:0`.

        Raises:
            PkdError: The run is not finished, or its weights don't fit.
        """
        from pkdcli.engine.analysis.load_model import load_model  # the one way from here to torch, taken on demand

        return load_model(self.paths, self.recipe, device)

    def __repr__(self) -> str:
        mAP = self.metrics["mAP"]
        return f"Run({self.id!r}, {self.state}{'' if mAP is None else f', mAP {mAP:.1f}'})"

    def _repr_html_(self) -> str:
        """The run as a small table, for notebooks."""
        return html_table(("run", "state", *METRICS), [html_row(self)], self.reason)


def html_row(run: Run) -> list[str]:
    """The cells of a run in a notebook's table: its id, its state, its six metrics."""
    values = run.metrics.values()
    return [run.id, run.state, *("" if value is None else f"{value:.1f}" for value in values)]


def html_table(columns: tuple[str, ...], rows: list[list[str]], note: str | None = None) -> str:
    """A plain HTML table; whatever stands in it is escaped.

    Args:
        columns: The headings.
        rows: Cells, as many as there are headings.
        note: A line below.
    """
    from html import escape  # which only notebooks need

    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    below = f"<p>{escape(note)}</p>" if note else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"
