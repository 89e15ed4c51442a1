"""Several processes that train one model, and how they stop together."""
