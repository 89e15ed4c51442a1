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

from pkdcli.config.levels.keys import Level, Look, Named, Outputs
from pkdcli.errors import PkdError
from pkdcli.folders import cache_root
from pkdcli.recipe.references import Import
from pkdcli.runs.store import read_json, write_json

_FORMAT = 1  # of what is kept; to be counted up when the way of looking changes
_READ = ("type", "backbone", "neck")
_NOT_BUILT = ("train_cfg", "test_cfg", "data_preprocessor")  # of the whole detector
_LOOKS = "pkdcli.engine.analysis.levels"


def looker(imports: Sequence[Import] = ()) -> Look:
    """What `pairing` asks for levels that no config tells.

    Args:
        imports: The modules that a recipe names; a backbone of the user's own is in one of them.
    """
    return partial(look, imports=imports)


def look(models: Sequence[Named], imports: Sequence[Import] = ()) -> list[Outputs]:
    """Run detectors' backbones and necks without weights, and say what comes out; read from the cache where that is.

    Args:
        models: Their sections, with names for errors. Heads are not looked at, and are read only where an encoder is.
        imports: Imported before they are built.

    Raises:
        PkdError: One has no backbone, can't be built or run, or puts out no feature maps; with the cause.
    """
    models = [Named(*one) for one in models]
    sections = [pformat(_plain(_looked_at(one)), width=1000) for one in models]
    kept = [_place(section, one.tap, imports) for section, one in zip(sections, models, strict=True)]
    found = [_read(read_json(path)) for path in kept]
    missing = [number for number, one in enumerate(found) if one is None]
    if missing:
        from pkdcli.launch.request import ask

        names = [models[number].who for number in missing]
        request = {
            "models": [_asked(sections[number], models[number]) for number in missing],
            "imports": [one.model_dump() for one in imports],
        }
        what = f"looking at the levels of the {' and the '.join(names)}"
        for number, answer in zip(missing, ask(_LOOKS, request, what)["found"], strict=True):
            found[number] = _read(answer)
            with suppress(PkdError, OSError):  # a cache that nobody may write to costs time, nothing else
                write_json(kept[number], answer)
    return [one for one in found if one is not None]


def _looked_at(one: Named) -> dict[str, Any]:
    """What of a detector's section its levels depend on: all that builds an encoder, where one is tapped."""
    inside = (one.tap or "backbone").partition(".")[0] in _READ
    if inside or not isinstance(one.model.get("encoder"), Mapping):
        return {key: one.model.get(key) for key in _READ}
    return {key: value for key, value in one.model.items() if key not in _NOT_BUILT}


def _asked(section: str, one: Named) -> dict[str, str]:
    """One detector of a request to the engine."""
    return {"model": section, "who": one.who, **({"tap": one.tap} if one.tap else {})}


def _place(section: str, tap: str | None, imports: Sequence[Import]) -> Path:
    """Where the answer is kept: by what the detector is built from, and which of its modules was looked at."""
    parts = [_FORMAT, section, [[one.module, one.sha256] for one in imports], version("mmdet"), *([tap] if tap else [])]
    return cache_root() / "levels" / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"


def _read(answer: Any) -> Outputs | None:
    """The answer of the engine, or None where there is none, or a file that holds something else."""
    try:
        levels = [Level(stride and int(stride), int(channels)) for stride, channels in answer["levels"]]
        return Outputs(levels, str(answer["module"]), bool(answer["single"]), answer.get("sizes"))
    except (TypeError, KeyError, ValueError):
        return None


def _plain(node: Any) -> Any:
    """The section in dicts, lists, tuples and scalars alone, as Python's literals can hold it."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(one) for one in node)
    return node
