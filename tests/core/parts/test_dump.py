"""Parts as plain data and back: whatever their fields hold, what is read is what was written."""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import Field

from support.examples import examples
from support.plugins import on_path, pretend
from tamis.criteria.criterion import Criterion
from tamis.errors import ConfigError, TamisError
from tamis.models import CostOnly, Function
from tamis.parts.dump import changed, dump, to_yaml
from tamis.parts.family import Family
from tamis.parts.part import part
from tamis.recipes.schema import FAMILIES
from tamis.values.model import MODELS


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@part
class Inner:
    weight: float = 1.0
    names: tuple[str, ...] = ()


@part
class Holder:
    """One field of every type that plain data can carry."""

    needed: int
    text: str = "text"
    ratio: float = 0.5
    flag: bool = False
    maybe: int | None = 3
    colour: Colour = Colour.RED
    choice: Literal["one", "two"] = "one"
    words: frozenset[str] = frozenset()
    pairs: tuple[tuple[str, float], ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    day: date | None = None
    time: datetime | None = None
    span: timedelta = timedelta(0)
    path: Path = Path("here")
    pydantic_default: int = Field(default=7)
    pydantic_factory: list[int] = Field(default_factory=list)
    derived: int = field(default=0, init=False)
    secret: str = field(default="", repr=False)


TEXT = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False)
INNERS = st.builds(Inner, weight=NUMBER, names=st.lists(TEXT, max_size=2).map(tuple))
HOLDERS = st.builds(
    Holder,
    needed=st.integers(),
    text=TEXT,
    ratio=NUMBER,
    flag=st.booleans(),
    maybe=st.none() | st.integers(),
    colour=st.sampled_from(Colour),
    choice=st.sampled_from(["one", "two"]),
    words=st.frozensets(TEXT, max_size=3),
    pairs=st.lists(st.tuples(TEXT, NUMBER), max_size=2).map(tuple),
    table=st.dictionaries(TEXT, NUMBER, max_size=2),
    inner=INNERS,
    inners=st.lists(INNERS, max_size=2).map(tuple),
    day=st.none() | st.dates(),
    time=st.none() | st.datetimes(timezones=st.just(UTC)),
    span=st.timedeltas(timedelta(0), timedelta(99)),
    path=st.sampled_from([Path("here"), Path("a/b")]),
    pydantic_default=st.integers(),
    pydantic_factory=st.lists(st.integers(), max_size=2),
)


@given(HOLDERS)
def test_what_is_read_back_is_what_was_written(held: Holder) -> None:
    data = dump(held)
    assert Holder(**data) == held
    assert Holder(**yaml.safe_load(to_yaml(data))) == held
    assert data.keys() <= {f.name for f in fields(Holder)} - {"derived", "secret"}  # type: ignore[arg-type]


@given(HOLDERS)
def test_a_part_is_written_one_way_only(held: Holder) -> None:
    assert to_yaml(dump(Holder(**dump(held)))) == to_yaml(dump(held))
    assert dump(held)["needed"] == held.needed
    assert all(getattr(held, name) != getattr(Holder(0), name) for name in dump(held).keys() - {"needed"})


def test_only_what_is_not_at_its_default_is_written() -> None:
    assert dump(Holder(1)) == {"needed": 1}
    assert changed(Holder(1, pydantic_factory=[])) == {"needed": 1}
    assert dump(Holder(1, secret="key", inner=Inner(2.0))) == {"needed": 1, "inner": {"weight": 2.0}}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (Colour.BLUE, "blue"),
        (PurePosixPath("a/b"), "a/b"),
        (frozenset("cab"), ["a", "b", "c"]),
        ({Colour.RED: (1, 2)}, {"red": [1, 2]}),
        (datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01T00:00:00Z"),
    ],
)
def test_values_become_what_yaml_has(value: Any, plain: Any) -> None:
    assert dump(value) == plain
    assert yaml.safe_load(to_yaml(dump(value))) == plain


@dataclass(frozen=True)
class OwnModel:
    """A model that no entry point names."""

    cache_key: str = "own"

    def classify(self, calls: Any) -> Any:
        return calls


