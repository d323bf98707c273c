"""What flows through every stage: a query, its candidates and the `Ranking` of them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from reprlib import repr as short
from typing import Any, Literal

from tamis.errors import InputError
from tamis.values import checks, similarity
from tamis.values.scale import UNKNOWN, Scale
from tamis.values.similarity import Scores
from tamis.values.usage import Usage


@dataclass(frozen=True, slots=True)
class Query:
    """The question. `text` must not be empty; `vector` is an embedding the caller already has; `images` are pictures,
    as for a candidate."""

    text: str
    instruction: str | None = None
    images: tuple[str, ...] = ()
    vector: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise InputError(f"the query must be a string that contains text, got {short(self.text)}")
        if not isinstance(self.instruction, str | None):
            raise InputError(f"the query's instruction must be a string or None, got {short(self.instruction)}")
        object.__setattr__(self, "text", checks.whole(self.text))
        object.__setattr__(self, "images", checks.images(self.images))
        object.__setattr__(self, "vector", checks.vector(self.vector))

    @classmethod
    def of(cls, value: str | Query) -> Query:
        return value if isinstance(value, Query) else cls(value)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing to rank.

    `title` may be given as a number. `score`: the first stage's, `None` when there is none (NaN and infinities become
    `None`). Raises `InputError`, which names the candidate, for a value that cannot be read.

    `images`: pictures as `data:image/png;base64,...` URLs. Addresses may be here too; they are opened by nobody unless
    the model that would be shown them has `allow_image_addresses`.
    """

    text: str
    id: Hashable = None
    title: str | None = None
    score: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    images: tuple[str, ...] = ()
    vector: tuple[float, ...] | None = None
    _unread: bool = field(default=False, init=False, repr=False, compare=False)
    """Whether a score was given that is not finite."""

    def __post_init__(self) -> None:
        try:
            self._check()
        except InputError as error:
            nameless = self.id is None or (isinstance(self.id, float) and math.isnan(self.id))
            whose = "" if nameless else f" (the candidate with the id {short(self.id)})"
            raise InputError(f"{error}{whose}") from None

    def _check(self) -> None:
        if not isinstance(self.text, str):
            raise InputError(f"a candidate's text must be a string, got {type(self.text).__name__} {short(self.text)}")
        if isinstance(self.score, bool):
            raise InputError(f"a score must be a number or None, got {self.score}")
        given = self.score
        object.__setattr__(self, "score", finite(given))
        if given is not None and self.score is None:
            object.__setattr__(self, "_unread", True)
        # Ten thousand candidates are made per query: what has its usual type is not looked at twice.
        if self.vector is not None:
            object.__setattr__(self, "vector", checks.vector(self.vector))
        if self.id is not None and type(self.id) is not str:
            object.__setattr__(self, "id", checks.name(self.id))
        if self.title is not None and type(self.title) is not str:
            object.__setattr__(self, "title", checks.title(self.title))
        if type(self.metadata) is not dict:
            object.__setattr__(self, "metadata", checks.metadata(self.metadata))
        if self.images != ():
            object.__setattr__(self, "images", checks.images(self.images))

    @property
    def full_text(self) -> str:
        """The title, when there is one that the text does not begin with, and the text: what is matched and what models
        read. Halves of characters (lone surrogates) are replaced; `text` and `title` stay as they came."""
        titled = self.title and not self.text.startswith(self.title)
        return checks.whole(f"{self.title}\n{self.text}" if titled else self.text)

    @classmethod
    def of(cls, value: str | Mapping[str, Any] | Candidate) -> Candidate:
        """From a string, a mapping with the field names above, or a `Candidate`."""
        if isinstance(value, Candidate):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping):
            known = {name for name in cls.__slots__ if name[0] != "_"}
            unknown = set(value) - known
            if unknown or "text" not in value:
                raise InputError(
                    f"a candidate mapping needs 'text' and may have {sorted(known)}; got {short(list(value))}. "
                    "Put anything else under 'metadata'."
                )
            return cls(**value)
        raise InputError(f"a candidate is a string, a mapping or a Candidate, got {type(value).__name__}")


