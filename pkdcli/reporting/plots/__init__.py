"""Pictures of the runs: what each shows (tradeoff, weights, sizes, ...), and how it is drawn (files, terminal)."""

KINDS = ("tradeoff", "weights", "gains", "sizes", "levels", "training")
"""What may be asked for by name."""
