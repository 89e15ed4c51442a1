"""Read a config: a program of mmdet's or of the user's, which is run for that, with the user's rights."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from pkdcli.compat.grammars import allow_damaged
from pkdcli.errors import PkdError, nearest
from pkdcli.folders import libraries_cache
from pkdcli.recipe.configs.files import configs_root
from pkdcli.recipe.configs.text import SECTIONS

_WHOLE = "A detector's config is a whole one, as mmdet trains it."
_WRAPPERS = {"detector": "detector", "architecture": "student", "student": "student"}
"""Keys of a model around a detector (semi-supervised, tracking, distillation), and what each holds."""


class _Kept(NamedTuple):
    """What a config of the user's said.

    Attributes:
        hashes: Of the file and of those that it inherits from, by their paths. Of one that imports its types
            (`with read_base()`) these are not known, and neither are modules that a config imports.
        content: The whole config.
    """

    hashes: dict[str, str]
    content: dict[str, Any]


_MMDETS: dict[Path, dict[str, Any]] = {}
"""Configs of mmdet's that this process has read."""
_OWN: dict[Path, _Kept] = {}
"""Configs of the user's that the present command has run."""


def forget_own() -> None:
    """Run the user's configs again when they are next asked for: another command begins, and files may have changed."""
    _OWN.clear()


@cache
def _config_class() -> Any:
    """mmengine's Config, imported such that yapf, which it imports, does not write into the user's home."""
    allow_damaged()
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(libraries_cache())
    try:
        from mmengine.config import Config
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before
    return Config


def read_config(path: Path, where: str) -> dict[str, Any]:
    """A whole config as plain nested dicts, the caller's own. Modules that it asks to import are not imported here.

    It is a program, which may print, count or take its time, so a command runs it once, however often it is asked for.

    Args:
        path: The file.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: It can't be read (with file and line), is no detector's, or lacks a section.
    """
    if path.is_relative_to(configs_root()):
        if path not in _MMDETS:
            _MMDETS[path] = _run(path, where)[0]
        return _plain(_MMDETS[path], lazy=False)
    kept = _OWN.get(path)
    if kept is None or any(_sha256(file) != known for file, known in kept.hashes.items()):
        content, files = _run(path, where)
        kept = _OWN[path] = _Kept({file: _sha256(file) for file in files}, content)
    return _plain(kept.content, lazy=False)


