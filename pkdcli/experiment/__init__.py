"""From recipes to runs: planned, prepared, grouped and executed."""
