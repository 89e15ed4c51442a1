"""One way to read an image file."""
