"""What becomes of an image before the model sees it."""
