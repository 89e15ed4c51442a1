"""`--distill-until`: from a step on the student learns without its teacher."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class PkdTeachingHook(Hook):
    """Tells the algorithm before each step whether it still has its teacher.

    Args:
        until: Steps with the teacher; those that follow are without.
    """

    priority = "VERY_HIGH"  # before hooks that ask

    def __init__(self, until: int) -> None:
        self.until = until
        self._told: bool | None = None

    def before_train(self, runner: Runner) -> None:
        """Tell it how long it has its teacher."""
        algorithm_of(runner).taught_until = self.until

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Tell it about the step.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
        """
        taught = runner.iter < self.until
        if taught != self._told:
            algorithm_of(runner).set_taught(taught)
            if not taught:
                print_log(f"from step {runner.iter + 1} on the student learns without its teacher", "current")
        self._told = taught


def algorithm_of(runner: Runner) -> Any:
    """The algorithm around a run's student, without DDP's wrapper."""
    return getattr(runner.model, "module", runner.model)


def has_teacher(runner: Runner) -> bool:
    """Whether a run's student learns from its teacher in the step before which this is asked."""
    return getattr(algorithm_of(runner), "taught", False)


def last_taught_step(runner: Runner) -> int:
    """The number of the last step of a distilled run, from 1, in which its student has its teacher."""
    until = algorithm_of(runner).taught_until
    return runner.max_iters if until is None else min(until, runner.max_iters)
