"""What a recipe may say: one class per kind of YAML file, and `Recipe`, the resolved whole.

Unknown keys are errors. Every class is plain data; nothing here reads a file or knows torch.
"""

from pkdcli.recipe.schema.kinds import (
    Data,
    Detector,
    Loss,
    Modules,
    Pair,
    Part,
    Schedule,
    Split,
    TableRecipe,
    TableRow,
)
from pkdcli.recipe.schema.launcher import LOCAL_KEYS, SLURM_KEYS, Launcher
from pkdcli.recipe.schema.recipe import LossUse, Recipe, TeacherSpeed
from pkdcli.recipe.schema.scale import OwnTraining, Rule, Scale, TeacherTraining
from pkdcli.recipe.schema.types import Strict

__all__ = [
    "LOCAL_KEYS",
    "SLURM_KEYS",
    "Data",
    "Detector",
    "Launcher",
    "Loss",
    "LossUse",
    "Modules",
    "OwnTraining",
    "Pair",
    "Part",
    "Recipe",
    "Rule",
    "Scale",
    "Schedule",
    "Split",
    "Strict",
    "TableRecipe",
    "TableRow",
    "TeacherSpeed",
    "TeacherTraining",
]
