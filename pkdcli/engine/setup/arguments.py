"""Arguments that were another type's: of a section whose `type` was set, those that its new type does not take.

`--set config.optim_wrapper.optimizer.type=AdamW` leaves SGD's momentum beside it. Which arguments a type takes is told
by its signature, so this is done where the types are known: in the process that builds them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from pkdcli.errors import PkdError, nearest
from pkdcli.recipe.schema import Recipe

# What mmengine itself takes out of a section before it builds the rest.
_MMENGINES = {"type", "_scope_", "convert_to_iter_based", "priority", "constructor", "optimizer", "paramwise_cfg"}
_MMENGINES |= {"init_cfg"}


def drop_foreign(config: dict[str, Any], recipe: Recipe) -> list[str]:
    """Take arguments out of a run's config that a type which was set does not take, but for those that were set too.

    Args:
        config: Of `build_config`; changed in place.
        recipe: Says what was set.

    Returns:
        What was left out, a sentence for each section.

    Raises:
        PkdError: A type that was set, and that no registry knows.
    """
    said = []
    for name, where, sets in _settings(recipe):
        for path in [path for path in sets if path.split(".")[-1] == "type" and "." in path]:
            parent = path.rpartition(".")[0]
            section = _at(config, [*where, *parent.split(".")])
            kind = _class(section.get("type"), f"{name}.{path}") if isinstance(section, dict) else None
            taken = arguments(kind) if kind is not None else None
            if taken is None:
                continue
            given = {key[len(parent) + 1 :].split(".")[0] for key in sets if key.startswith(f"{parent}.")}
            foreign = [key for key in section if key not in taken | _MMENGINES | given]
            for key in foreign:
                del section[key]
            if foreign:
                left = ", ".join(foreign)
                said.append(f"{name}.{path}={section['type']}: {kind.__name__} takes no {left}: left out.")
    return said


def _settings(recipe: Recipe) -> Iterator[tuple[str, list[str], Mapping[str, Any]]]:
    """What was set: how it is called, below which keys of the config it lies, and the keys with their values."""
    yield "config", [], recipe.config
    distilled = recipe.teacher is not None
    yield "student.set", ["model", "architecture"] if distilled else ["model"], recipe.student.set
    if distilled:
        yield "teacher.set", ["model", "teacher"], recipe.teacher.set


def _at(node: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            node = node.get(part) if isinstance(node, dict) else None
    return node


def _class(name: Any, where: str) -> type | None:
    """The class that a type names in any of mmdet's registries, or the ones above them; None for a function.

    Raises:
        PkdError: No registry knows it.
    """
    from mmdet import registry
    from mmengine.registry import Registry

    registries = [one for one in vars(registry).values() if isinstance(one, Registry)]
    found = [kind for one in registries if (kind := one.get(str(name))) is not None]
    if not found:
        known = {key for one in registries for level in (one, one.parent) if level for key in level.module_dict}
        guess = nearest(str(name), known)
        hint = f"Did you mean {guess!r}?" if guess else "Name the module that registers it in `imports`."
        raise PkdError(f"{where}: no registry of mmdet's knows the type {name!r}.", hint)
    return next((kind for kind in found if inspect.isclass(kind)), None)


def arguments(kind: type) -> set[str] | None:
    """The names of the arguments that a class takes; None where it takes any.

    A class that hands `**kwargs` on is taken to hand them to the next class above it.
    """
    names: set[str] = set()
    for one in kind.__mro__:
        if "__init__" not in vars(one) or one in (object, nn.Module):
            continue
        parameters = list(inspect.signature(one.__init__).parameters.values())[1:]
        names |= {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):
            return names
    return None
