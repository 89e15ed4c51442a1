"""Sizes and speeds of detectors: which are meant, what is measured."""
