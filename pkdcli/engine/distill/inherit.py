"""The inheriting strategy: the student starts from the teacher's neck and heads where their structure is the same.

Appendix A.2 of the paper (after Kang et al., Instance-Conditional Knowledge Distillation): it makes students converge
faster. Structure is told by the names and shapes of the tensors. A head is taken whole or the start is refused; of a
neck the tensors that fit are taken, since its lateral convolutions follow the backbone's channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pkdcli.config.families import heads_of
from pkdcli.errors import PkdError

NECK = "neck"
_SHOWN = 3  # differences that a refusal names
_REMEDY = "Start with --init scratch, or choose a teacher whose head has the student's structure."


@dataclass(frozen=True)
class Inheritance:
    """What a student takes from its teacher; keys as in both `state_dict`s.

    Attributes:
        modules: The parts it takes tensors of: `neck`, `bbox_head`, `rpn_head`, `roi_head.bbox_head`.
        tensors: Copies of the teacher's, by name.
        left_out: Tensors of the student's neck that it keeps: absent from the teacher's, or of another shape.
    """

    modules: list[str] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> int:
        """How many numbers are taken over."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def facts(self) -> dict[str, list[str] | int]:
        """The same for result.json."""
        return {
            "inherited": self.modules,
            "inherited_tensors": len(self.tensors),
            "inherited_numbers": self.numbers,
            "not_inherited": self.left_out,
        }

    def __str__(self) -> str:
        text = (
            f"inherited {', '.join(self.modules)} from the teacher: {len(self.tensors)} tensors, {self.numbers} numbers"
        )
        return text + (f"; other shapes, left out: {', '.join(self.left_out)}" if self.left_out else "")


def inheritance(student: nn.Module, teacher: nn.Module) -> Inheritance:
    """What `student` can take from `teacher`; neither is changed.

    Args:
        student: An mmdet detector.
        teacher: Another, its heads still in place.

    Raises:
        PkdError: The student has no head, one of its heads differs from the teacher's in any tensor, or no tensor of
            the necks fits.
    """
    ours, theirs = student.state_dict(), teacher.state_dict()
    found = Inheritance()
    heads = heads_of(type(one).__name__ for one in (student, getattr(student, "backbone", None)))
    for head in heads:
        mine = _below(ours, head)
        if not mine:
            continue
        differences = _differences(mine, _below(theirs, head))
        if differences:
            more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
            raise PkdError(
                f"init: inherit: the student's {head} has another structure than the teacher's: "
                f"{'; '.join(differences[:_SHOWN])}{more}.",
                _REMEDY,
            )
        _take(found, head, mine, theirs)
    if not found.modules:
        raise PkdError(f"init: inherit: the student has none of the heads {', '.join(heads)}.", _REMEDY)
    neck = _below(ours, NECK)
    fitting = {key: value for key, value in neck.items() if key in theirs and theirs[key].shape == value.shape}
    if not fitting:
        raise PkdError("init: inherit: no tensor of the student's neck has the shape of the teacher's.", _REMEDY)
    _take(found, NECK, fitting, theirs)
    found.left_out.extend(key for key in neck if key not in fitting)
    found.modules.sort(key=[NECK, *heads].index)
    return found


def inherit(student: nn.Module, found: Inheritance) -> None:
    """Copy what was found into the student, after its own weights were drawn.

    Args:
        student: Changed in place.
        found: What `inheritance` has found for it.
    """
    ours = student.state_dict()
    with torch.no_grad():
        for key, value in found.tensors.items():
            ours[key].copy_(value)


def _take(found: Inheritance, module: str, keys: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    found.modules.append(module)
    found.tensors.update((key, theirs[key].detach().clone()) for key in keys)


def _below(state: Mapping[str, Tensor], module: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key.startswith(f"{module}.")}


def _differences(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[str]:
    found = [f"{key} is the student's alone" for key in ours if key not in theirs]
    found += [f"{key} is the teacher's alone" for key in theirs if key not in ours]
    for key in ours.keys() & theirs.keys():
        if ours[key].shape != theirs[key].shape:
            found.append(f"{key} is {tuple(ours[key].shape)}, the teacher's {tuple(theirs[key].shape)}")
    return sorted(found)
