"""Weights: copied into a model where they fit, written so that stock mmdet reads them."""

from __future__ import annotations

import io
import shlex
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.logging import print_log
from torch import nn

from pkdcli.engine.checkpoint.explain import reason, shapes_of, shares
from pkdcli.engine.checkpoint.names import as_named_by, foreign_prefix, without_wrappers
from pkdcli.engine.checkpoint.read import load_whole
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs import store
from pkdcli.runs.store import write_bytes

_SHOWN = 3  # keys of each kind that an error names


@dataclass
class LoadReport:
    """What became of each tensor; keys as in the model's `state_dict`.

    Attributes:
        loaded: Tensors copied into the model.
        missing: Tensors of the model that the checkpoint has not; the model keeps its own.
        unexpected: Tensors of the checkpoint that the model has not.
        mismatched: Tensors of both with different shapes, as (checkpoint's, model's); the model keeps its own.
        part: What part of the checkpoint was taken, where it holds more than one detector: "its teacher".
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    part: str | None = None

    def counts(self) -> str:
        """One line, such as "12 loaded, 0 missing, 0 unexpected, 2 of another shape"."""
        return (
            f"{len(self.loaded)} loaded, {len(self.missing)} missing, {len(self.unexpected)} unexpected, "
            f"{len(self.mismatched)} of another shape"
        )

    def said(self) -> str:
        """The same with the first names of each kind: "12 loaded, 1 missing (head.bins), 0 unexpected, ..."."""
        kinds = (self.missing, self.unexpected, list(self.mismatched))
        words = ("missing", "unexpected", "of another shape")
        counted = [f"{len(self.loaded)} loaded", *(f"{len(keys)} {word}{_first(keys)}"
                                                   for word, keys in zip(words, kinds, strict=True))]  # fmt: skip
        return ", ".join(counted)


def _first(keys: Sequence[str]) -> str:
    """The first names in brackets, and how many more there are."""
    return f" ({_named(keys)})" if keys else ""


def _named(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{', '.join(keys[:_SHOWN])}{more}"


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
    own = {name: one.shape for name, one in model.state_dict().items() if name.startswith(only)}
    part, state = as_named_by(own, load_whole(path))
    prefix = foreign_prefix(own, state)
    for key in [key for key in state if not key.startswith(only)]:
        del state[key]
    _copy(model, state)
    report = _compare(model, state, only)
    report.part = part
    if _fits(model, report, strict):
        of = f", {part} alone" if part else ""
        print_log(f"{what}: {path}{of}: {report.said()}", "current")
        return report
    message = f"{path} is a checkpoint of another architecture than {what}: {report.counts()}."
    raise PkdError(message, _rename(path, prefix) if prefix else _explain(model, state, report, strict))


def _rename(path: str | Path, prefix: str) -> str:
    """What to do where all names would fit but for what stands before them."""
    command = (
        "import torch, sys; from pkdcli.engine.checkpoint import classes_of, load_state; "
        "meta = {'dataset_meta': {'classes': classes_of(sys.argv[1])}}; "
        "state = {k[len(sys.argv[2]):]: v for k, v in load_state(sys.argv[1]).items()}; "
        "torch.save({'meta': meta, 'state_dict': state}, 'plain.pth')"
    )
    return (
        f"Each name in the file begins with {prefix!r}, which is not the model's. Save it without, and give that "
        f'file:\n  python -c "{command}" {shlex.quote(str(path))} {shlex.quote(prefix)}'
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
    if not all(_superfluous(key) for key in report.unexpected):
        return False
    if strict == "exact":
        return not report.mismatched
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    kept = sum(sizes.get(key, 0) for key in report.mismatched)
    return 2 * kept <= sum(sizes.values()) and _only_classes_differ(report)


def _superfluous(key: str) -> bool:
    """Whether a tensor that a model has no place for says nothing against a checkpoint.

    mmdet 2 kept the moving averages of training (ema_...) among the weights; a preprocessor's mean and std are in its
    config.
    """
    return key.startswith(("ema_", "data_preprocessor.")) or key.endswith("num_batches_tracked")


def _only_classes_differ(report: LoadReport) -> bool:
    return all(
        theirs[1:] == ours[1:] and theirs and ours and not key.startswith(("backbone.", "neck."))
        for key, (theirs, ours) in report.mismatched.items()
    )


def _explain(model: nn.Module, state: Mapping[str, torch.Tensor], report: LoadReport, strict: str) -> str:
    lines = []
    for label, keys in (
        ("In the model, not in the file", report.missing),
        ("In the file, not in the model", report.unexpected),
        ("Of another shape", [f"{key} {a} in the file, {b} in the model" for key, (a, b) in report.mismatched.items()]),
    ):
        if keys:
            lines.append(f"{label}: {_named(keys)}.")
    if strict == "exact" and not report.missing and not report.unexpected and _only_classes_differ(report):
        lines.append("Only the number of classes differs: give a checkpoint trained on this data set's classes.")
    else:
        counted = {*report.loaded, *report.missing, *report.mismatched}
        ours = {key: shape for key, shape in shapes_of(model.state_dict()).items() if key in counted}
        theirs = shapes_of(state)
        why = reason(theirs, ours)
        lines.append(f"What fits: {', '.join(shares(theirs, ours))}.{f' {why}' if why else ''}")
        lines.append("Give a checkpoint of this architecture, or name the pair and scale that the checkpoint is of.")
    return "\n".join(lines)


def export_student(model: nn.Module | Mapping[str, Any], path: str | Path, meta: Mapping[str, Any]) -> None:
    """Write a detector's weights alone, so that stock mmdet loads them (`mmdet.apis.init_detector`).

    Args:
        model: The student, or the mmrazor algorithm around it, of which only the student is written; or its state dict.
        path: The file; it is replaced as a whole or not at all.
        meta: Goes into the file as plain Python values; `meta["dataset_meta"]["classes"]` names the classes.

    Raises:
        PkdError: The file can't be written (exit code 3).
    """
    meta = _plain(meta)
    meta["dataset_meta"]["classes"] = tuple(meta["dataset_meta"]["classes"])
    state = without_wrappers(model.state_dict() if isinstance(model, nn.Module) else model)
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
    try:
        return store.sha256(path)
    except OSError as error:
        raise PkdError(f"can't read {path}: {error.strerror or error}.", "Check the path.", ExitCode.MISSING) from error
