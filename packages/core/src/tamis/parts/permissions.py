"""What a pipeline that comes as data may do beyond computing: only what the caller permits.

Data from elsewhere can name any part with any options. Parts that reach out of the process say so: fields by `Needs` in
their type, a part as a whole by a method `needed_permissions()`, which returns `Need`s. `tamis.load` refuses what is
not in `allow`; a part that is made in Python is the caller's own, and may do everything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ValidationInfo
from pydantic_core import core_schema

from tamis.errors import ConfigError
from tamis.parts.part import unknown
from tamis.parts.secrets import shown

Permission = Literal["code", "environment", "files", "images", "network"]
KINDS: Mapping[str, str] = {
    "code": "run code that comes with model weights",
    "environment": "read the environment variable",
    "files": "open the file or folder",
    "images": "have addresses of pictures opened that documents name",
    "network": "open the address",
}
"""What each permission lets a pipeline do."""
FLAGS = ("code", "images")
"""Permissions of which there is no narrower form."""
ALL = "all"
HUB = "https://huggingface.co"
"""Where weights that are no folder are downloaded from."""
ADDRESS = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+|\[[0-9a-fA-F:]+\])(:\d+)?|[\w-]+:\d+")
"""A host with a port, or one that can be nothing else."""
Allow = str | Iterable[str]
"""Permissions: `"network"`, or narrower `"network:api.example.com"`, `"network:localhost:8000"`, `"files:models"`,
`"environment:OPENAI_API_KEY"`; `"images"`; `"code"`; `"all"`. One, or a collection of them."""


class NotPermitted(ConfigError):
    """A pipeline in data would do what the caller has not permitted. `missing`: the permissions it lacks."""

    final = True
    """Reaches the caller as it is, not as a part of another message."""

    def __init__(self, wanted: Iterable[Need]) -> None:
        wanted = list(dict.fromkeys(wanted))
        self.missing = tuple(dict.fromkeys(need.grant for need in wanted))
        wide = sorted({need.permission for need in wanted})
        told = "; ".join(map(str, wanted))
        options = " ".join(f"--allow {grant}" for grant in self.missing)
        super().__init__(
            f"the pipeline comes as data and is not permitted to {told}. If you trust it, pass allow="
            f"{{{', '.join(map(repr, self.missing))}}} (command line: {options}). "
            f"Wider: allow={{{', '.join(map(repr, wide))}}} permits all of the kind"
        )


@dataclass(frozen=True)
class Need:
    """One thing a part does beyond computing: the permission for it, the field that asks for it, and its object."""

    permission: Permission
    field: str
    value: str

    @property
    def grant(self) -> str:
        """The narrowest permission that is enough."""
        if self.permission in FLAGS:
            return self.permission
        if self.permission == "network":
            return f"network:{_host(self.value)}"
        return f"{self.permission}:{self.value}"

    def __str__(self) -> str:
        value = "" if self.permission in FLAGS else f" {shown(self.value)}"
        return f"{KINDS[self.permission]}{value} (field {self.field})"


@dataclass
class Permissions:
    """What the caller of one `load` permits, and what was asked for without permission."""

    allowed: frozenset[str]
    refused: list[Need] = field(default_factory=list)

    @classmethod
    def of(cls, allow: Allow) -> Permissions:
        """`ConfigError` for what is no permission."""
        if not isinstance(allow, (str, Iterable)):
            raise ConfigError(
                "allow must be a permission such as 'network:localhost:8000', or a collection of them; "
                f"{ALL!r} permits everything. Got {shown(allow)}"
            )
        given = frozenset({allow} if isinstance(allow, str) else allow)
        for one in given:
            if meant := _meant(str(one)):
                raise ConfigError(f"unknown permission {shown(one)}. Did you mean {meant!r}?")
            kind, narrowed, value = str(one).partition(":")
            if kind not in (*KINDS, ALL):
                raise ConfigError(unknown("permission", str(one)[:40], (*KINDS, ALL)))
            if narrowed and (not value or kind in (*FLAGS, ALL)):
                raise ConfigError(f"the permission {kind!r} is written {'alone' if value else 'with a value behind :'}")
        return cls(given)

    def need(self, need: Need, *, at_once: bool = False) -> None:
        """Note what is not permitted, for `settle`. `at_once`: raise `NotPermitted` now, with all that was noted."""
        if not self._permits(need):
            self.refused.append(need)
            if at_once:
                self.settle()

    def settle(self) -> None:
        """`NotPermitted` when something was refused."""
        if self.refused:
            raise NotPermitted(self.refused)

    def _permits(self, need: Need) -> bool:
        if not self.allowed.isdisjoint((ALL, need.permission)):
            return True
        values = [one.partition(":")[2] for one in self.allowed if one.startswith(f"{need.permission}:")]
        return any(_covers(need, value) for value in values)


def asked(context: Any) -> Permissions | None:
    """The permissions a validation runs under; `None`: the caller's own objects, which may do everything."""
    found = (context or {}).get("allow")
    return found if isinstance(found, Permissions) else None


