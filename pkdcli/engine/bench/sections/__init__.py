"""One module a section of `pkd bench`."""
