"""Pictures in prompts: those that are their own content, and addresses that somebody would have to open.

Documents come from anywhere. An address that one names is not opened, neither here nor by the server of a model, unless
the caller permits it: `allow_image_addresses` of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tamis.values.answers import Failure

INLINE = re.compile(
    r"data:image/(?:png|jpe?g|gif|webp|bmp|avif|heic|heif|tiff)(?:;[\w.+-]{1,40}=[\w.+-]{1,40}){0,4};base64,",
    re.IGNORECASE,
)
"""Formats of pixels alone. SVG is none: it may hold addresses."""
PERMIT = (
    "give pictures as `data:image/png;base64,...` (or jpeg, gif, webp, bmp, avif, heic, tiff), or permit "
    "addresses where the model is made, such as "
    "OpenAIChat(..., allow_image_addresses=True)"
)


def inline(image: Any) -> bool:
    """Whether a picture is its own content: a `data:` URL of pixels in base64.

    >>> inline("data:image/png;base64,iVBORw0"), inline("https://example.org/a.png"), inline("file:///a.png")
    (True, False, False)
    """
    return isinstance(image, str) and INLINE.match(image) is not None


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
