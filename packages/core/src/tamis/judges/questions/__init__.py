"""Prompt and parser pairs that are no judges."""
