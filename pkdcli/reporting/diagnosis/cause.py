"""What a rule says of a run: a cause, how sure that is, the numbers that speak for it, and what to type."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

NAMED = 0.5
"""Causes of this score or more are named: from here on a rule holds them for more likely than not."""


@dataclass(frozen=True)
class Evidence:
    """One number of a run beside that of good ones.

    Attributes:
        what: What was measured.
        here: Its value in this run.
        good: Its value in runs that went well, or what it should be.
    """

    what: str
    here: str
    good: str


@dataclass(frozen=True)
class Cause:
    """Why a run may be no better than it is.

    Attributes:
        key: A short name, as docs/diagnose.md has it.
        title: The cause in a sentence.
        score: 0 (nothing speaks for it) to 1 (certain).
        evidence: The numbers that speak for it.
        remedy: What to do about it.
        command: What to type; None where no command helps.
    """

    key: str
    title: str
    score: float
    evidence: list[Evidence] = field(default_factory=list)
    remedy: str = ""
    command: str | None = None

    @property
    def likely(self) -> bool:
        """Whether it is more likely than not, so that it is named."""
        return self.score >= NAMED

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "score": round(self.score, 3), "likely": self.likely}


Rule = Callable[["Facts"], "Cause | None"]
"""Looks at a run; None where nothing speaks for its cause, or where the run has not recorded what it would need."""


def ramp(value: float, none: float, sure: float) -> float:
    """0 at `none`, 1 at `sure` and beyond, linear between; either may be the larger.

    Args:
        value: What was measured.
        none: Where nothing speaks for the cause yet.
        sure: Where there is no doubt any more.
    """
    return min(1.0, max(0.0, (value - none) / (sure - none)))


def log_ramp(value: float, none: float, sure: float) -> float:
    """`ramp` over the logarithm, for what differs by factors; values must not be negative.

    Args:
        value: What was measured.
        none: As for `ramp`.
        sure: The same.
    """
    return ramp(math.log(max(value, 1e-30)), math.log(none), math.log(sure))


def text(value: float | None) -> str:
    """A number with three digits; a dash where there is none."""
    return "-" if value is None else f"{float(f'{value:.3g}'):g}"
