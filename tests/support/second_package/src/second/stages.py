"""A stage. The entry point names the package that imports it, not this module."""

from typing import Annotated

from pydantic import Field

from tamis.extend import LEXICAL, Limit, Plan, Ranking, Stage, part, rescored


@part
class Marks:
    """A value that a part holds and that is no part of any family."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    marks: frozenset[str] = frozenset("!")


@part
class Shout(Stage):
    """Sort by how often a text shouts."""

    depth: Limit = None
    marks: Marks = Marks()

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        head = ranking.kept[: self.depth]
        counts = [sum(ranked.text.count(mark) for mark in self.marks.marks) for ranked in head]
        return rescored(ranking, [self.marks.weight * count for count in counts], LEXICAL)
