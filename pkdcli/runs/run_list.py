"""Several runs, as `pkdcli.list_runs()` gives them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pkdcli.runs.record import METRICS
from pkdcli.runs.run import Run, html_row, html_table

if TYPE_CHECKING:
    import pandas as pd

_SETTINGS = ("role", "pair", "teacher", "student", "loss", "weight", "temperature", "schedule", "data", "scale", "seed")


class RunList(list[Run]):
    """A list of runs that notebooks show as a table, and that can be had as a data frame.

    Attributes:
        verdicts: Of a sweep that added seeds until it was decided: a row for each method, with `verdict`, `gain`,
            `gain_lower`, `gain_upper`, `p_value` and what else `pkdcli.report(verdict=True)` has; else empty.
    """

    def __init__(self, runs: Iterable[Run] = (), verdicts: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(runs)
        self.verdicts = list(verdicts)

    def frame(self) -> pd.DataFrame:
        """A row for each run: its id, its state, what it is, and the six metrics in AP points (NaN where unknown).

        `pkdcli.report()` has more columns, gains among them.
        """
        import pandas as pd

        rows = []
        for run in self:
            known = run.result or run.status
            what = {name: known.get(name) for name in _SETTINGS}
            rows.append({"run": run.id, "state": run.state, **what, **run.metrics})
        frame = pd.DataFrame(rows, columns=["run", "state", *_SETTINGS, *METRICS])
        numbers = ["weight", "temperature", "seed", *METRICS]
        frame[numbers] = frame[numbers].apply(pd.to_numeric, errors="coerce").astype(float)
        return frame

    def _repr_html_(self) -> str:
        """The runs as a table, for notebooks."""
        note = None if self else "no runs yet"
        return html_table(("run", "state", *METRICS), [html_row(run) for run in self], note)
