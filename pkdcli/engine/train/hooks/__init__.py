"""mmengine hooks of a training."""
