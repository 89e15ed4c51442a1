"""Runs that other trainers made, read as if they were ours."""
