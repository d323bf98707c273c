"""What a caller hands to an adapter is used as it is, or refused by name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Engine
from tamis.adapters import arguments
from tamis.errors import ConfigError, InputError

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
)


@given(value=anything)
def test_a_limit_is_a_whole_number_above_0_or_none(value: Any) -> None:
    if value is None or (type(value) is int and value > 0):
        assert arguments.limit("top_k", value) == value
    else:
        with pytest.raises(InputError, match="top_k must be a whole number > 0"):
            arguments.limit("top_k", value)


@given(value=anything)
def test_a_threshold_is_a_finite_number_or_none(value: Any) -> None:
    if value is None or (type(value) in (int, float) and math.isfinite(value)):
        assert arguments.threshold("threshold", value) == (value if value is None else float(value))
    else:
        with pytest.raises(InputError, match="threshold must be a finite number"):
            arguments.threshold("threshold", value)


def test_numbers_of_numpy_are_numbers() -> None:
    assert (arguments.limit("n", np.int64(3)), arguments.threshold("t", np.float32(0.5))) == (3, 0.5)
    assert type(arguments.limit("n", np.int64(3))) is int
    assert type(arguments.threshold("t", np.float32(0.5))) is float


@given(value=anything)
def test_a_flag_is_true_or_false(value: Any) -> None:
    if isinstance(value, bool):
        assert arguments.flag("explain", value) is value
    else:
        with pytest.raises(InputError, match="explain must be True or False"):
            arguments.flag("explain", value)


@pytest.mark.parametrize("value", ["title", None, 3, [1], ["title", 2]], ids=repr)
def test_names_are_a_list_of_strings_and_never_the_letters_of_one(value: Any) -> None:
    with pytest.raises(InputError, match="fields must be a list of strings"):
        arguments.names("fields", value)
    assert arguments.names("fields", ("title", "date")) == ["title", "date"]


def test_documents_come_from_any_iterable_and_each_is_checked() -> None:
    assert arguments.documents("documents", (Path(name) for name in "ab"), Path, "Give paths.") == [
        Path("a"),
        Path("b"),
    ]
    with pytest.raises(InputError, match=r"documents\[1\] must be a Path, got str. Give paths."):
        arguments.documents("documents", [Path("a"), "b"], Path, "Give paths.")


@given(value=st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.dictionaries(st.text(), st.text())))
def test_what_is_no_list_of_documents_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="documents must be a list of Path"):
        arguments.documents("documents", value, Path, "Give paths.")


def test_an_error_shows_the_value_but_not_all_of_it() -> None:
    with pytest.raises(InputError) as caught:
        arguments.limit("top_k", "secret " * 1000)
    assert len(str(caught.value)) < 200


def test_the_error_is_the_one_asked_for() -> None:
    with pytest.raises(ConfigError, match="top_k"):
        arguments.limit("top_k", 0, ConfigError)


class Later:
    async def __call__(self, ranking: Any) -> None: ...


async def later(ranking: Any) -> None: ...


@pytest.mark.parametrize("value", [later, Later()], ids=["function", "object"])
def test_a_callback_that_would_have_to_be_awaited_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="on_ranking must be a plain function"):
        arguments.callback("on_ranking", value)


def test_a_callback_is_any_callable_or_none() -> None:
    assert arguments.callback("on_ranking", None) is None
    assert arguments.callback("on_ranking", print) is print
    with pytest.raises(InputError, match="on_ranking must be a function"):
        arguments.callback("on_ranking", "print")


def test_engine_options_are_written_as_data_whole_or_not_at_all() -> None:
    options = {"deadline": 2.0, "cache": None, "on_failure": "raise", "vectors": Path("vectors")}
    assert arguments.engine_data(options) == {**options, "vectors": "vectors"}
    assert arguments.engine_data(None) is None
    with pytest.raises(InputError, match="on_event"):
        arguments.engine_data({**options, "on_event": print})
    with pytest.raises(InputError, match="mapping"):
        arguments.engine_data(Engine())
