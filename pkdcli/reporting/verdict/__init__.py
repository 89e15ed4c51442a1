"""Whether a method's gain is real: its runs of several seeds against the baseline's of the same seeds."""
