"""Checkpoints: read without running their code, loaded only where they fit, written so that stock mmdet reads them."""

from __future__ import annotations

import hashlib
import io
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from pkdcli.compat import activate
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import write_bytes

# Where a checkpoint holds a student beside other things (mmrazor's algorithms: architecture and teacher; mmdet's
# semi-supervised detectors: student and teacher), only the student is taken.
_STUDENTS = ("architecture.", "student.")
_SHOWN = 3  # keys of each kind that an error names


@dataclass
class LoadReport:
    """What became of each tensor; keys as in the model's `state_dict`.

    Attributes:
        loaded: Tensors copied into the model.
        missing: Tensors of the model that the checkpoint has not; the model keeps its own.
        unexpected: Tensors of the checkpoint that the model has not.
        mismatched: Tensors of both with different shapes, as (checkpoint's, model's); the model keeps its own.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    def counts(self) -> str:
        """One line, such as "12 loaded, 0 missing, 0 unexpected, 2 of another shape"."""
        return (
            f"{len(self.loaded)} loaded, {len(self.missing)} missing, {len(self.unexpected)} unexpected, "
            f"{len(self.mismatched)} of another shape"
        )


def load_state(path: str | Path) -> OrderedDict[str, torch.Tensor]:
    """The tensors of a checkpoint, on the CPU, by their names in the detector.

    Understands the files of mmengine, mmdet, mmrazor (only the student is taken), torchvision and Swin's authors, and
    those written from inside DistributedDataParallel.

    Raises:
        PkdError: The file is absent, damaged, not a checkpoint, or holds something that could run code.
    """
    path = Path(path)
    content = read_checkpoint(path)
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    state = OrderedDict()
    if isinstance(content, Mapping):
        state.update((key, value) for key, value in content.items() if isinstance(value, torch.Tensor))
        state._metadata = getattr(content, "_metadata", None)  # versions of the layers, by which they rename old keys
    if not state:
        raise PkdError(f"{path} holds no tensors by name: it is not a checkpoint.", _WANTED)
    return _student_of(state)


def classes_of(path: str | Path) -> list[str] | None:
    """The class names that a checkpoint of mmengine or mmdet carries, or None.

    Raises:
        PkdError: As `read_checkpoint`.
    """
    content = read_checkpoint(path)
    meta = content.get("meta") if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping):
        return None
    inner = meta.get("dataset_meta")
    for place in (inner if isinstance(inner, Mapping) else {}, meta):
        for key in ("classes", "CLASSES"):
            if isinstance(place.get(key), (list, tuple)) and place[key]:
                return [str(name) for name in place[key]]
    return None


_WANTED = "Give a checkpoint of mmengine, mmdet, mmrazor or torchvision: a .pth file with a state_dict."


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> Any:
    """All that a checkpoint holds, read without running its code and with its checksums verified.

    Args:
        path: The checkpoint.
        map_location: Where its tensors go, as in `torch.load`.

    Raises:
        PkdError: The file is absent, damaged, not a checkpoint, or holds something that could run code.
    """
    path = Path(path)
    activate()  # extends torch's allow-list by the few types that mmengine's checkpoints hold
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except FileNotFoundError as error:
        raise PkdError(f"there is no checkpoint {path}.", "Check the path.") from error
    except OSError as error:
        raise PkdError(f"can't read the checkpoint {path}: {error.strerror or error}.", "Check the path.") from error
    try:
        # torch.load does not look at the checksums inside the file, so a flipped bit would become a wrong weight.
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:
                    raise _damaged(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols that other programs write
            return torch.load(path, map_location=map_location, weights_only=True)
    except PkdError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # a broken file can make the unpickler fail in any way
        refused = _refused_global(str(error)) or next(_globals_of_a_bare_pickle(path), None)
        if refused is not None:
            raise PkdError(
                f"{path} was not loaded: it asks for {refused}, which a checkpoint of weights has no need of.",
                "Loading it could run code of whoever made the file. If you trust its source, load it with "
                "torch.load(..., weights_only=False), save its state_dict alone, and give that file.",
            ) from error
        # As torch's files start (zip, or pickle of protocol 2), or nothing at all.
        if start in (b"", b"PK\x03\x04") or start.startswith(b"\x80\x02"):
            raise _damaged(path) from error
        raise PkdError(f"{path} is not a checkpoint.", _WANTED) from error


def _damaged(path: Path) -> PkdError:
    return PkdError(
        f"the checkpoint {path} is damaged: part of it is missing or was changed after it was written.",
        "Delete it and download or copy it again.",
    )


def _refused_global(message: str) -> str | None:
    found = re.search(r"GLOBAL ([\w.]+)", message)
    return found and found.group(1)


def _globals_of_a_bare_pickle(path: Path) -> Iterator[str]:
    """What a pickle would import, read without running it; torch names it only for files of its own format."""
    strings: list[str] = []
    # Any bytes may turn up here; whatever can't be read as a pickle imports nothing.
    with suppress(Exception), open(path, "rb") as file:
        if file.read(2) == b"PK":  # a zip, whose letters happen to be opcodes
            return
        file.seek(0)
        for code, argument, _ in pickletools.genops(file):
            if code.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif code.name == "STACK_GLOBAL":
                yield ".".join(strings[-2:])
            elif isinstance(argument, str):
                strings.append(argument)


def _student_of(state: OrderedDict[str, torch.Tensor]) -> OrderedDict[str, torch.Tensor]:
    if all(key.startswith("module.") for key in state):
        state = _below(state, "module.")
    for prefix in _STUDENTS:
        if any(key.startswith(prefix) for key in state):
            return _below(state, prefix)
    return state


def _below(state: OrderedDict[str, torch.Tensor], prefix: str) -> OrderedDict[str, torch.Tensor]:
    """The part of a state dict under `prefix`, without it, and its layers' versions likewise."""
    metadata = getattr(state, "_metadata", None)
    part = OrderedDict((key[len(prefix) :], value) for key, value in state.items() if key.startswith(prefix))
    if metadata is not None:
        dotted = ((f"{key}.", value) for key, value in metadata.items())
        metadata = OrderedDict((key[len(prefix) : -1], value) for key, value in dotted if key.startswith(prefix))
    part._metadata = metadata
    return part


