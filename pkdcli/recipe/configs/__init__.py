"""The configs of detectors: which file, and what is in it. Read without torch.

A config of mmdet's own is known by its name. One's own is a program that can change: what it says is kept in the
resolved recipe, as literals, so that a run is made of what the file said when the run was asked for.
"""

from pkdcli.recipe.configs.files import beside, config_path, configs_root, full_name, is_own, mmdet_configs
from pkdcli.recipe.configs.read import forget_own, read_config
from pkdcli.recipe.configs.text import KEPT, SECTIONS, as_text, from_text, identity_of

__all__ = [
    "KEPT",
    "SECTIONS",
    "as_text",
    "beside",
    "config_path",
    "configs_root",
    "forget_own",
    "from_text",
    "full_name",
    "identity_of",
    "is_own",
    "mmdet_configs",
    "read_config",
]
