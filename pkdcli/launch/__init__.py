"""Jobs: what a process of a run is told, who carries it out, and what has become of it."""
