"""Runs side by side: how far apart they are, how sure that is, and where the difference comes from."""
