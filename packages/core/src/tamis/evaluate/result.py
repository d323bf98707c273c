"""What an evaluation found: plain values, one row per query and system, with everything kept that a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tamis.errors import needed
from tamis.evaluate.dataset import Dataset
from tamis.values.ranking import Ranking
from tamis.values.usage import Usage

if TYPE_CHECKING:
    import pandas

Kind = Literal["first stage", "pipeline", "run", "bound"]


@dataclass(frozen=True, slots=True)
class Row:
    """One query through one system.

    `values`: metric name to value; a metric that is not defined for the query (no relevant passage is known) is absent.
    `ranking` is `None` for a bound and for a query that failed with `error`.
    """

    query_id: str
    values: Mapping[str, float]
    ranking: Ranking | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its bootstrap interval. `n` queries had a value; with none, all three are NaN."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds per query when asked alone (median and 95th percentile of `alone` queries), queries per second when many
    are asked at the same time, and the most memory the process held, in MiB. `None` where not measured."""

    p50: float | None = None
    p95: float | None = None
    alone: int = 0
    throughput: float | None = None
    peak_mib: float | None = None


@dataclass(frozen=True, slots=True)
class System:
    """One system on one data set.

    `usage` sums what all its queries cost, shared prefixes included. `described` is the pipeline as YAML, or the path
    of the run. `summary` holds numbers about all queries together that are not means of one value per query, by name,
    such as the AUROC of abstention; NaN where one is not defined.
    """

    name: str
    kind: Kind
    rows: Mapping[str, Row]
    means: Mapping[str, Interval] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    speed: Speed = field(default_factory=Speed)
    described: str = ""
    summary: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many queries ended with an error."""
        return sum(row.error is not None for row in self.rows.values())

    @property
    def degraded(self) -> int:
        """How many rankings say that some judgement is missing."""
        return sum(row.ranking is not None and row.ranking.degraded for row in self.rows.values())


@dataclass(frozen=True, slots=True)
class Comparison:
    """`system` against `baseline` in one metric, paired over the `n` queries that both have a value for.

    `difference` is the mean of system - baseline, with its bootstrap interval `low`..`high`. `p` is the two-sided
    p-value of a paired randomisation test, `corrected` the same after Holm's correction over the comparisons made
    together. `better`, `worse`, `same` count queries.
    """

    system: str
    baseline: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    corrected: float
    better: int
    worse: int
    same: int

    @property
    def n(self) -> int:
        return self.better + self.worse + self.same

    def turned(self) -> Comparison:
        """The same comparison seen from the baseline."""
        return Comparison(
            self.baseline,
            self.system,
            self.metric,
            -self.difference,
            -self.high,
            -self.low,
            self.p,
            self.corrected,
            self.worse,
            self.better,
            self.same,
        )

    def verdict(self, level: float = 0.05) -> str:
        """In words: `"better"`, `"worse"` or `"no difference seen"`."""
        if not self.corrected < level:
            return "no difference seen"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All systems on one data set. `main` is the metric that comparisons and charts are about.

    `systems` begins with the first stage and ends with the bounds (`oracle`, `shuffled`), when asked for. `notices`
    say what was odd while running and what was done; those about the files are in `dataset.notices`.
    """

    dataset: Dataset
    query_ids: Sequence[str]
    metrics: Sequence[str]
    main: str
    systems: Sequence[System]
    comparisons: Sequence[Comparison] = ()
    notices: Sequence[str] = ()

    def system(self, name: str) -> System:
        return next(system for system in self.systems if system.name == name)

    def comparison(self, system: str, baseline: str | None = None) -> Comparison | None:
        """The comparison of `system` with `baseline` (default: the first stage) in the main metric."""
        other = baseline or self.systems[0].name
        return next(
            (c for c in self.comparisons if (c.system, c.baseline, c.metric) == (system, other, self.main)), None
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What `evaluate` returns: one `Evaluation` a data set, and the settings it was made with."""

    evaluations: Sequence[Evaluation]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def evaluation(self, dataset: str) -> Evaluation:
        return next(evaluation for evaluation in self.evaluations if evaluation.dataset.name == dataset)

    def frame(self) -> pandas.DataFrame:
        """One line a data set, system, query and metric: columns dataset, system, query, metric, value, error."""
        pandas = needed("pandas", "A table of results", "eval")
        lines = [
            (evaluation.dataset.name, system.name, row.query_id, metric, value, row.error)
            for evaluation in self.evaluations
            for system in evaluation.systems
            for row in system.rows.values()
            for metric, value in row.values.items()
        ]
        return pandas.DataFrame(lines, columns=["dataset", "system", "query", "metric", "value", "error"])
