"""mmengine's dumped configs, read as the literals they are: nothing in them is run."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

_LARGEST = 5_000_000  # characters


def read_config(path: Path) -> dict[str, Any]:
    """The names a config assigns at its top level; a value that is neither a literal nor a `dict(...)` is None.

    Raises:
        ValueError: Not Python, or longer than any config.
        OSError: It can't be read.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    if len(text) > _LARGEST:
        raise ValueError(f"{len(text)} characters are no config")
    try:
        module = ast.parse(text)
        names: dict[str, Any] = {}
        for statement in module.body:
            if isinstance(statement, ast.Assign):
                value = _value(statement.value, names)
                names.update({target.id: value for target in statement.targets if isinstance(target, ast.Name)})
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a Python config: {error}") from error
    return names


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [_value(item, names) for item in node.elts]
    if isinstance(node, ast.Dict):
        pairs = [(_value(key, names), _value(value, names)) for key, value in zip(node.keys, node.values) if key]  # noqa: B905
        return {key: value for key, value in pairs if isinstance(key, (str, int, float, bool))}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, names)
        return -value if isinstance(value, (int, float)) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {word.arg: _value(word.value, names) for word in node.keywords if word.arg}
    return None
