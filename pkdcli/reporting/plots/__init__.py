"""Pictures of the runs: what each shows (search, weights, sizes, ...), and how it is drawn (files, terminal)."""

KINDS = ("tradeoff", "search", "weights", "gains", "sizes", "levels", "training")
"""What may be asked for by name."""
