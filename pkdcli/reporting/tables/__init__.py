"""One module a table of the paper, and the builder that picks among them."""
