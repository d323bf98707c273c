"""Addresses of APIs as people paste them: without credentials, with or without the path of the requests."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

from tamis.errors import ConfigError
from tamis.parts.secrets import HIDDEN, is_secret, veiled

OTHER_PATHS = re.compile(
    r"/(?:chat/completions|completions|responses|embeddings|rerank|reranking|api/(?:chat|generate|embed)"
    r"|(?<=/v\d/)(?:messages|models|chat|score|classify|pooling|complete|batches|files))\Z",
    re.IGNORECASE,
)
"""Paths of other requests than ours. The last ones are also names of folders: taken for paths after a version alone."""
SHORTER = {"chat/completions": "chat", "rerank": "reranking"}
"""What people also paste for a path, meaning it."""
CREDENTIALS = frozenset({"key", "code", "sig", "sas", "pass", "jwt", "session", "auth"})
"""Words in the names of a query's values that are credentials, beside those of `is_secret`."""
PAIR = re.compile(r"([^=&;/]*)=([^&;/]*)")


class Address(str):
    """An address. Its `repr` leaves out the values of its query."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(without_values(self))


def _url(value: str) -> Address:
    if any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("must not hold spaces or control characters")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must be an address, such as http://localhost:8000/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with http:// or https:// and name a host, such as http://localhost:8000/v1")
    if "@" in parts.netloc:
        raise ValueError("must not hold a password; use api_key or headers")
    named = [unquote(name) for part in (parts.path, parts.query) for name, _ in PAIR.findall(part)]
    query = unquote(parts.query)
    if any(is_secret(name) or CREDENTIALS & set(_words(name)) for name in named) or veiled(query) != query:
        raise ValueError("must not hold a key; use api_key or headers")
    if parts.fragment:
        raise ValueError(f"must not have a part after #; leave out #{veiled(parts.fragment):.40}")
    address, mark, query = value.partition("?")
    return Address(f"{address.rstrip('/')}{mark}{query}")


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


Url = Annotated[str, AfterValidator(_url)]
"""The address of an API, without credentials and without a slash at its end. A query is sent with every request."""


def without_values(address: str) -> str:
    """An address for a message: of its query only the names.

    >>> without_values("https://example.org/v1?api-version=1")
    'https://example.org/v1?api-version=***'
    """
    start, mark, query = address.partition("?")
    pairs = [part.partition("=") for part in query.split("&")]
    hidden = "&".join(f"{name}={HIDDEN}" if equals else HIDDEN for name, equals, _ in pairs)
    return f"{start}{mark}{hidden if mark else ''}"


def base_of(address: str, path: str) -> str:
    """The address of an API from one that may already end in the path of its requests, once or twice. `ConfigError`
    where it ends in that of another kind of request.

    >>> base_of("https://api.openai.com/v1/chat/completions", "chat/completions")
    'https://api.openai.com/v1'
    """
    start, mark, query = address.partition("?")
    own = [form for form in (path, SHORTER.get(path)) if form]
    while end := next((form for form in own if _ends(start, form)), None):
        start = start[: -len(end) - 1].rstrip("/")
    other = OTHER_PATHS.search(start)
    if other and not path.startswith(other[0][1:].lower()):
        ollama = other[0].lower().startswith("/api/") and path == "chat/completions"
        base = f"{start[: other.start()].rstrip('/')}{'/v1' if ollama else ''}"
        raise ConfigError(
            f"base_url {without_values(address)!r} ends in {other[0]}; requests go to /{path}. Give {base!r}"
        )
    return Address(f"{start}{mark}{query}")


def _ends(start: str, form: str) -> bool:
    """Whether an address ends in this path. A single word counts after a version, or where it is no folder's name."""
    if not start.lower().endswith(f"/{form.lower()}"):
        return False
    return form != "chat" or re.search(r"/v\d/chat\Z", start, re.IGNORECASE) is not None
