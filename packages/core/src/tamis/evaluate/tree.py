"""Systems that begin alike are run once as far as they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tamis.stage.base import Stage, steps


@dataclass(slots=True)
class Node:
    """A stage that runs on what its parent returned; the root, without a stage, is the first stage's own ranking.

    `ends`: the systems whose last stage this is.
    """

    stage: Stage | None = None
    children: list[Node] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def shared(systems: Sequence[tuple[str, Stage]]) -> Node:
    """The tree of stages of these systems. Stages are the same when they are equal: same settings, same model.

    >>> from tamis import Lexical, TopN
    >>> [len(node.ends) for node in shared([("a", Lexical() | TopN(1)), ("b", Lexical() | TopN(2))]).walk()]
    [0, 0, 1, 1]
    """
    root = Node()
    for name, stage in systems:
        node = root
        for step in steps(stage):
            node = _child(node, step)
        node.ends.append(name)
    return root


def _child(node: Node, stage: Stage) -> Node:
    for child in node.children:
        if type(child.stage) is type(stage) and child.stage == stage:
            return child
    node.children.append(Node(stage))
    return node.children[-1]
