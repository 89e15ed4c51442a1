"""From records of runs to tables, plots, data and a page for people."""
