"""Pictures in prompts: those that are their own content, and addresses that somebody would have to open.

Documents come from anywhere. An address that one names is not opened, neither here nor by the server of a model, unless
the caller permits it: `allow_image_addresses` of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tamis.values.answers import Failure

INLINE = "data:"
PERMIT = (
    "give pictures as `data:` URLs, or permit addresses where the model is made, such as "
    "OpenAIChat(..., allow_image_addresses=True)"
)


def inline(image: Any) -> bool:
    """Whether a picture is its own content, a `data:` URL.

    >>> inline("data:image/png;base64,iVBORw0"), inline("https://example.org/a.png"), inline("file:///a.png")
    (True, False, False)
    """
    return isinstance(image, str) and image[: len(INLINE)].lower() == INLINE


def sendable(model: Any, images: Iterable[str]) -> tuple[str, ...]:
    """Those of `images` that may be sent to `model`."""
    permitted = getattr(model, "allow_image_addresses", False) is True
    return tuple(image for image in images if permitted or inline(image))


def refused(call: Any, model: Any = None) -> Failure | None:
    """Why a call must not reach `model`, by default its own: it carries an address of a picture without permission."""
    images = [image for message in getattr(call, "messages", ()) for image in getattr(message, "images", ())]
    if len(sendable(call.model if model is None else model, images)) == len(images):
        return None
    return Failure("error", f"the prompt carries the address of a picture, which would be opened: {PERMIT}")
