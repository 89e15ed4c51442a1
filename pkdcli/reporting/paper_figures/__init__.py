"""Figures 4 to 8 of the paper's appendix, drawn from measured features; no torch."""
