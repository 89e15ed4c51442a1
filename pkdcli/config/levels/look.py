"""The levels of a detector whose config does not tell them: a process of the engine looks, once for each section."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from pprint import pformat
from typing import Any

from pkdcli.config.levels.keys import Level, Look, Outputs
from pkdcli.errors import PkdError
from pkdcli.folders import cache_root
from pkdcli.recipe.references import Import
from pkdcli.runs.store import read_json, write_json

_FORMAT = 1  # of what is kept; to be counted up when the way of looking changes
_READ = ("type", "backbone", "neck")


def looker(imports: Sequence[Import] = ()) -> Look:
    """What `pairing` asks for levels that no config tells.

    Args:
        imports: The modules that a recipe names; a backbone of the user's own is in one of them.
    """
    return partial(look, imports=imports)


def look(model: Mapping[str, Any], who: str, imports: Sequence[Import] = ()) -> Outputs:
    """Run a detector's backbone and neck without weights, and say what comes out; read from the cache if it was done.

    Args:
        model: mmdet model section; its heads are not looked at.
        who: `student` or `teacher`, for errors.
        imports: Imported before it is built.

    Raises:
        PkdError: It has no backbone, can't be built or run, or puts out no feature maps; with the cause.
    """
    section = pformat(_plain({key: model.get(key) for key in _READ}), width=1000)
    kept = _place(section, imports)
    found = _read(read_json(kept))
    if found is None:
        from pkdcli.launch.request import ask

        request = {"model": section, "who": who, "imports": [one.model_dump() for one in imports]}
        answer = ask("pkdcli.engine.analysis.levels", request, f"looking at the levels of the {who}")
        found = _read(answer)
        if found is None:
            raise PkdError(f"the levels of the {who} ({model.get('type')}) can't be told: {json.dumps(answer)}.")
        with suppress(PkdError, OSError):  # a cache that nobody may write to costs time, nothing else
            write_json(kept, answer)
    return found


def _place(section: str, imports: Sequence[Import]) -> Path:
    """Where the answer is kept: by what the detector is built from."""
    parts = [_FORMAT, section, [[one.module, one.sha256] for one in imports], version("mmdet")]
    return cache_root() / "levels" / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"


def _read(answer: Any) -> Outputs | None:
    """The answer of the engine, or None where a file holds something else."""
    try:
        levels = [Level(stride and int(stride), int(channels)) for stride, channels in answer["levels"]]
        return Outputs(levels, str(answer["module"]), bool(answer["single"]))
    except (TypeError, KeyError, ValueError):
        return None


def _plain(node: Any) -> Any:
    """The section in dicts, lists, tuples and scalars alone, as Python's literals can hold it."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(one) for one in node)
    return node
