"""Commands that take a finished detector elsewhere."""
