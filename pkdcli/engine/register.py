"""Import this to make every type that a run's config.py names known to the registries (`custom_imports` does)."""

from pkdcli import compat

compat.activate()

from mmdet.utils import register_all_modules  # noqa: E402

register_all_modules(init_default_scope=False)

from pkdcli.engine.data import batch_augments, dataset, load_image, sampler  # noqa: E402, F401
from pkdcli.engine.distill import algorithm, distiller, preprocessor, single_output  # noqa: E402, F401
from pkdcli.engine.losses import registered  # noqa: E402, F401
from pkdcli.engine.metrics import coco  # noqa: E402, F401
from pkdcli.engine.speedups import assigners  # noqa: E402, F401
from pkdcli.engine.train import loop, optimizer, own_optimizer, weight_init  # noqa: E402, F401
from pkdcli.engine.train.hooks import (  # noqa: E402
    averages,  # noqa: F401
    checkpoint,  # noqa: F401
    diagnostics,  # noqa: F401
    own,  # noqa: F401
    progress,  # noqa: F401
    sanity,  # noqa: F401
    teaching,  # noqa: F401
    tracker,  # noqa: F401
    updates,  # noqa: F401
)