def _numbered(place: int, value: Any) -> Candidate:
    """`Candidate.of`, with the place of what it refuses."""
    try:
        return Candidate.of(value)
    except InputError as error:
        raise InputError(f"candidates[{place}]: {error}") from None


def finite(score: Any) -> float | None:
    """A Python float, or `None` for a missing, NaN or infinite score."""
    if score is None:
        return None
    try:
        value = float(score)
    except OverflowError:
        return None
    except (TypeError, ValueError):
        raise InputError(f"a score must be a number or None, got {short(score)}") from None
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A candidate that lifted another: its position in the input, how much it weighed, and by which kind of edge."""

    position: int
    weight: float
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in a ranking. `position` is its index in the input and its identity; texts and ids may repeat.

    `lifted_by`: the candidates that raised this one in a graph stage, strongest first. `compressed`: what the
    model that scored it made of the passage for a generator, where it makes something (`Score.compressed`).
    """

    candidate: Candidate
    position: int
    score: float | None = None
    criteria: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    reason: str | None = None
    lifted_by: tuple[Neighbour, ...] = ()
    compressed: Any = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        return self.candidate.text


Why = Literal[
    "below_relevance_gate",
    "below_threshold",
    "top_n",
    "policy_cut",
    "budget",
    "duplicate",
    "not_listed",
    "abstained",
]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A candidate that was taken out, and why. Keeps the score and criteria it had at that moment."""

    ranked: Ranked
    why: Why

    @property
    def candidate(self) -> Candidate:
        return self.ranked.candidate

    @property
    def position(self) -> int:
        return self.ranked.position


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader of a ranking should know. `positions` are the candidates it is about.

    `degraded` notices say that some judgement is missing, so that the order there is the incoming one.
    """

    message: str
    positions: tuple[int, ...] = ()
    degraded: bool = True

    def __str__(self) -> str:
        return self.message


SHOWN = 5
"""Candidates in the `repr` of a ranking."""


def _short(score: float | None) -> str:
    return "no score" if score is None else f"{score:.4g}"


