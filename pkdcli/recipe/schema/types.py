"""Types of single values in a recipe, and the base of its sections."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Role = Literal["distill", "baseline", "teacher"]
Kind = Literal["one-stage", "two-stage"]
Init = Literal["scratch", "inherit"]
Training = Literal["paper", "own"]


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _levels(value: Any) -> str:
    """The pairing of levels in its one spelling: `index`, `stride`, or pairs such as `0:1,1:2`."""
    if value in ("index", "stride"):
        return value
    pairs = [part.split(":") for part in value.split(",")] if isinstance(value, str) else value
    try:
        if not pairs:
            raise ValueError
        return ",".join(f"{_index(student)}:{_index(teacher)}" for student, teacher in pairs)
    except (TypeError, ValueError):
        raise ValueError("should be index, stride, or student:teacher levels such as 0:1,1:2,2:3") from None


def _index(value: Any) -> int:
    if isinstance(value, bool) or not str(value).strip().isdecimal():
        raise ValueError
    return int(value)


def two_numbers(value: Any) -> Any:
    """What may be a range of pixels; its numbers are looked at behind this."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError("should be two numbers, the value of black and that of white, such as [0, 4095]")
    return value


def ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError("should be the value of black and then, higher, that of white, such as [0, 4095]")
    return value


Number = Annotated[float, AfterValidator(_finite)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0), AfterValidator(_finite)]
Share = Annotated[float, Field(gt=0, le=1)]
NonNegative = Annotated[float, Field(ge=0), AfterValidator(_finite)]
Count = Annotated[int, Field(ge=1)]
Levels = Annotated[str, BeforeValidator(_levels)]


class Strict(BaseModel):
    """A section of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
