"""A package that adds one part of each kind to tamis."""

from second.judges import Longer
from second.stages import Shout

__all__ = ["Longer", "Shout"]