@dataclass(frozen=True)
class Needs:
    """Marks the type of a field whose value the part opens, reads or runs: `Annotated[str, Needs("files")]`.

    Asked for where plain data gives the field a value that is text or `True`; a default of the field is the part's own.

    >>> from typing import Annotated
    >>> from tamis.extend import Policy, part
    >>> @part
    ... class FromFile(Policy):
    ...     file: Annotated[str, Needs("files")]
    ...     def count(self, scores):
    ...         return len(scores)
    """

    permission: Permission

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.with_info_before_validator_function(self._checked, handler(source))

    def _checked(self, value: Any, info: ValidationInfo) -> Any:
        permissions = asked(info.context)
        if permissions is not None and isinstance(value, (str, bytes, int, os.PathLike)) and value is not False:
            text = os.fsdecode(value) if isinstance(value, (str, bytes, os.PathLike)) else str(value)
            at_once = self.permission not in FLAGS  # Nothing happens yet where a field is but set to true.
            permissions.need(Need(self.permission, info.field_name or "", text), at_once=at_once)
        return value


def weights(value: Any, info: ValidationInfo) -> Any:
    """A validator of fields that name weights: a folder is a file to open, any other name a download."""
    permissions = asked(info.context)
    if permissions is not None and isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        local = os.path.exists(text) or text.startswith((".", "~", "/")) or "\\" in text or text.count("/") > 1
        name = info.field_name or ""
        permissions.need(Need("files", name, text) if local else Need("network", name, f"{HUB}/{text}"))
    return value


def made(part: Any, context: Any) -> Any:
    """A part that was built under `context`, once its `needed_permissions` have been asked for."""
    permissions = asked(context)
    if permissions is not None and hasattr(type(part), "needed_permissions"):
        for need in part.needed_permissions():
            permissions.need(need)
    return part


def _meant(text: str) -> str | None:
    """The permission for which `text` has only the address, path or variable, or for which it has more than the
    host."""
    kind, _, value = text.partition(":")
    if kind in (*KINDS, ALL):
        host = _host(value) if kind == "network" and "://" in value else ""
        return f"network:{host}" if host else None
    if "://" in text:
        host = _host(text)
        return f"network:{host}" if host else None
    if text.startswith((".", "~", "/")):
        return f"files:{text}"
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", text):
        return f"environment:{text}"
    return f"network:{text}" if ADDRESS.fullmatch(text) else None


def _host(address: str) -> str:
    """The host of an address, and its port where it is written."""
    try:
        parts = urlsplit(address)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        return f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return ""


def _covers(need: Need, value: str) -> bool:
    if need.permission == "network":
        host = _host(need.value).lower()
        return bool(host) and value.lower() in (host, host.rpartition(":")[0] if _has_port(host) else host)
    if need.permission == "files":
        folder, wanted = os.path.realpath(os.path.expanduser(value)), os.path.realpath(need.value)
        return wanted == folder or wanted.startswith(folder.rstrip(os.sep) + os.sep)
    return value == need.value


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit() and not host.endswith("]")
