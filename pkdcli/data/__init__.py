"""Data sets before they are trained on: read, checked, prepared, and the embedded one drawn."""
