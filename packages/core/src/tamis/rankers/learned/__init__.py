"""The ranker that comes with the base install: a learned combination of what needs no model download."""
