"""Which file a config is: one of mmdet's by its name, or one's own by its path. Found without mmdet or torch."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

from pkdcli.errors import ExitCode, PkdError, nearest


@cache
def configs_root() -> Path:
    """The folder of mmdet's configs, found without importing mmdet.

    Raises:
        PkdError: mmdet is not installed (exit code 3).
    """
    spec = importlib.util.find_spec("mmdet")
    root = Path(spec.submodule_search_locations[0]) / ".mim" / "configs" if spec else None
    if root is None or not root.is_dir():
        raise PkdError("mmdet's configs are not installed.", "pip install mmdet==3.3.0", ExitCode.MISSING)
    return root


@cache
def mmdet_configs() -> dict[str, str]:
    """mmdet's whole configs: each by its bare name, as it is named with its folder (`gfl/gfl_r50_fpn_1x_coco.py`)."""
    files = sorted(configs_root().glob("[!_]*/*.py"))
    return {path.stem: f"{path.parent.name}/{path.name}" for path in files if not path.stem.endswith("_tta")}


def full_name(word: str) -> str | None:
    """What mmdet calls a config of its own that is named with or without its folder and `.py`; None for another."""
    stem = word.removeprefix("mmdet::").removeprefix("configs/").removesuffix(".py")
    if "/" not in stem:
        return mmdet_configs().get(stem)
    if stem.startswith((".", "/", "~")) or not (configs_root() / f"{stem}.py").is_file():
        return None
    return f"{stem}.py"


def is_own(config: str) -> bool:
    """Whether a config is a file of the user's."""
    return Path(config).expanduser().is_absolute()


def beside(config: str, folder: Path, where: str) -> str:
    """A config as a recipe in `folder` names it: the absolute path of a file relative to it, or the name of mmdet's.

    Args:
        config: As the recipe names it.
        folder: The recipe's folder.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: It can be no config of mmdet's, and there is no such file.
    """
    path = folder / Path(config).expanduser()
    if path.is_file():
        return str(Path(os.path.normpath(path)))
    if (known := full_name(config)) is not None:
        return known
    if is_own(config) or "/" not in config or config.startswith("."):
        raise PkdError(
            f"{where}: there is no file {Path(os.path.normpath(path))}.",
            "A path in a recipe is relative to the recipe's own folder; a config of mmdet's is named with its own, as "
            "gfl/gfl_r50_fpn_1x_coco.py is.",
        )
    return config


def config_path(config: str, where: str = "config") -> Path:
    """The file of a config: mmdet's own by its relative name, or a path of the user's.

    Args:
        config: mmdet's own by its relative name, or the absolute path of a file.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: There is no such config; names the nearest in the same folder.
    """
    path = Path(config).expanduser()
    path = path if path.is_absolute() else configs_root() / config
    if path.is_file():
        return path
    if is_own(config):
        raise PkdError(f"{where}: there is no file {path}.", "Put it back, or correct the path.")
    siblings = [f"{path.parent.name}/{other.name}" for other in path.parent.glob("*.py")]
    guess = nearest(config, siblings) or nearest(Path(config).stem, mmdet_configs())
    raise PkdError(
        f"{where}: there is no mmdet config {config!r}.",
        f"Did you mean {guess!r}?" if guess else "Configs are named as in mmdet, such as gfl/gfl_r50_fpn_1x_coco.py; "
        "the path of one's own is relative to the recipe that names it.",
    )
