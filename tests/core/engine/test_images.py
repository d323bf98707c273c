"""No address of a picture reaches a model that does not permit it, whatever stage or model is asked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Engine, Query, Ranking, Stage
from tamis.values.answers import Failure, Generated
from tamis.values.calls import Call, ChoiceLogprobs, Generate, Message
from tamis.values.images import inline, refused, sendable


class Kept:
    """A model that notes what reaches it."""

    name = "kept"
    cache_key = "kept"

    def __init__(self, **about: Any) -> None:
        self.seen: list[str] = []
        vars(self).update(about)

    def generate(self, calls: Sequence[Generate]) -> list[Generated]:
        self.seen += [image for call in calls for message in call.messages for image in message.images]
        return [Generated("[1]") for _ in calls]


class Asks(Stage):
    """Sends the pictures of the query as they are, as a stage from another package may."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.answers: Any = ()

    def plan(self, ranking: Ranking) -> Generator[list[Call], Sequence[Any], Ranking]:
        one = [Generate(self.model, (Message("user", "which?", (image,)),)) for image in ranking.query.images]
        self.answers = yield [*one, Generate(self.model, (Message("user", "none"),))]
        return ranking


PICTURES = ["data:image/png;base64,AA", "DATA:image/png;base64,BB", "https://x/y.png", "file:///etc/passwd", "//x", ""]


def asked(model: Any, images: Sequence[Any]) -> tuple[Asks, Ranking]:
    stage = Asks(model)
    return stage, Engine().rerank(stage, Query("q", images=tuple(images)), ["a", "b"])


def test_a_call_with_an_address_is_a_failure_that_says_what_to_do() -> None:
    model = Kept()
    stage, ranking = asked(model, PICTURES)
    assert model.seen == PICTURES[:2]
    assert [isinstance(answer, Failure) for answer in stage.answers] == [False, False, True, True, True, True, False]
    assert "allow_image_addresses" in stage.answers[2].message
    assert ranking.usage.failed == 4
    assert ranking.usage.calls == 3


def test_a_model_that_permits_addresses_gets_them() -> None:
    model = Kept(allow_image_addresses=True)
    asked(model, PICTURES)
    assert model.seen == PICTURES


@pytest.mark.parametrize("permits", [1, "yes", None, False])
def test_only_true_permits(permits: Any) -> None:
    model = Kept(allow_image_addresses=permits)
    asked(model, PICTURES)
    assert model.seen == PICTURES[:2]


@given(st.text(max_size=30) | st.binary(max_size=5) | st.none() | st.text(max_size=30).map("data:image/{}".format))
def test_what_is_sent_begins_with_data(image: Any) -> None:
    sent = sendable(None, [image])
    assert sent == ((image,) if inline(image) else ())
    assert all(one.lower().startswith("data:image/") for one in sent)


@pytest.mark.parametrize(
    "image",
    [
        "data:",
        "data:x",
        "data:http://evil/x.png",
        "data://evil/x.png",
        "data:,http://evil/",
        "data:text/html;base64,AA",
        "data:image/svg+xml;base64,AA",
        "data:image/svg+xml;utf8,<svg><image href='http://evil/'/></svg>",
        "data:image/png",
        "data:image/png,http://evil/",
        "data:image/pngx;base64,AA",
        " data:image/png;base64,AA",
        "d\u0430ta:image/png;base64,AA",
        "data:image/png;x=http://evil/;base64,AA",
    ],
)
def test_only_pixels_are_their_own_content(image: str) -> None:
    assert not inline(image)
    model = Kept()
    asked(model, [image])
    assert model.seen == []


@pytest.mark.parametrize("kind", ["png", "jpeg", "JPG", "gif", "webp", "bmp", "avif", "heic", "png;name=a.png"])
def test_pictures_of_pixels_are_sent(kind: str) -> None:
    assert inline(f"data:image/{kind};base64,AA")


async def test_async_too() -> None:
    model = Kept()
    stage = Asks(model)
    await Engine().arerank(stage, Query("q", images=("https://x/y.png",)), ["a"])
    assert model.seen == []
    assert isinstance(stage.answers[0], Failure)


def test_choices_are_refused_alike() -> None:
    call = ChoiceLogprobs(Kept(), (Message("user", "which?", ("https://x/y.png",)),), ("a", "b"))
    assert refused(call) is not None
    assert refused(Generate(Kept(), (Message("user", "which?", ("data:image/png;base64,AA",)),))) is None
