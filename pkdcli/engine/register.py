"""Import this to make every type that a run's config.py names known to the registries (`custom_imports` does)."""

from pkdcli import compat

compat.activate()

from mmdet.utils import register_all_modules  # noqa: E402

register_all_modules(init_default_scope=False)

from pkdcli.engine.losses import registered  # noqa: E402, F401
