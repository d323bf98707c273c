"""Which calls in what order. Plans over places that know nothing of prompts, models or queries.

>>> plan = Heap(children=2).run(3, top=1)
>>> next(plan)
[(0, 1, 2)]
>>> try: plan.send([[2]])
... except StopIteration as end: print(end.value.order)
[2, 0, 1]
"""

from tamis.schedules.base import Placed, Running, Schedule, Shown, complete
from tamis.schedules.graph import TournamentGraph
from tamis.schedules.pairs import AllPairs, Champion, SampledPairs
from tamis.schedules.partitions import Adaptive, TopDown
from tamis.schedules.settled import UntilSettled
from tamis.schedules.single import Map, Partition, SingleShot
from tamis.schedules.sliding import Sliding, sliding
from tamis.schedules.sorts import Bubble, Heap
from tamis.schedules.tournaments import Staged, Tournament

__all__ = [
    "Adaptive",
    "AllPairs",
    "Bubble",
    "Champion",
    "Heap",
    "Map",
    "Partition",
    "Placed",
    "Running",
    "SampledPairs",
    "Schedule",
    "Shown",
    "SingleShot",
    "Sliding",
    "Staged",
    "TopDown",
    "Tournament",
    "TournamentGraph",
    "UntilSettled",
    "complete",
    "sliding",
]
