"""`--set a.b.c=value`: one field of a resolved recipe set to a value that is read as YAML."""

from __future__ import annotations

from typing import Any

import yaml

from pkdcli.errors import PkdError, nearest

# What a scale says of these is already carried out in a resolved recipe: setting them would change nothing.
CARRIED_OUT = {
    "adapters": "--levels index",
    "student.config_content": "--set student.config=FILE.py",
    "teacher.config_content": "--set teacher.config=FILE.py",
    "scale.batch": "--set batch=8",
    "scale.batch_per_process": "--batch-size 8",
    "scale.data": "--data NAME",
    "scale.lr": "--set student.lr=0.02",
    "scale.pretrained": "--no-pretrained",
    "scale.stat_chunk": "--set loss.stat_chunk=batch",
    "scale.val_interval": "--set val_interval=2",
    "scale.workers": "--set workers=0",
}
_WHY = {"scale": "the scale is carried out already", "adapters": "it follows from the levels that are compared"}
_WHY |= dict.fromkeys(("student", "teacher"), "it is what the detector's config says")


def assign(content: dict[str, Any], assignment: str) -> None:
    """Carry out one `--set a.b.c=value` on a resolved recipe; the value is read as YAML.

    Under `config`, `student.set`, `teacher.set` and `loss.params` the rest of the path is a key of its own.

    Args:
        content: A recipe's fields as nested dicts, changed in place.
        assignment: As typed behind `--set`.

    Raises:
        PkdError: No `=`, a key path that leads nowhere, with the nearest key, or one that would change nothing.
    """
    path, equals, text = assignment.partition("=")
    parts = path.strip().split(".")
    if not equals or not all(parts):
        raise PkdError(f"--set: {assignment!r} should look like a.b.c=value.", "Example: --set schedule.epochs=4")
    if not text.strip():
        raise PkdError(f"--set {path}: there is no value behind the =.", "Write null for none, '' for an empty text.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PkdError(f"--set {path}: {text!r} is not a YAML value.") from error
    if path.strip() in CARRIED_OUT:
        hint = f"Type instead: {CARRIED_OUT[path.strip()]}"
        raise PkdError(f"--set {path}: {_WHY[path.strip().split('.')[0]]}, so this would change nothing.", hint)
    node: Any = content
    for depth, part in enumerate(parts):
        here = ".".join(parts[:depth]) or "the recipe"
        if here in ("config", "student.set", "teacher.set", "loss.params"):
            node[".".join(parts[depth:])] = value
            return
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            key: Any = int(part)
        elif isinstance(node, dict) and (part in node or part == "config"):
            key = part
            if part == "config":
                node.setdefault("config", {})
        else:
            allowed = sorted(node) if isinstance(node, dict) else []
            guess = nearest(part, allowed)
            hint = (f"Did you mean {guess!r}? " if guess else "") + (
                f"Keys of {here}: {', '.join(allowed)}." if allowed else ""
            )
            raise PkdError(f"--set {path}: {here} has no key {part!r}.", hint or None)
        if depth == len(parts) - 1:
            node[key] = value
            return
        node = node[key]
