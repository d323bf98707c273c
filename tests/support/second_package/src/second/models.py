"""A model."""

from collections.abc import Sequence

from tamis.extend import PROBABILITY, Classify, Score, part


@part
class Letters:
    """Scores a passage by the share of the query's letters it holds."""

    ignored: str = ""
    scale = PROBABILITY

    @property
    def cache_key(self) -> str:
        return f"letters:{self.ignored}"

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        return [Score(self._share(call.query.lower(), call.text.lower())) for call in calls]

    def _share(self, query: str, text: str) -> float:
        wanted = set(query) - set(self.ignored)
        return len(wanted & set(text)) / max(1, len(wanted))
