"""A diagnosis as tables, and as one line."""

from __future__ import annotations

from pkdcli.reporting.diagnosis.cause import Cause
from pkdcli.reporting.diagnosis.rank import Diagnosis
from pkdcli.reporting.table import Table, points, signed


def diagnosis_tables(found: Diagnosis) -> list[Table]:
    """A table for each named cause, with its evidence, its remedy and the command to type; or one that says healthy."""
    about = "" if found.mAP is None else f", mAP {points(found.mAP)}"
    about += "" if found.gain is None else f", {signed(found.gain)} over its baseline"
    causes = found.named
    if not causes:
        unlikely = [[one.key, f"{one.score:.2f}", one.title] for one in found.causes[:3] if one.score > 0]
        unlikely = unlikely or [["-", "-", "there is no sign of any"]]
        table = Table(f"{found.run}{about}: nothing is wrong with it", ["unlikely", "score", "what it would be"], 1,
                      [unlikely], notes=list(found.notes))  # fmt: skip
        table.words = len(table.columns)
        return [table]
    rows = [[str(place), one.key, f"{one.score:.2f}", one.title] for place, one in enumerate(causes, 1)]
    overview = Table(f"{found.run}{about}", ["", "cause", "score", "what may be wrong"], 4, [rows])
    overview.notes += found.notes
    return [overview, *(_of(cause, place) for place, cause in enumerate(causes, 1))]


def _of(cause: Cause, place: int) -> Table:
    rows = [[one.what, one.here, one.good] for one in cause.evidence]
    notes = [text for text in (cause.remedy, cause.command and f"$ {cause.command}") if text]
    return Table(f"{place}. {cause.key}", ["evidence", "this run", "good runs"], 3,
                 [rows], notes=notes)  # fmt: skip


def one_line(found: Diagnosis) -> str | None:
    """The likeliest cause in a line, and how to see the rest; None where nothing is wrong."""
    if found.healthy:
        return None
    first, more = found.named[0], len(found.named) - 1
    rest = f" (and {more} more)" if more else ""
    return f"something may be wrong: {first.title}{rest}; pkd diagnose {found.word or found.run}"
