"""Teacher + student + loss -> an mmrazor algorithm.

The section reads as in mmrazor's own configs: an algorithm with an `architecture` (the student), a `teacher`, and a
configurable distiller with recorders, connectors, losses and their forward mappings.
"""

from __future__ import annotations

from typing import Any

from pkdcli.config.families import family_of, heads_of, types_of
from pkdcli.config.fitting import without_pretrained
from pkdcli.config.levels import Look, Outputs, pairing
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import bare
from pkdcli.recipe.schema import Recipe


def distill_model(
    recipe: Recipe,
    student: dict[str, Any],
    teacher: dict[str, Any],
    teacher_weights: str | None,
    look: Look | None = None,
) -> dict[str, Any]:
    """The mmrazor algorithm that trains `student` with `teacher` looking on.

    Args:
        recipe: Names the loss, its weight and its statistics, the levels it compares, and how the student starts.
        student: mmdet model section.
        teacher: mmdet model section; its pretrained backbone is not loaded, since its own weights follow.
        teacher_weights: Path of the teacher's checkpoint.
        look: Finds the levels that a config does not tell (`pkdcli.config.levels.look`).

    Raises:
        PkdError: The levels can't be paired, the student can't inherit from this teacher, or this can't be compiled.
    """
    without_pretrained(teacher)
    if recipe.init == "inherit":
        check_heads(student, teacher)
    backbone = bare(teacher["backbone"])
    if recipe.teacher_speed.compile and family_of(backbone).compiled_by_size:
        raise PkdError(
            f"teacher_speed.compile: the teacher's {backbone} would be compiled anew for each size of images, which "
            "takes minutes each.",
            "Leave out --set teacher_speed.compile=true; --set teacher_speed.precision=bfloat16 is a faster way too.",
        )
    part, dot, _ = (recipe.taps[1] or "").partition(".")
    inner = bool(dot) and part in ("backbone", "neck")
    if recipe.teacher_speed.compile and inner:
        raise PkdError(
            f"teacher_speed.compile: what the teacher's {recipe.taps[1]} (--tap) puts out can't be had from inside of "
            "a compiled module.",
            "Leave out --set teacher_speed.compile=true, or name the whole neck or backbone.",
        )
    paired = pairing(recipe.loss.levels, student, teacher, look, recipe.taps)
    losses, mappings, connectors = {}, {}, {}
    for student_level, teacher_level in paired.pairs:
        name = f"loss_{recipe.loss.name.replace('-', '_')}_fpn{student_level}"
        losses[name] = _loss(recipe, paired.teacher.levels[teacher_level].channels)
        from_student = {"from_student": True, "recorder": "fpn", "data_idx": student_level}
        if student_level in paired.adapters:
            connectors[f"adapter{student_level}"] = _adapter(*paired.adapters[student_level])
            from_student["connector"] = f"adapter{student_level}"
        mappings[name] = {
            "preds_S": from_student,
            "preds_T": {"from_student": False, "recorder": "fpn", "data_idx": teacher_level},
        }
    return {
        "type": "PkdDistill",
        "data_preprocessor": {
            "type": "PkdPreprocessor",
            "student": student["data_preprocessor"],
            "teacher": teacher["data_preprocessor"],
        },
        "architecture": student,
        "teacher": teacher,
        "teacher_ckpt": teacher_weights,
        **({"teacher_encoder": True} if paired.teacher.sizes else {}),
        "inherit": recipe.init == "inherit",
        # Where norms are folded, a convolution puts out what its norm would.
        "teacher_speed": {**recipe.teacher_speed.model_dump(), "fold": recipe.teacher_speed.fold and not inner},
        "distiller": {
            "type": "PkdDistiller",
            "student_recorders": {"fpn": _recorder(paired.student, student)},
            "teacher_recorders": {"fpn": _recorder(paired.teacher)},
            "connectors": connectors,
            "distill_losses": losses,
            "loss_forward_mappings": mappings,
        },
    }


def check_heads(student: dict[str, Any], teacher: dict[str, Any]) -> None:
    """Refuse to inherit where the heads are of other types, before a teacher is trained for it.

    Whether all shapes agree is seen once the modules are built (`pkdcli.engine.distill.inherit`).

    Args:
        student: mmdet model section.
        teacher: mmdet model section.

    Raises:
        PkdError: A head of the student has no counterpart of its type in the teacher.
    """
    for path in heads_of(types_of(student)):  # a mask head is the teacher's own affair
        ours, theirs = _type_at(student, path), _type_at(teacher, path)
        if ours != theirs and ours is not None:
            raise PkdError(
                f"init: inherit: the student's {path} is a {ours}, the teacher "
                f"{f'has a {theirs}' if theirs else 'has none'}: their structures differ, so nothing can be inherited.",
                "Start with --init scratch, or choose a pair whose heads are of one kind, such as gfl101-gfl50.",
            )


def _type_at(model: dict[str, Any], path: str) -> str | None:
    node: Any = model
    for part in path.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node.get("type") if isinstance(node, dict) else None


def _recorder(outputs: Outputs, trained: dict[str, Any] | None = None) -> dict[str, Any]:
    """What keeps the outputs of a module for the losses; mmrazor's own takes the place of a level from tuples only.

    Args:
        outputs: Of which module, and whether it is one tensor.
        trained: The detector, where it is in training mode, in which some have several branches.
    """
    backbone = (trained or {}).get("backbone") or {}
    if branches := family_of(backbone.get("type")).branches:
        number, index = (backbone.get(key, default) for key, default in branches)
        return {"type": "mmrazor.PkdBranchOutputs", "source": outputs.module, "branches": number, "branch": index}
    if outputs.sizes:
        return {"type": "mmrazor.PkdEncoderOutputs", "source": outputs.module, "sizes": outputs.sizes}
    return {"type": "mmrazor.PkdSingleOutput" if outputs.single else "mmrazor.ModuleOutputs", "source": outputs.module}


def _adapter(own: int, partner: int) -> dict[str, Any]:
    """A 1x1 convolution that gives a student's level the number of channels of its partner; only while training."""
    return {"type": "mmrazor.ConvModuleConnector", "in_channel": own, "out_channel": partner, "act_cfg": None}


def _loss(recipe: Recipe, channels: int) -> dict[str, Any]:
    """One level's loss; a loss that is built for a number of channels gets that of the level."""
    section = {
        "type": "PkdLoss",
        "loss": recipe.loss.type,
        "loss_weight": recipe.loss.weight,
        "stat_chunk": recipe.loss.stat_chunk,
        **recipe.loss.params,
    }
    if recipe.loss.temperature is not None:
        section["temperature"] = recipe.loss.temperature
    if "channels" in recipe.loss.params:
        section["channels"] = channels
    return section