def load_into(
    model: nn.Module,
    path: str | Path,
    *,
    strict: Literal["exact", "resized-heads"],
    what: str,
    only: tuple[str, ...] = ("",),
) -> LoadReport:
    """Copy a checkpoint's tensors into a model of the same architecture.

    Args:
        model: The detector alone, not the algorithm around it.
        path: The checkpoint.
        strict: "exact": everything must fit. "resized-heads": layers whose first dimension alone differs, because they
            depend on the number of classes, keep the model's own values.
        what: What the model is, for the error: "teacher gfl101".
        only: How the names begin of the tensors that count; the model keeps its own of all others.

    Returns:
        What became of each tensor that counts.

    Raises:
        PkdError: The file can't be read (see `load_state`), or belongs to another architecture; then the model may
            already hold some of its tensors.
    """
    state = load_state(path)
    for key in [key for key in state if not key.startswith(only)]:
        del state[key]
    _copy(model, state)
    report = _compare(model, state, only)
    if _fits(model, report, strict):
        return report
    raise PkdError(
        f"{path} is a checkpoint of another architecture than {what}: {report.counts()}.", _explain(report, strict)
    )


def _copy(model: nn.Module, state: OrderedDict[str, torch.Tensor]) -> None:
    """Copy whatever fits; `state` is left with the names that the layers themselves give to keys of older versions.

    `nn.Module.load_state_dict` would raise on the first shape that differs, and hide the renaming.
    """
    metadata = getattr(state, "_metadata", None) or {}
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        module._load_from_state_dict(state, prefix, metadata.get(name, {}), True, [], [], [])


