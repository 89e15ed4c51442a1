"""Pictures of the runs: what each shows (weights, sizes, levels, training), and how it is drawn (files, terminal)."""
