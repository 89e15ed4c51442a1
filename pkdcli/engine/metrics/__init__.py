"""What an evaluation measures, and the samples that a page shows."""
