"""Stages and how they compose."""
