"""Detectors that are given by a config and not by a recipe: mmdet's by its name, one's own by its file.

What a recipe would say of them is read from the config.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.recipe.configs import full_name, is_own, mmdet_configs
from pkdcli.recipe.detectors.metafile import said_of
from pkdcli.recipe.detectors.read import load_config
from pkdcli.recipe.detectors.training import own_length, own_rate
from pkdcli.recipe.schema import Detector, Scale

LONGEST = 64
"""Characters of a name."""
_DEFAULT_RATE = 0.01  # of appendix A.2, where a config's own optimizer is none of its kind
_FULL_SIZE = Scale(name="paper", data="coco", image=(1333, 800), batch=16)
_TRACKERS = {"bytetrack", "deepsort", "mask2former_vis", "masktrack_rcnn", "ocsort", "qdtrack", "reid", "sort",
             "strongsort"}  # fmt: skip


def config_names(beginning: str = "") -> list[str]:
    """The names of mmdet's configs of detectors, for the shell; those of trackers are left out, by their folders.

    Args:
        beginning: With a slash, they have their folders.
    """
    try:
        known = mmdet_configs()
    except PkdError:  # mmdet is not installed
        return []
    kept = {name: config for name, config in known.items() if config.partition("/")[0] not in _TRACKERS}
    return [config.removesuffix(".py") for config in kept.values()] if "/" in beginning else list(kept)


def config_of_word(word: str) -> str | None:
    """The config that a word names: the absolute path of a file of the user's, or mmdet's name of its own.

    Args:
        word: `rtmdet_tiny_8xb32-300e_coco`, with or without its folder and `.py`; or the path of a `.py`, relative to
            the working folder.

    Returns:
        None where it names no config.
    """
    if word.endswith(".py"):
        path = Path(word).expanduser()
        if path.is_file():
            return os.path.normpath(path.absolute())
    return full_name(word)


def detector_of(config: str, where: str) -> Detector:
    """The recipe of a detector that is given by its config alone.

    Args:
        config: As `config_of_word` has it.
        where: What names it, for messages.

    Raises:
        PkdError: It can't be read, or describes no detector.
    """
    if config.startswith("_base_/"):
        raise PkdError(f"{where}: {config} is no config of a detector: it is a part that mmdet's configs are made of.",
                       "Name a whole one, such as gfl/gfl_r50_fpn_1x_coco.py.")  # fmt: skip
    whole = load_config(config, where)
    model = whole["model"]
    check_heads(model, f"{where}: {config}")
    stem = Path(config).stem
    title = None if is_own(config) else said_of(config).get("Name")
    return Detector(
        name=short(_spelt(stem)),
        title=title or stem,
        kind="two-stage" if model.get("roi_head") else "one-stage",
        config=config,
        lr=_rate(whole, config),
        mask=_has_masks(model),
    )


def check_heads(model: dict[str, Any], where: str) -> None:
    """Refuse the config of something with a backbone that finds no objects of classes.

    Args:
        model: The config's model section.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: It has no head, or one that only proposes regions.
    """
    heads = [key for key, part in model.items() if key.endswith("_head") and part]
    if not heads or heads == ["rpn_head"]:
        has = "only proposes regions" if heads else "has no head that finds objects"
        raise PkdError(
            f"{where} is no config of a detector: its `model`, a {model['type']}, {has}.",
            "Name a config whose model has a bbox_head, a roi_head or another that finds objects of classes.",
        )


def paper_schedule(config: dict[str, Any]) -> str:
    """The schedule of appendix A.2 that is nearest to a config's length: 2x from 24 epochs on, else 1x."""
    return "2x" if own_length(config) >= 24 else "1x"


def unknown_detector(word: str, known: Iterable[str], where: str | None = None) -> PkdError:
    """The error for a word that names neither a recipe of a detector nor a config.

    Args:
        word: What was typed.
        known: The names of recipes.
        where: File and key path that hold it, if a recipe does.
    """
    known = sorted(known)
    near = difflib.get_close_matches(word, known, 1, 0.7) or near_configs(word)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    hint += f"Allowed: {', '.join(known)}, the name of one of mmdet's configs, or a file (.yaml, .py)."
    file = " (there is no such file)" if word.endswith(".py") else ""
    return PkdError(f"{where + ': ' if where else ''}unknown detector {word!r}{file}.", hint)


def near_configs(word: str) -> list[str]:
    """Up to three of mmdet's configs whose names begin like a word, or else are like it."""
    stem, among = word.rpartition("/")[2].removesuffix(".py"), config_names()
    begins = [one for one in among if stem and one.startswith(stem)][:3]
    return begins or difflib.get_close_matches(stem, among, 3)


def short(name: str) -> str:
    """A name of at most 64 characters: a longer one is cut, and ends in a hash of the whole."""
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 7].rstrip('-_.+')}-{_six(name)}"


def pair_name(teacher: str, student: str) -> str:
    """The name of a pair that nobody has named: `teacher-student`, each cut to its share where that is too long.

    Args:
        teacher: The teacher's name.
        student: The student's.
    """
    whole = f"{teacher}-{student}"
    if len(whole) <= LONGEST:
        return whole
    left = LONGEST - 8  # for two dashes and the hash
    ours, theirs = len(student), len(teacher)
    most = max(left // 2, left - min(ours, theirs))
    cut = [name[:most].rstrip("-_.+") for name in (teacher, student)]
    return f"{cut[0]}-{cut[1]}-{_six(whole)}"


def _six(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()[:6]


def _spelt(stem: str) -> str:
    """A file's name in the letters that names of recipes have."""
    spelt = re.sub(r"[^a-z0-9.+_-]+", "-", stem.lower()).lstrip(".+_-")
    return spelt or f"config-{_six(stem)}"


def _rate(config: dict[str, Any], name: str) -> float:
    """A config's learning rate at 16 images, where its optimizer is that of appendix A.2."""
    optimizer = (config.get("optim_wrapper") or {}).get("optimizer") or {}
    plain = optimizer.get("type") == "SGD" and optimizer.get("lr")
    return own_rate(config, _FULL_SIZE, name) if plain else _DEFAULT_RATE


def _has_masks(model: dict[str, Any]) -> bool:
    """Whether a detector has a head for masks, within that for boxes in an RTMDet-Ins."""
    roi_head, bbox_head = (part if isinstance(part, dict) else {} for part in map(model.get, ("roi_head", "bbox_head")))
    within = str(bbox_head.get("type")).startswith("RTMDetIns")
    return bool(model.get("mask_head") or model.get("panoptic_head") or roi_head.get("mask_head") or within)
