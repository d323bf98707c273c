"""What a training did, and what it was worth on queries it did not see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tamis.graph.networks.trained import Trained


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """The trained network and its figures. MRR is that over all relevant passages (G-RAG's), on the validation queries.

    Args:
        trained: the weights of the best step, for `TrainedGraph`; also in the file `path`, when one was asked for.
        before: MRR of the embedder's own order.
        after: MRR of the trained network.
        step: the best step; 0 when training never did better than the network's start.
        curve: (step, mean loss since the last entry, MRR) at each validation.
        queries, validation_queries: how many were trained on and held back.
        left_out: queries that teach nothing: their pool holds no relevant passage, or only such.
    """

    trained: Trained
    before: float
    after: float
    step: int
    curve: tuple[tuple[int, float, float], ...]
    queries: int
    validation_queries: int
    left_out: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        gain = self.after - self.before
        lines = [
            f"validation MRR over all relevant passages: {self.before:.4f} -> {self.after:.4f} ({gain:+.4f}), "
            f"{self.validation_queries} queries; best step {self.step} of {self.curve[-1][0]}",
            f"trained on {self.queries} queries"
            + (f"; {self.left_out} left out that teach nothing" if self.left_out else ""),
        ]
        if gain <= 0:
            lines.append("no better than the embedder alone: use the embedder, or train on more queries")
        if self.path:
            lines.append(f"wrote {self.path}")
        return "\n".join(lines)
