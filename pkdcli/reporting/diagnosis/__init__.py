"""Why a student is no better: rules that look at what a run has recorded, and what they say, the likeliest first."""
