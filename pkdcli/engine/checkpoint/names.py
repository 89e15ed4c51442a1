"""The names of tensors: those that wrappers around a detector have changed are changed back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping

from torch import Size, Tensor

from pkdcli.engine.checkpoint.layouts import renaming

State = OrderedDict[str, Tensor]

# Parts of a name that torch.compile, FSDP, activation checkpointing and Lightning put in, at whatever depth.
_TRANSPARENT = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")

# Around the whole: DistributedDataParallel, mmengine's averages.
_AROUND = "module."

# Where a checkpoint holds a student beside other things (mmrazor's algorithms: architecture and teacher; mmdet's
# semi-supervised detectors: student and teacher), only the student is taken.
_STUDENTS = ("architecture.", "student.")
_TEACHER = "teacher."

# What trainers that hold a detector as their own part call it: Lightning's modules, mostly; and where they keep the
# average of its weights.
_HOLDERS = ("model.", "detector.", "net.", "network.", "ema_model.", "model_ema.", "ema.")
_EMA = "ema_"  # before mmdet 2's averages of training, with underscores in the place of dots


def without_wrappers(state: State) -> State:
    """A state dict by the detector's own names of today; of an algorithm with a teacher the student's alone.

    Wrappers may stand in each other, in any order: `module._orig_mod.architecture.` is taken off as `_orig_mod.` is.
    Where mmdet's semi-supervised training has made a teacher of the student's averages, that is what it evaluates, and
    what is taken.
    """
    state = _without_transparent(state)
    while True:
        inside = next((one for one in _STUDENTS if any(key.startswith(one) for key in state)), None)
        if inside == "student." and _is_mean_teacher(state):
            inside = _TEACHER
        if inside is None and state:
            inside = next((one for one in (_AROUND, _TEACHER) if all(key.startswith(one) for key in state)), None)
        if inside is None:
            return as_of_today(state)
        state = below(state, inside)


def as_of_today(state: State) -> State:
    """A state dict of mmdet 2 by the names that mmdet 3 has for its tensors; any other as it is."""
    found = renaming(list(state))
    return state if found is None else _renamed(state, found[1])


def candidates(whole: State) -> Iterator[tuple[str | None, State]]:
    """The state dicts that a checkpoint may stand for, the likeliest first, each with what it is a part of the file.

    Args:
        whole: As the file has it.
    """
    state = without_wrappers(whole)
    yield None, state
    # Where a teacher stands beside a student, in whatever wrappers.
    bare = _without_transparent(whole)
    while bare and all(key.startswith(_AROUND) for key in bare):
        bare = below(bare, _AROUND)
    for part in (_TEACHER, *_STUDENTS):
        if any(key.startswith(part) for key in bare):
            yield f"its {part.removesuffix('.')}", without_wrappers(below(bare, part))
    for holder in _HOLDERS:
        if any(key.startswith(holder) for key in state):
            yield f"its {holder.removesuffix('.')}", without_wrappers(below(state, holder))


def as_named_by(own: Mapping[str, Size], whole: State) -> tuple[str | None, State]:
    """The part of a checkpoint that has most of a model's tensors, and what part it is; None for what it stands for.

    Args:
        own: The shapes of the model's tensors by their names.
        whole: As the file has it.
    """
    best: tuple[str | None, State] | None = None
    most = -1
    for what, state in candidates(whole):
        fitting = sum(2 if state[key].shape == shape else 1 for key, shape in own.items() if key in state)
        if fitting > most:
            best, most = (what, state), fitting
    names = {_underscored(key): key for key in own}
    if not most and 2 * len(names.keys() & best[1].keys()) > len(names):
        return "its averages", _renamed(best[1], names.get)
    return best


def _underscored(name: str) -> str:
    return _EMA + name.replace(".", "_")


def _is_mean_teacher(state: State) -> bool:
    """Whether a teacher has exactly the student's tensors."""
    student, teacher = below(state, "student."), below(state, _TEACHER)
    return student.keys() == teacher.keys() and all(teacher[key].shape == one.shape for key, one in student.items())


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