def _compare(model: nn.Module, state: Mapping[str, torch.Tensor], only: tuple[str, ...]) -> LoadReport:
    report = LoadReport()
    own = {key: value for key, value in model.state_dict().items() if key.startswith(only)}
    for key, value in own.items():
        if key not in state:
            report.missing.append(key)
        elif state[key].shape != value.shape:
            report.mismatched[key] = (tuple(state[key].shape), tuple(value.shape))
        else:
            report.loaded.append(key)
    report.unexpected = [key for key in state if key not in own]
    return report


def _fits(model: nn.Module, report: LoadReport, strict: str) -> bool:
    # Constants (such as the bins of GFL's integral) come from the constructor and are absent from some zoo files;
    # what was learned is not.
    learned = {name for name, _ in model.named_parameters()}
    learned |= {name for name, _ in model.named_buffers() if name.endswith(("running_mean", "running_var"))}
    if learned.intersection(report.missing):
        return False
    # mmdet 2 kept the moving averages of training (ema_...) among the weights.
    if any(not key.startswith("ema_") and not key.endswith("num_batches_tracked") for key in report.unexpected):
        return False
    if strict == "exact":
        return not report.mismatched
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    kept = sum(sizes.get(key, 0) for key in report.mismatched)
    return 2 * kept <= sum(sizes.values()) and _only_classes_differ(report)


def _only_classes_differ(report: LoadReport) -> bool:
    return all(theirs[1:] == ours[1:] and theirs and ours for theirs, ours in report.mismatched.values())


def _explain(report: LoadReport, strict: str) -> str:
    lines = []
    for label, keys in (
        ("In the model, not in the file", report.missing),
        ("In the file, not in the model", report.unexpected),
        ("Of another shape", [f"{key} {a} in the file, {b} in the model" for key, (a, b) in report.mismatched.items()]),
    ):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            lines.append(f"{label}: {', '.join(keys[:_SHOWN])}{more}.")
    if strict == "exact" and not report.missing and not report.unexpected and _only_classes_differ(report):
        lines.append("Only the number of classes differs: give a checkpoint trained on this data set's classes.")
    else:
        lines.append("Give a checkpoint of this architecture, or name the pair and scale that the checkpoint is of.")
    return "\n".join(lines)


def export_student(model: nn.Module, path: str | Path, meta: Mapping[str, Any]) -> None:
    """Write a detector's weights alone, so that stock mmdet loads them (`mmdet.apis.init_detector`).

    Args:
        model: The student, or the mmrazor algorithm around it, of which only the student is written.
        path: The file; it is replaced as a whole or not at all.
        meta: Goes into the file as plain Python values; `meta["dataset_meta"]["classes"]` names the classes.

    Raises:
        PkdError: The file can't be written (exit code 3).
    """
    meta = _plain(meta)
    meta["dataset_meta"]["classes"] = tuple(meta["dataset_meta"]["classes"])
    state = _student_of(model.state_dict())
    # A copy of each: a view would take its whole storage along into the file.
    weights = OrderedDict((key, value.detach().cpu().contiguous().clone()) for key, value in state.items())
    weights._metadata = getattr(state, "_metadata", None)
    # Through memory, because torch's own file writer turns "no space left" into a RuntimeError.
    buffer = io.BytesIO()
    torch.save({"meta": meta, "state_dict": weights}, buffer)
    write_bytes(Path(path), buffer.getvalue())


def _plain(value: Any) -> Any:
    """The same in types that `torch.load(weights_only=True)` accepts; what has no such form becomes its text."""
    if isinstance(value, (np.generic, np.ndarray, torch.Tensor)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else [_plain(one) for one in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value if value is None else str(value)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits.

    Raises:
        PkdError: The file can't be read (exit code 3).
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise PkdError(f"can't read {path}: {error.strerror or error}.", "Check the path.", ExitCode.MISSING) from error
    return digest.hexdigest()
