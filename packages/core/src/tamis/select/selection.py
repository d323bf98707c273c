"""What all stages of this room that only choose have in common."""

from __future__ import annotations

from tamis.stage import Stage


class Selection(Stage):
    """A stage that takes candidates out or moves them, and leaves their scores as they are.

    The distinction matters to calibration: what was fitted on the scores in front of such a stage holds behind it.
    """
