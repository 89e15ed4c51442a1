"""A hook of mmengine, for recipes that say `imports: [pkd_example.hooks]`."""

import os

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class PriorityHook(Hook):
    """Writes into the run's log how much the process leaves to others."""

    def before_train(self, runner) -> None:
        """Write it once."""
        runner.logger.info(f"priority: nice {os.nice(0)}")
