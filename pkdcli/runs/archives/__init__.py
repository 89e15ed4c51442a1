"""Runs in one file, for another machine: what goes in, and how it is taken out again safely."""
