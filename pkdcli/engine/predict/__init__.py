"""What a detector finds in images and videos of the user's."""
