"""What a machine has and lacks: `pkdcli.doctor()` and `pkd doctor`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.cores import busy, cores
from pkdcli.errors import PkdError
from pkdcli.findings import GIB, Finding
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.request import ask_lines
from pkdcli.options import sort_keywords

if TYPE_CHECKING:
    import pandas as pd


class Findings(list[Finding]):
    """What was found, in the order in which it was looked at."""

    @property
    def ok(self) -> bool:
        """Whether nothing that is needed is missing."""
        return all(finding.ok is not False for finding in self)

    def frame(self) -> pd.DataFrame:
        """A row for each finding: what, found, ok (None: worth knowing), remedy."""
        import pandas as pd

        rows = [asdict(finding) for finding in self]
        return pd.DataFrame(rows, columns=["what", "found", "ok", "remedy"], dtype=object)

    def _repr_html_(self) -> str:
        """The findings as a table, for notebooks."""
        from pkdcli.runs.run import html_table

        marks = {True: "ok", False: "missing", None: "note"}
        rows = [[marks[one.ok], one.what, one.found, one.remedy] for one in self]
        return html_table(("", "what", "found", "remedy"), rows)


def doctor(**keywords: Any) -> Findings:
    """Say what this machine has (versions, devices, data, cache), what it lacks, and the remedy.

    Args:
        **keywords: There are none.

    Raises:
        PkdError: There is one all the same.
    """
    sort_keywords([], keywords)
    return Findings([*checks(), *_of_the_stack()])


def _of_the_stack() -> list[Finding]:
    """What torch sees, which a process of its own says: torch stays behind a process boundary."""
    found = []
    try:
        for line in ask_lines("pkdcli.engine.worker.doctor", {}, "the look at the stack"):
            found.append(Finding(**line))
    except PkdError as error:
        if not found:
            last = (error.hint or "no answer").splitlines()[-1]
            found.append(Finding("torch", "the stack does not start", False, last))
    return found


def checks() -> list[Finding]:
    """Python, packages, data, folders and weights."""
    return [_python(), _cores(), *_packages(), *_folders(), *_data()]


def _python() -> Finding:
    return Finding("python", sys.version.split()[0], sys.version_info >= (3, 10), "pkd needs Python 3.10 or newer.")


def _cores() -> Finding:
    found = cores()
    threads = os.environ.get("OMP_NUM_THREADS")
    set_by = f"; OMP_NUM_THREADS={threads}" if threads else ""
    load = busy(found)
    if load is None:
        return Finding("cores", f"{found}{set_by}", True)
    remedy = "Something else is at work: --threads 1 --workers 0 may be many times faster until it has ended."
    return Finding("cores", f"{found}, with a load of {load:.1f}{set_by}", None, remedy)


def _packages() -> Iterable[Finding]:
    from packaging.requirements import Requirement

    for text in requires("pkdcli") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Finding(requirement.name, "not installed", False, f'pip install "{requirement}"')
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        yield Finding(requirement.name, found, fits, "" if fits else f'pip install "{requirement}"')


def _folders() -> Iterable[Finding]:
    for what, named, variable in (("cache", cache_root, "PKD_CACHE"), ("runs", runs_root, "PKD_RUNS")):
        needed = f"Set {variable} to a folder with room that you may write to."
        try:
            folder = named()
        except PkdError as error:
            yield Finding(what, error.message, False, needed)
            continue
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not existing.is_dir():
            yield Finding(what, f"{folder}, but {existing} is a file", False, needed)
            continue
        free = shutil.disk_usage(existing).free / GIB
        writable = os.access(existing, os.W_OK)
        enough = free >= 1
        remedy = "" if writable and enough else needed
        text = f"{folder}, {free:.0f} GiB free" if writable else f"{folder}, not writable"
        yield Finding(what, text, writable and enough, remedy)


def _data() -> Iterable[Finding]:
    from pkdcli.recipe.library import load_all
    from pkdcli.recipe.resolve import load_data

    for recipe in load_all("datasets"):
        data = load_data(recipe.name)
        if data.generator:
            yield Finding(f"data {data.name}", "embedded; drawn on first use", True)
            continue
        files = [part.annotations for split in (data.train, data.val) for part in split.parts]
        absent = [path for path in files if not Path(path).is_file()]
        found = "there" if not absent else f"not at {Path(absent[0]).parent.parent}"
        yield Finding(f"data {data.name}", found, True if not absent else None, data.get if absent else "")
