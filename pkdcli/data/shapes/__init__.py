"""The embedded data set `shapes`."""
