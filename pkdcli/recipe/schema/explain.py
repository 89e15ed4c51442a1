"""What is wrong with the content of a recipe, from pydantic's errors to words for users."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from pkdcli.errors import nearest

_DICTIONARY = re.compile(r"a valid dictionary( or instance of \w+)?")


def explain(model: type[BaseModel], error: ValidationError, where: str) -> tuple[str, str | None]:
    """Turn pydantic's errors into (message, hint) for users: key path, allowed values, nearest match.

    Args:
        model: The class that the content was to become.
        error: What pydantic says of it.
        where: The file, for the message.
    """
    lines, hint = [], None
    for problem in error.errors():
        loc = [
            str(part) for part in problem["loc"] if not str(part).startswith(("function-", "literal[", "constrained"))
        ]
        # A list of sources is read as a split's `joined`, which nobody has written.
        key = ".".join(part for part in loc if part != "joined") or "(the whole)"
        if problem["type"] == "extra_forbidden":
            allowed = _keys_at(model, loc[:-1])
            guess = nearest(loc[-1], allowed)
            text = "unknown key" + (f"; did you mean {guess!r}?" if guess else "")
            hint = f"Allowed keys there: {', '.join(allowed)}." if allowed else hint
        elif problem["type"] == "missing":
            text = "is missing"
        else:
            text = problem["msg"].removeprefix("Value error, ").replace("Input should", "should")
            text = _DICTIONARY.sub("a mapping of keys to values", text)
            # Of scalars only: a few lines of YAML can stand for a list of a billion.
            scalar = isinstance(problem["input"], (str, int, float, bool))
            if loc and scalar and len(shown := repr(problem["input"])) < 80:
                text += f", not {shown}"
        line = f"{key}: {text}"
        if line not in lines:
            lines.append(line)
    if len(lines) == 1:
        return f"{where}: {lines[0]}{'' if lines[0].endswith('?') else '.'}", hint
    return f"{where}: {len(lines)} problems:\n" + "\n".join(f"  {line}" for line in lines), hint


def _keys_at(model: type[BaseModel], loc: list[str]) -> list[str]:
    """The keys allowed at a key path of a schema class; none where the path leaves it."""
    current: Any = model
    for part in loc:
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            return _written(current) if part.isdigit() else []
        current = _model_in(field.annotation)
    return _written(current)


def _written(model: Any) -> list[str]:
    """The keys of a class that people write; a split's `joined` is what a list of theirs is read as."""
    return sorted(key for key in getattr(model, "model_fields", {}) if key != "joined")


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None
