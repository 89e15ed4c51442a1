"""The process of a run: what starts it, what it leaves, and how several share one teacher."""
