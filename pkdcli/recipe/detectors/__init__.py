"""Detectors: what their configs say, how a scale shrinks them, how they are trained."""
