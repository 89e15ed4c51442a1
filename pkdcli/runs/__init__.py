"""Run directories: their files and states, and how runs are found and read."""
