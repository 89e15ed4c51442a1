"""Pictures of what teacher and student look at."""
