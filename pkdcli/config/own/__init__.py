"""`--training own`: what a detector's own config says of its training, scaled to the run's length and batch."""

from pkdcli.config.own.hooks import own_hooks
from pkdcli.config.own.optimizer import own_optim_wrapper
from pkdcli.config.own.schedulers import own_param_scheduler
from pkdcli.config.own.words import own_notes, own_summary, own_words

__all__ = ["own_hooks", "own_notes", "own_optim_wrapper", "own_param_scheduler", "own_summary", "own_words"]
