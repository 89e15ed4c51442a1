"""From a resolved recipe to the whole mmengine config, as plain data: no torch, no images, no weights."""
