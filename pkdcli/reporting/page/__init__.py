"""The runs as one self-contained page: tables, plots, and every run with its recipe, curves and detections."""
