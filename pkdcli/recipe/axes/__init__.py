"""Axes of a sweep or a search that have no option of their own."""
