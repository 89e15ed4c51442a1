"""A config's epochs and steps as steps of a run that is longer or shorter than it."""

from __future__ import annotations

import math

from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.detectors.training import base_images, steps_of_epoch
from pkdcli.recipe.schema import Recipe


def iters_per_epoch(recipe: Recipe) -> int:
    """Steps of one pass over the training data."""
    return math.ceil((recipe.data.train_images or 1) / recipe.batch)


class Length:
    """Translates what a config counts into the steps of a run, each at the same share of the whole.

    Args:
        recipe: The run's; its `student` is the detector that is trained.

    Attributes:
        steps: Of the whole run, a smoke run's left-out ones included.
        longest_warmup: So many of them, by the scale.
        own_epochs: Of the config's training; None where it counts steps.
        own_steps: That the config's own training takes on COCO.
    """

    def __init__(self, recipe: Recipe) -> None:
        config, name = config_of(recipe.student), recipe.student.config
        cfg = config.get("train_cfg") or {}
        self.steps = recipe.schedule.epochs * iters_per_epoch(recipe)
        self._batch = recipe.batch
        self._images = base_images(config, name)
        self.longest_warmup = int(recipe.scale.warmup_share * self.steps)
        self._epoch = steps_of_epoch(config, name)
        self.own_epochs = cfg.get("max_epochs")
        self.own_steps = self.own_epochs * self._epoch if self.own_epochs else cfg.get("max_iters", 90_000)

    def exactly(self, count: float, by_epoch: bool) -> float:
        """Where in the run, in steps, a config's epoch or step is of the config's own training.

        Args:
            count: Epochs or steps, from the config.
            by_epoch: Which of them.
        """
        if by_epoch and self.own_epochs:
            share = count / self.own_epochs
        else:
            share = (count * self._epoch if by_epoch else count) / self.own_steps
        return share * self.steps

    def at(self, count: float, by_epoch: bool) -> int:
        """The same to a whole step.

        Args:
            count: Epochs or steps, from the config.
            by_epoch: Which of them.
        """
        return round(self.exactly(count, by_epoch))

    def warmup(self, steps: int) -> int:
        """Steps of a warm-up that a config counts in steps: as many images, and at most the scale's share of the run.

        Args:
            steps: From the config.
        """
        return min(round(steps * self._images / self._batch), self.longest_warmup)
