"""A finished detector for use elsewhere."""
