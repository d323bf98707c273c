"""Models that score a whole list at once, by code of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, needed
from tamis.models.lazy import lock_of, once
from tamis.models.local.base import LOCAL, Local, RemoteCode, Weights, loaded, torch_device
from tamis.models.local.torch_threads import WEIGHTS
from tamis.prompts.harmless import neutralise_control
from tamis.values.answers import Failure, Scores
from tamis.values.calls import Capability, ScoreList
from tamis.values.ranking import finite
from tamis.values.scale import UNKNOWN, Scale


@dataclass(frozen=True, config=LOCAL)
class ListReranker(Local):
    """A transformers checkpoint with a method `rerank(query, documents)`, such as jina-reranker-v3. Can `score_list`.

    Args:
        model: a folder, a hub name, or the model itself: any object with such a method. It gives a mapping with `index`
            and `relevance_score` for each document, in any order.
        device, dtype: as for `CausalLM`.
        scale: of the scores.
        trust_remote_code: let transformers run code that comes with the weights. The method nearly always comes that
            way; read it first.

    Wrap any other interface in `Function(f, "score_list")`. Needs the extra `transformers` unless the model is
    given. Raises `ConfigError` for weights that cannot be loaded or have no such method.

    >>> from tamis import Groupwise
    >>> model = ListReranker("jinaai/jina-reranker-v3", trust_remote_code=True)         # doctest: +SKIP
    >>> Groupwise(model, size=64, judge="joint").rerank(query, passages)                # doctest: +SKIP
    """

    survive_fork: ClassVar[frozenset[str]] = Local.survive_fork | WEIGHTS
    model: Weights
    device: str | None = None
    dtype: str = "auto"
    scale: Scale = UNKNOWN
    trust_remote_code: RemoteCode = False

    max_batch: ClassVar[int] = 1
    capabilities: ClassVar[tuple[Capability, ...]] = ("score_list",)

    def score_list(self, calls: Sequence[ScoreList]) -> list[Scores | Failure]:
        """One list a call."""
        with lock_of(self):
            return [_scores(self._reranked(call), len(call.texts)) for call in calls]

    def _reranked(self, call: ScoreList) -> Any:
        """What the model's own code makes of the texts. It joins them into one prompt, so their control words go."""
        return self._network.rerank(neutralise_control(call.query), list(map(neutralise_control, call.texts)))

    @once
    def _network(self) -> Any:
        network = self.model
        if isinstance(network, str):
            load = needed("transformers", "ListReranker", "transformers").AutoModel.from_pretrained
            network = loaded(load, network, dtype=self.dtype, trust_remote_code=self.trust_remote_code)
            network = network.to(torch_device(self.device)).eval()
        if not callable(getattr(network, "rerank", None)):
            raise ConfigError(
                f"{self.name} ({type(network).__name__}) has no method `rerank`; where it comes as code with the "
                "weights, it is run only with trust_remote_code=True"
            )
        return network


def _scores(results: Any, count: int) -> Scores | Failure:
    """One score per document from its `{index, relevance_score}`; a `Failure` where these are not all there."""
    try:
        found = {int(result["index"]): finite(float(result["relevance_score"])) for result in results}
    except (TypeError, KeyError, ValueError):
        return Failure("malformed", f"`rerank` gave no index and relevance_score for each document: {results!r:.80}")
    if sorted(found) != list(range(count)):
        return Failure("malformed", f"`rerank` gave scores for documents {sorted(found)} of {count}")
    return Scores(tuple(float("nan") if (value := found[place]) is None else value for place in range(count)))
