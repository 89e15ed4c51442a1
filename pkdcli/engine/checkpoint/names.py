"""The names of tensors: those that wrappers around a detector have changed are changed back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection

from torch import Tensor

State = OrderedDict[str, Tensor]

# Parts of a name that torch.compile, FSDP and activation checkpointing put in, at whatever depth.
_TRANSPARENT = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

# Around the whole: DistributedDataParallel, mmengine's averages.
_AROUND = "module."

# Where a checkpoint holds a student beside other things (mmrazor's algorithms: architecture and teacher; mmdet's
# semi-supervised detectors: student and teacher), only the student is taken.
_STUDENTS = ("architecture.", "student.")

# What trainers that hold a detector as their own part call it: Lightning's modules, mostly.
_HOLDERS = ("model.", "detector.", "net.", "network.")


def without_wrappers(state: State) -> State:
    """A state dict by the detector's own names; of an algorithm with a teacher the student's alone.

    Wrappers may stand in each other, in any order: `module._orig_mod.architecture.` is taken off as `_orig_mod.` is.
    """
    state = _without_transparent(state)
    while True:
        inside = next((one for one in _STUDENTS if any(key.startswith(one) for key in state)), None)
        if inside is None and state and all(key.startswith(_AROUND) for key in state):
            inside = _AROUND
        if inside is None:
            return state
        state = below(state, inside)


def as_named_by(own: Collection[str], state: State) -> State:
    """The part that a trainer holds as its detector, where its names then are the model's; else the state as it is.

    Args:
        own: The names of the model's parameters.
        state: As `without_wrappers` gives it.
    """
    if any(key in state for key in own):
        return state
    for holder in _HOLDERS:
        held = without_wrappers(below(state, holder))
        if own and all(key in held for key in own):
            return held
    return state


def foreign_prefix(own: Collection[str], state: State) -> str | None:
    """What stands before the names of all tensors and not before the model's, if the model's would be there else.

    Args:
        own: The model's names of tensors.
        state: A state dict, read.
    """
    first = next(iter(state), "")
    places = [place + 1 for place, letter in enumerate(first) if letter == "."]
    for place in places:
        prefix = first[:place]
        if not all(key.startswith(prefix) for key in state):
            return None
        if 2 * sum(prefix + key in state for key in own) > len(own):
            return prefix
    return None


def below(state: State, prefix: str) -> State:
    """The part of a state dict under `prefix`, without it, and its layers' versions likewise.

    Args:
        state: A state dict.
        prefix: How the names begin, with its dot: `backbone.`.
    """
    return _renamed(state, lambda key: key[len(prefix) :] if key.startswith(prefix) else None)


def _without_transparent(state: State) -> State:
    def plain(key: str) -> str:
        return ".".join(part for part in key.split(".") if part not in _TRANSPARENT)

    # A module that was saved both compiled and as it is would lose one of them.
    return state if len({plain(key) for key in state}) < len(state) else _renamed(state, plain)


def _renamed(state: State, rename: Callable[[str], str | None]) -> State:
    """A state dict and its layers' versions by other names; what has none is left out."""
    pairs = ((rename(key), value) for key, value in state.items())
    part = OrderedDict((key, value) for key, value in pairs if key is not None)
    metadata = getattr(state, "_metadata", None)
    if metadata is not None:  # by the names of layers, with a dot behind as in a tensor's name
        pairs = ((rename(f"{key}."), value) for key, value in metadata.items())
        metadata = OrderedDict((key.removesuffix("."), value) for key, value in pairs if key is not None)
    part._metadata = metadata
    return part
