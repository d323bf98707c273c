"""Models that are called by HTTP."""
