"""Several annotation files as one split, and classes under other names: what a recipe's lists and its `map` ask for."""