@dataclass(frozen=True, slots=True, repr=False)
class Ranking:
    """An ordering of candidates, best first, with everything that was taken out.

    Invariant, checked here: `kept` and `dropped` together hold every input candidate exactly once. `confidence` is how
    sure a stage was that something good is among the candidates (higher is surer; only comparable for one pipeline).
    `monitors`: what stages noted of their own work, as `"stage.sign"`; `tamis.values.signs.signs` gives these and more.

    >>> Ranking.of("tall mountains", ["Everest", "a recipe"]).kept[0].text
    'Everest'
    """

    query: Query
    kept: tuple[Ranked, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    scale: Scale = UNKNOWN
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[Notice, ...] = ()
    abstained: bool = False
    confidence: float | None = None
    monitors: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        positions = [ranked.position for ranked in self.kept]
        positions.extend(dropped.ranked.position for dropped in self.dropped)
        if len(set(positions)) != len(positions) or (
            positions and (min(positions) != 0 or max(positions) != len(positions) - 1)
        ):
            raise AssertionError(
                f"a ranking of {len(positions)} candidates must hold each input position once, got {positions[:20]}"
            )

    @classmethod
    def of(
        cls,
        query: str | Query,
        candidates: Iterable[str | Mapping[str, Any] | Candidate],
        *,
        scale: Scale = UNKNOWN,
        scores: Scores = "similarity",
    ) -> Ranking:
        """The incoming order, with first-stage scores (of scale `scale`) where the candidates have them.

        `scores`: what they are. Inside a ranking scores are similarities or `None`, also in `Ranked.candidate`: those
        of distances are turned round here, once for all stages. Scores of a known scale are never taken for distances.
        """
        if isinstance(candidates, (str, bytes, Mapping, Set)) or not isinstance(candidates, Iterable):
            what = ", which has no order" if isinstance(candidates, Set) else ""
            one = "one " if isinstance(candidates, (str, bytes, Mapping)) else ""
            raise InputError(
                f"candidates must be a sequence of texts or candidates, got {one}{type(candidates).__name__}{what}"
            )
        made = [_numbered(place, value) for place, value in enumerate(candidates)]
        given = [candidate.score for candidate in made]
        meaning = "similarity" if similarity.checked(scores) != "ignore" and scale != UNKNOWN else scores
        unread = () if scores == "ignore" else tuple(place for place, one in enumerate(made) if one._unread)
        read, said = similarity.similarities(given, meaning)
        if read != given:
            made = [replace(candidate, score=score) for candidate, score in zip(made, read, strict=True)]
        kept = tuple(Ranked(candidate, position, candidate.score) for position, candidate in enumerate(made))
        notices: tuple[Notice, ...] = () if said is None else (Notice(said, degraded=False),)
        if unread:
            what = f"{len(unread)} of {len(made)} scores are not finite (NaN or infinity): they count as missing"
            notices += (Notice(what, unread, degraded=False),)
        return cls(Query.of(query), kept, scale=scale, warnings=notices)

    @property
    def degraded(self) -> bool:
        """Whether some candidate could not be judged and kept its incoming order instead."""
        return any(notice.degraded for notice in self.warnings)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The kept candidates, best first."""
        return tuple(ranked.candidate for ranked in self.kept)

    @property
    def positions(self) -> tuple[int, ...]:
        """Input indices of the kept candidates, best first."""
        return tuple(ranked.position for ranked in self.kept)

    def __len__(self) -> int:
        return len(self.kept)

    def __repr__(self) -> str:
        """Sizes, scale and the best few; never the texts of all candidates."""
        best = ", ".join(f"{r.candidate.id or r.position}: {_short(r.score)}" for r in self.kept[:SHOWN])
        more = ", ..." if len(self.kept) > SHOWN else ""
        notes = [f"dropped={len(self.dropped)}"] if self.dropped else []
        notes += [f"warnings={len(self.warnings)}"] if self.warnings else []
        notes += ["degraded"] if self.degraded else []
        notes += ["abstained"] if self.abstained else []
        query = textwrap.shorten(self.query.text, 60, placeholder="...")
        parts = [repr(query), f"kept={len(self.kept)} [{best}{more}]", f"scale={self.scale.kind}", *notes]
        return f"Ranking({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """The picture of this ranking that a notebook shows."""
        from tamis.view.picture import fragment

        return fragment(self)

    def warn(self, *notices: Notice) -> Ranking:
        return replace(self, warnings=self.warnings + notices) if notices else self

    def noted(self, stage: str, signs: Mapping[str, float]) -> Ranking:
        """With `signs` of how `stage` worked among the `monitors`."""
        return replace(self, monitors={**self.monitors, **{f"{stage}.{name}": value for name, value in signs.items()}})

    def reorder(self, order: Sequence[int]) -> Ranking:
        """The kept candidates in another order, scores untouched. `order` holds indices into `kept`, each once."""
        return replace(self, kept=tuple(self.kept[index] for index in order))

    def ordered(self, order: Sequence[int], scale: Scale) -> Ranking:
        """As `reorder`, for a judgement that gave an order but no scores: the old scores are taken away."""
        kept = tuple(replace(self.kept[index], score=None) for index in order)
        return replace(self, kept=kept, scale=scale)

    def drop(self, why: Why, where: Callable[[int, Ranked], bool]) -> Ranking:
        """Take out the kept candidates for which `where(index, ranked)` holds."""
        kept, out = [], []
        for index, ranked in enumerate(self.kept):
            if where(index, ranked):
                out.append(Dropped(ranked, why))
            else:
                kept.append(ranked)
        return replace(self, kept=tuple(kept), dropped=self.dropped + tuple(out)) if out else self

    def scored(self, judged: Sequence[Ranked], scale: Scale, ties: Callable[[Ranked], Any] | None = None) -> Ranking:
        """Sort by new scores, best first; ties by `ties` (smallest first) if given, then in incoming order.

        `judged` is `kept` with new scores, in the same order. A candidate whose score is `None` was not judged and
        stays in the place it came in; the judged ones are sorted around it.
        """
        known = [r for r in judged if r.score is not None]
        if ties is not None:
            known.sort(key=ties)
        best = iter(sorted(known, key=lambda r: -(r.score or 0.0)))
        return replace(self, kept=tuple(r if r.score is None else next(best) for r in judged), scale=scale)
