"""Why a student is no better: `pkdcli.diagnose()` and `pkd diagnose`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pkdcli.folders import cache_root
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, only
from pkdcli.runs.paths import RunPaths

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.reporting.diagnosis.rank import Diagnosis
    from pkdcli.reporting.table import Table

FORMATS = ("table", "md", "json")
_Output = Annotated[OutputOptions, Only("runs", "json", "quiet")]


@dataclass(frozen=True, kw_only=True)
class DiagnoseOptions:
    """Which run is diagnosed, and how closely.

    Attributes:
        name: An id, its beginning or a folder.
        look: Run both nets over a few images as well.
        images: How many of each split.
        format: table, md or json; None for what the file's name ends in, or table.
        output: A file instead of the terminal.
    """

    name: str = option(help="A run's id, its beginning or its folder.", metavar="RUN", argument=True)
    look: bool = option(False, "Also run teacher and student over a few images, which takes half a minute.")
    images: int = option(16, "For --look: images of the training and of the validation split each.", min=2, max=500)
    format: str | None = option(None, "table, md or json.", metavar="FORMAT", choices=FORMATS)
    output: Path | None = option(
        None, "Write to a file instead of the terminal.", names=("--output", "-o"), metavar="FILE"
    )


@dataclass(frozen=True)
class Diagnosed:
    """What came out.

    Attributes:
        found: The causes, the likeliest first.
    """

    found: Diagnosis

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong, as far as that can be told."""
        return self.found.healthy

    @property
    def line(self) -> str | None:
        """The likeliest cause in a line; None where nothing is wrong."""
        from pkdcli.reporting.diagnosis.tables import one_line

        return one_line(self.found)

    def tables(self) -> list[Table]:
        """The tables that `pkd diagnose` shows."""
        from pkdcli.reporting.diagnosis.tables import diagnosis_tables

        return diagnosis_tables(self.found)

    def record(self) -> dict[str, Any]:
        """All of it as plain data, as `--json` prints it: also what is unlikely, with its evidence."""
        return self.found.record()

    def frame(self) -> pd.DataFrame:
        """A row for each cause and piece of evidence: the likely causes first, then what was held for unlikely."""
        import pandas as pd

        rows = [
            {"cause": cause.key, "likely": cause.likely, "score": cause.score, "title": cause.title,
             **dict(zip(("evidence", "here", "good"), numbers, strict=True)), "command": cause.command}
            for cause in self.found.causes
            for numbers in [(one.what, one.here, one.good) for one in cause.evidence] or [("", "", "")]
        ]  # fmt: skip
        columns = ["cause", "likely", "score", "title", "evidence", "here", "good", "command"]
        return pd.DataFrame(rows, columns=columns).astype({"likely": bool})

    def _repr_html_(self) -> str:
        """What the command shows, for notebooks."""
        from html import escape

        from pkdcli.runs.run import html_table

        parts = []
        for table in self.tables():
            shown = html_table(tuple(table.columns), [row for section in table.sections for row in section])
            notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
            parts.append(f"<p><b>{escape(table.title)}</b></p>{shown}{notes}")
        return "".join(parts)


def diagnose(options: DiagnoseOptions, output: _Output, *, watcher: Watcher | None = None) -> Diagnosed:
    """Say why a run may be no better than it is: causes, the likeliest first, with evidence and what to type.

    Args:
        options: Which run.
        output: Where runs are.
        watcher: Told of what is being done.

    Returns:
        The causes.

    Raises:
        PkdError: The word means no run or several, the run has recorded nothing yet, or was only evaluated; with
            `look`, weights or images that are not there.
    """
    from pkdcli.reporting.diagnosis.facts import facts_of
    from pkdcli.reporting.diagnosis.rank import diagnosed

    paths, cache = only(options.name, all_runs(output.runs)), cache_root()
    facts = facts_of(paths, cache)
    if options.look:
        from pkdcli.api.diagnosis.look import look

        with (watcher or Watcher()).doing(f"looking at {paths.run} on {2 * options.images} images ..."):
            facts.look = look(paths, facts.recipe, cache, options.images)
    return Diagnosed(diagnosed(facts))


def ending(paths: RunPaths) -> str | None:
    """What `pkd train` ends with where something is wrong with a run; never an error, and None of a smoke run.

    Args:
        paths: A finished run.
    """
    with suppress(Exception):  # a training that went well must not end badly for what is said of it
        from pkdcli.reporting.diagnosis.facts import facts_of
        from pkdcli.reporting.diagnosis.rank import diagnosed

        facts = facts_of(paths, cache_root())
        return None if facts.smoke else Diagnosed(diagnosed(facts)).line
    return None
