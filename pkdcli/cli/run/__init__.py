"""Commands that start, continue or stop runs."""