def _sha256(file: str) -> str:
    """The hash of a file; empty where it can't be read."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def _run(path: Path, where: str) -> tuple[dict[str, Any], list[str]]:
    """What `read_config` returns, by running the file; and which files that were."""
    from pkdcli.compat import quiet_setuptools

    config = _config_class()
    try:
        # A file of the user's may print: stdout is for what a command answers.
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            quiet_setuptools()  # `_base_ = ["mmdet::..."]` makes mmengine import pkg_resources
            read = config.fromfile(str(path), import_custom_modules=False)
            content = _plain(read.to_dict(), lazy=bool(read._imported_names))
    except PkdError:
        raise
    except (Exception, SystemExit) as error:  # a config is Python: anything can go wrong in a user's own
        raise _unreadable(path, where, error) from error
    _refuse_others(content, path, where)
    missing = [key for key in SECTIONS if key not in content]
    if missing:
        raise PkdError(f"{where}: {path} has no {', '.join(missing)}.", _WHOLE)
    _refuse_incomplete(content, path, where)
    if isinstance(content["param_scheduler"], dict):  # mmengine takes one alone too
        content["param_scheduler"] = [content["param_scheduler"]]
    if isinstance(content.get("data_preprocessor"), dict):  # as mmengine's Runner hands it on
        content["model"].setdefault("data_preprocessor", content["data_preprocessor"])
    # mmengine puts the texts of all files behind each other, each below its path.
    inherited = [line for line in read.text.splitlines() if os.path.isabs(line) and Path(line).is_file()]
    return content, [str(path), *inherited]


def _plain(value: Any, lazy: bool) -> Any:
    """Plain dicts and lists; in configs that import their types, those of OpenMMLab by their registered names."""
    if isinstance(value, dict):
        found = {key: _plain(item, lazy) for key, item in value.items()}
        if lazy and isinstance(name := found.get("type"), str) and name.startswith(_REGISTERED):
            found["type"] = name.rpartition(".")[2]
        return found
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item, lazy) for item in value)
    return value


_REGISTERED = ("mmdet.", "mmcv.", "mmengine.", "torch.optim.")


def _refuse_others(content: dict[str, Any], path: Path, where: str) -> None:
    """Refuse a config that is no detector's, where that can be seen without building anything.

    Raises:
        PkdError: It has no model, or that of a classifier, a segmentor, or of something that holds a detector.
    """
    model = content.get("model")
    if isinstance(model, dict) and isinstance(model.get("backbone"), dict) and "decode_head" not in model:
        if isinstance(model.get("type"), str):
            return
        what = "its `model` has no `type`"
    elif not isinstance(model, dict):
        what = "it has no `model`" if "model" not in content else f"its `model` is a {type(model).__name__}, no dict"
    else:
        what = f"its `model` is a {model.get('type')}"
        held = next((key for key in _WRAPPERS if isinstance(model.get(key), dict)), None)
        if held is not None:
            raise PkdError(
                f"{where}: {path} is no config of a detector: {what} around one, its `{held}`.",
                f"Give the config of the {_WRAPPERS[held]} alone; of a checkpoint of the whole, pkd takes that part.",
            )
        what += ", with a `decode_head`" if "decode_head" in model else ", without a `backbone`"
    raise PkdError(
        f"{where}: {path} is no config of a detector: {what}.",
        "A detector's config has a `model` of mmdet's detectors, with `type` and `backbone`, and is a whole one, as "
        "mmdet trains it.",
    )


def _refuse_incomplete(content: dict[str, Any], path: Path, where: str) -> None:
    """Refuse sections of a training that are there and don't say what every training needs.

    Raises:
        PkdError: No optimizer with type and learning rate, no length, or schedulers without type.
    """
    optimizer = content["optim_wrapper"].get("optimizer") if isinstance(content["optim_wrapper"], dict) else None
    cfg = content["train_cfg"]
    schedulers = content["param_scheduler"]
    schedulers = [schedulers] if isinstance(schedulers, dict) else schedulers or []
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("type"), str) or "lr" not in optimizer:
        key, needs = "optim_wrapper.optimizer", "a dict with `type` and `lr`"
    elif not isinstance(cfg, dict) or not (cfg.get("max_epochs") or cfg.get("max_iters")):
        key, needs = "train_cfg", "a dict with `max_epochs` or `max_iters`"
    elif not all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in schedulers):
        key, needs = "param_scheduler", "a list of dicts with `type`"
    else:
        return
    raise PkdError(f"{where}: {path}: {key}: should be {needs}.", _WHOLE)


def _unreadable(path: Path, where: str, error: BaseException) -> PkdError:
    """The error for a config that can't be run, with the file and the line in it, which may be one it inherits from."""
    file, line = _place(error.__traceback__, path)
    text = str(error).strip()
    if isinstance(error, SyntaxError):
        text, line = str(error.msg), error.lineno
    first = next(iter(text.splitlines()), "no message").rstrip(".")
    at = f"{file}, line {line}" if line else str(file)
    inherited = f", from which {path} inherits" if file != path else ""
    hint = None
    if isinstance(error, FileNotFoundError) and (guess := _near(first)):
        hint = f"Did you mean {guess}?"
    elif isinstance(error, ModuleNotFoundError) and "please install" in first:
        package = first.split()[0]
        hint = f"Type: pip install {package}"
    elif isinstance(error, SyntaxError):
        hint = "A config is Python: mend that line."
    return PkdError(f"{where}: can't read {at}{inherited}: {type(error).__name__}: {first}.", hint)


def _place(trace: TracebackType | None, path: Path) -> tuple[Path, int | None]:
    """The config that was being run, and the line of its own that was the last one; mmengine's code counts as none."""
    file, line = path, None
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name in ("_file2dict", "_parse_lazy_import") and isinstance(
            name := frame.f_locals.get("filename"), str
        ):
            file, line = Path(name), None
        elif frame.f_code.co_filename == str(file) and frame.f_globals.get("__name__") != __name__:
            line = trace.tb_lineno
        trace = trace.tb_next
    return file, line


def _near(message: str) -> str | None:
    """The config of mmdet's that is most like the one that a message says is not there."""
    root = configs_root()
    found = next((word.strip("\"'.,") for word in message.split() if str(root) in word), None)
    if found is None:
        return None
    folder = Path(found).parent
    guess = nearest(Path(found).name, [one.name for one in folder.glob("*.py")])
    return f"mmdet::{folder.name}/{guess}" if guess else None
