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
from pkdcli.engine.train.hooks import averages, checkpoint, diagnostics, own, progress, sanity, teaching, tracker  # noqa: E402, F401
