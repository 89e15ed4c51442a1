"""Detections in images and videos of the user's."""
