"""Checkpoints of the second package."""
