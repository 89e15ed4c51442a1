"""Plug-ins: what other installed distributions add to pkd, by entry points of these groups.

They are listed from the metadata of what is installed, without importing any of them, and loaded where a name of
theirs is used. So a broken one costs nothing to who does not name it, and `pkd doctor` says what is wrong with it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import Any

from pkdcli.errors import ExitCode, PkdError

GROUPS = {
    "losses": "pkdcli.losses",
    "launchers": "pkdcli.launchers",
    "trackers": "pkdcli.trackers",
    "recipes": "pkdcli.recipes",
    "families": "pkdcli.detector_families",
}
"""The groups of entry points by what they offer."""
WORDS = {"losses": "loss", "launchers": "launcher", "trackers": "tracker", "recipes": "recipes",
         "families": "detector family"}  # fmt: skip


@dataclass(frozen=True)
class Plugin:
    """One entry point of a distribution.

    Attributes:
        kind: What it offers: a key of `GROUPS`.
        name: By which it is named.
        value: What it points to, `package.module:attribute`.
        distribution: The name of the distribution that has it, as pip knows it.
        version: Of the distribution.
    """

    kind: str
    name: str
    value: str
    distribution: str
    version: str

    @property
    def source(self) -> str:
        """The distribution, and the entry point in it."""
        return f"{self.distribution} {self.version} (entry point {self.name} = {self.value} of {GROUPS[self.kind]})"

    @property
    def remedy(self) -> str:
        """What to type where it is broken."""
        return f"Type: pip install --upgrade {self.distribution}; or be rid of it: pip uninstall {self.distribution}"

    def load(self) -> Any:
        """Import what the entry point names.

        Raises:
            PkdError: It can't be imported; says why, and in which file and line.
        """
        from importlib.metadata import EntryPoint

        try:
            with redirect_stdout(sys.stderr):  # stdout is for what a command answers
                return EntryPoint(self.name, self.value, GROUPS[self.kind]).load()
        except (Exception, SystemExit) as error:  # whatever code of others may raise
            raise self.broken(cause_of(error)) from error

    def broken(self, cause: str) -> PkdError:
        """The error for a plug-in that does not do what one of its kind has to.

        Args:
            cause: What is wrong with it, a sentence without its full stop.
        """
        return PkdError(
            f"{WORDS[self.kind]} {self.name!r} of the plug-in {self.source}: {cause}.",
            self.remedy,
            ExitCode.USAGE,
        )


@cache
def offered(kind: str) -> tuple[Plugin, ...]:
    """All plug-ins of a kind that are installed, in the order of their names; nothing is imported.

    Args:
        kind: A key of `GROUPS`.
    """
    from importlib.metadata import entry_points

    found = [
        Plugin(kind, one.name, one.value, one.dist.metadata["Name"], one.dist.version)
        for one in entry_points(group=GROUPS[kind])
        if one.dist is not None
    ]
    return tuple(sorted(set(found), key=lambda one: (one.name, one.distribution, one.value)))


def names(kind: str, taken: Iterable[str] = ()) -> list[str]:
    """The names that plug-ins of a kind have beside those of pkd's own, each once.

    Args:
        kind: A key of `GROUPS`.
        taken: Names of pkd's own.
    """
    return sorted({one.name for one in offered(kind)} - set(taken))


def find(kind: str, name: str, taken: Iterable[str] = ()) -> Plugin | None:
    """The plug-in of a kind and name; None where there is none.

    Args:
        kind: A key of `GROUPS`.
        name: As the entry point has it.
        taken: Names of pkd's own, which no plug-in may have.

    Raises:
        PkdError: Two of that name, or one of pkd's own has it too.
    """
    found = [one for one in offered(kind) if one.name == name]
    if len(found) + (name in taken and bool(found)) > 1:
        own = ["pkdcli itself"] if name in taken else []
        raise ambiguous(WORDS[kind], name, [*own, *(one.source for one in found)], found)
    return found[0] if found else None


def ambiguous(what: str, name: str, sources: Iterable[str], plugins: Iterable[Plugin]) -> PkdError:
    """The error for a name that several have: which of them is meant is not guessed.

    Args:
        what: What the word names, such as `loss`.
        name: The word.
        sources: Who has it, in words.
        plugins: Those of them that can be uninstalled.
    """
    lines = "\n".join(f"  {source}" for source in sources)
    distributions = list(dict.fromkeys(one.distribution for one in plugins))
    return PkdError(
        f"{what} {name!r} is not clear: these have that name:\n{lines}",
        f"Be rid of one: pip uninstall {distributions[-1]}"
        + (f" (or {', '.join(distributions[:-1])})" if distributions[:-1] else "")
        + "; or install a release of it with another name.",
    )


def changes(recorded: Iterable[Mapping[str, str]], run: str) -> list[str]:
    """What is to be said of a run whose plug-ins are not here in the versions that made it, each without a full stop.

    Args:
        recorded: `distribution` and `version` of each plug-in, as the run's env.json has them.
        run: Its name, or those of several.
    """
    said = []
    for distribution, before in {one["distribution"]: one["version"] for one in recorded}.items():
        now = installed(distribution)
        if now != before:
            here = f"is {now}" if now else "is not installed"
            back = f"`pip install {distribution}=={before}` brings that back"
            said.append(f"the plug-in {distribution} {here} here, and was {before} for {run}; {back}")
    return said


def installed(distribution: str) -> str | None:
    """The version of a distribution that is installed here; None where it is not."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def cause_of(error: BaseException) -> str:
    """An error with the file and line of code, other than the import system's, where it arose."""
    if isinstance(error, SyntaxError) and error.filename:
        where, text = f" ({error.filename}, line {error.lineno})", str(error.msg)
    else:
        frames = [one for one in traceback.extract_tb(error.__traceback__) if "importlib" not in one.filename]
        own = [one for one in frames if one.filename != __file__]
        where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
        text = next(iter(str(error).strip().splitlines()), "no message")
    return f"{type(error).__name__}: {text.rstrip('.')}{where}"
