"""What is done with data sets before a training: imported, and checked."""
