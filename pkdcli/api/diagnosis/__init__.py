"""Why a run is no better: what it has recorded, and a look at both nets."""
