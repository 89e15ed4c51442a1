"""A loss's parameters: default, range, meaning; and the check of a value against them. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from pkdcli.errors import PkdError


@dataclass(frozen=True)
class Parameter:
    """One parameter of a loss.

    Attributes:
        name: The keyword.
        default: The value without the keyword.
        kind: ``"number"``, ``"integer"``, ``"flag"``, ``"chunk"`` (None, ``"batch"`` or an integer) or ``"any"``.
        minimum: The smallest allowed value, itself allowed.
        maximum: The largest allowed value, itself allowed.
        summary: One line.
    """

    name: str
    default: Any
    kind: str = "number"
    minimum: float | None = None
    maximum: float | None = None
    summary: str = ""

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.kind == "flag":
            return "true or false"
        if self.kind == "chunk":
            return '"batch" or a whole number of images, 1 or more'
        words = {"integer": "a whole number", "number": "a finite number"}.get(self.kind, "any value")
        if self.minimum is not None and self.maximum is not None:
            return f"{words} from {self.minimum:g} to {self.maximum:g}"
        return words if self.minimum is None else f"{words}, {self.minimum:g} or more"


SHARED = {
    "weight": Parameter("weight", 1.0, minimum=0, summary="multiplies the loss (the paper's alpha)"),
    "stat_chunk": Parameter("stat_chunk", None, "chunk", 1, summary="images per chunk of statistics, or the batch"),
}


def checked(parameter: Parameter, value: Any) -> Any:
    """The value itself.

    Args:
        parameter: What is known of it: name, kind and range.
        value: As the user gave it.

    Raises:
        PkdError: A wrong type, NaN, infinite or out of range; names the parameter and the allowed values.
    """
    fits = {"flag": _is_flag, "chunk": _is_chunk, "integer": _is_whole, "number": _is_number}.get(parameter.kind)
    good = fits is None or fits(value)
    if good and isinstance(value, Real) and not isinstance(value, bool):
        good = (parameter.minimum is None or value >= parameter.minimum) and (
            parameter.maximum is None or value <= parameter.maximum
        )
    if not good:
        raise PkdError(f"loss parameter {parameter.name!r} cannot be {value!r}.", f"Allowed: {parameter.allowed}.")
    return value


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_chunk(value: Any) -> bool:
    return value is None or value == "batch" or _is_whole(value)