@pytest.mark.parametrize("value", [object(), len, OwnModel(), Function(len, "classify"), [OwnModel()], Inner, {1: len}])
def test_what_has_no_name_is_refused_with_the_remedy(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written as data.*docs/extending\.md"):
        dump(value)


def _value(hint: Any, depth: int) -> st.SearchStrategy[Any] | None:
    """Values for a field, by its type; `None` where no rule says which."""
    if get_origin(hint) is Annotated:
        inner, *extra = get_args(hint)
        family = next((f for f in FAMILIES for one in extra if getattr(one, "func", None) == f._validated), None)
        if family is not None:
            return _parts(family, depth - 1) if depth and family.key != "model" else None
        found = _value(inner, depth)
        bounds = [one for one in extra if isinstance(one, type(Field()))]
        if found is None or not bounds:
            return found
        numbers = st.integers(1, 50) if inner is int else st.sampled_from([0.25, 0.5, 0.75, 1.0])
        return numbers if inner in (int, float) else found
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(1, 50)
    if hint is float:
        return st.sampled_from([0.25, 0.5, 0.75, 1.0])
    if hint is str:
        return st.text("abc", min_size=1, max_size=4)
    return None


def _required(cls: Any) -> set[str]:
    return {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}


@cache
def _makeable(family: Family, depth: int) -> list[tuple[Any, dict[str, st.SearchStrategy[Any]]]]:
    """The members whose required fields have rules, with the values of their fields."""
    found = []
    for name in family.members:
        cls: Any = family.resolve(name)
        hints = get_type_hints(cls, include_extras=True)
        own = {f.name: _value(hints[f.name], depth) for f in fields(cls)}
        own = {name: values for name, values in own.items() if values is not None}
        own |= {"model": st.sampled_from([CostOnly("one"), CostOnly("two")])} if "model" in hints else {}
        if _required(cls) <= own.keys():
            found.append((cls, own))
    return found


def _parts(family: Family, depth: int = 2) -> st.SearchStrategy[Any]:
    """Random members: some fields at random values their types allow, the others at their default."""

    @st.composite
    def made(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
        cls, own = draw(st.sampled_from(_makeable(family, depth)))
        options = {}
        for f in fields(cls):
            if f.name in own and (f.name in _required(cls) or draw(st.booleans())):
                options[f.name] = draw(own[f.name])
        for names in (options.keys(), _required(cls)):
            with suppress(TamisError):  # values that do not go together
                return cls(**{name: options[name] for name in names})
        return assume(False)

    return made()


@pytest.mark.parametrize("family", [f for f in FAMILIES if f is not MODELS], ids=lambda family: family.kind)
@examples(30)
@given(data=st.data())
def test_a_random_member_of_every_family_is_read_back_equal(family: Family, data: st.DataObject) -> None:
    member = data.draw(_parts(family))
    written = dump(member)
    again = family.build(yaml.safe_load(to_yaml(written))) if not isinstance(written, list) else None
    if again is not None:
        assert again == member
        assert dump(again) == written


def test_a_part_holds_values_of_another_package(tmp_path: Path) -> None:
    code = """
import enum
from contextlib import suppress
from tamis.extend import Policy, part
class How(enum.Enum): UP = "up"; DOWN = "down"
@part
class Rule: how: How = How.UP; names: frozenset[str] = frozenset()
@part
class Ruled(Policy):
    rule: Rule = Rule()
    def count(self, scores): return len(scores)
"""
    with on_path(pretend(tmp_path, "ruled", "1", {"tamis.policies ruled": "ruled:Ruled"}, {"ruled.py": code})):
        import tamis

        stage = tamis.load([{"dynamic_k": {"policy": {"ruled": {"rule": {"how": "down", "names": ["b", "a"]}}}}}])
        assert stage.to_data() == [{"dynamic_k": {"policy": {"ruled": {"rule": {"how": "down", "names": ["a", "b"]}}}}}]
        assert tamis.from_yaml(stage.to_yaml()) == stage


def test_every_dataclass_that_parts_hold_can_be_written() -> None:
    assert dump(Criterion("x", "about")) == {"name": "x", "description": "about"}
    assert is_dataclass(Criterion)
