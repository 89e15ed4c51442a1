"""Teacher + student + loss -> an mmrazor algorithm.

The section reads as in mmrazor's own configs: an algorithm with an `architecture` (the student), a `teacher`, and a
configurable distiller with recorders, losses and their forward mappings.
"""

from __future__ import annotations

from typing import Any

from pkdcli.config.detector import modules
from pkdcli.recipe.schema import Recipe

# mmrazor's official PKD configs pair the first four levels: (0, 0) to (3, 3).
OFFICIAL_LEVELS = 4


def level_pairs(student: dict[str, Any], teacher: dict[str, Any]) -> list[tuple[int, int]]:
    """(student, teacher) indices of the FPN levels that are compared."""
    count = min(student["neck"]["num_outs"], teacher["neck"]["num_outs"], OFFICIAL_LEVELS)
    return [(index, index) for index in range(count)]


def distill_model(
    recipe: Recipe, student: dict[str, Any], teacher: dict[str, Any], teacher_weights: str | None
) -> dict[str, Any]:
    """The mmrazor algorithm that trains `student` with `teacher` looking on.

    Args:
        recipe: Names the loss, its weight and its statistics.
        student: mmdet model section.
        teacher: mmdet model section; its pretrained backbone is not loaded, since its own weights follow.
        teacher_weights: Path of the teacher's checkpoint.
    """
    for module in modules(teacher):
        if isinstance(module.get("init_cfg"), dict) and module["init_cfg"].get("type") == "Pretrained":
            module["init_cfg"] = None
    losses, mappings = {}, {}
    for student_level, teacher_level in level_pairs(student, teacher):
        name = f"loss_{recipe.loss.name.replace('-', '_')}_fpn{student_level}"
        losses[name] = _loss(recipe)
        mappings[name] = {
            "preds_S": {"from_student": True, "recorder": "fpn", "data_idx": student_level},
            "preds_T": {"from_student": False, "recorder": "fpn", "data_idx": teacher_level},
        }
    recorder = {"fpn": {"type": "mmrazor.ModuleOutputs", "source": "neck"}}
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
        "distiller": {
            "type": "PkdDistiller",
            "student_recorders": recorder,
            "teacher_recorders": recorder,
            "distill_losses": losses,
            "loss_forward_mappings": mappings,
        },
    }


def _loss(recipe: Recipe) -> dict[str, Any]:
    section = {
        "type": "PkdLoss",
        "loss": recipe.loss.type,
        "loss_weight": recipe.loss.weight,
        "stat_chunk": recipe.loss.stat_chunk,
        **recipe.loss.params,
    }
    if recipe.loss.temperature is not None:
        section["temperature"] = recipe.loss.temperature
    return section
