"""Fields of metadata: how they are found, and what is reported of one that tells nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from reprlib import repr as short
from typing import Any

from tamis.criteria.values import missing
from tamis.values.ranking import Notice, Ranked

SHOWN = 3


def lookup(metadata: Mapping[str, Any], path: str) -> Any:
    """`metadata[path]`, or nested by dots; `None` when absent."""
    value: Any = metadata
    for key in [path] if isinstance(metadata, Mapping) and path in metadata else path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def unreadable(
    head: Sequence[Ranked],
    field: str,
    readable: Callable[[Any], bool],
    wanted: str,
    remedy: str = "",
    *,
    some: bool = True,
) -> list[Notice]:
    """A notice where no candidate has `field`, naming fields that are called alike; or where values of it are not
    `readable`. `wanted`: what they are not; `some`: whether to report it also where others are readable."""
    found = {ranked.position: lookup(ranked.candidate.metadata, field) for ranked in head}
    given = {position: value for position, value in found.items() if not missing(value)}
    if head and not given:
        return [Notice(absent(head, field), tuple(found), degraded=False)]
    wrong = {position: value for position, value in given.items() if not readable(value)}
    if not wrong or (not some and len(wrong) < len(given)):
        return []
    shown = ", ".join(dict.fromkeys(map(short, list(wrong.values())[:SHOWN])))
    more = f"; {remedy}" if remedy else ""
    said = (
        f"{len(wrong)} of {len(given)} values of the metadata field {field!r} are not {wanted}, such as {shown}: they "
        f"count as unknown{more}"
    )
    return [Notice(said, tuple(wrong), degraded=False)]


def absent(head: Sequence[Ranked], field: str) -> str:
    """What to say where no candidate has a value in `field`."""
    names = Counter(name for ranked in head for name in _names(ranked.candidate.metadata))
    if names[field]:
        return f"no candidate has a value in the metadata field {field!r}: it is unknown for all"
    plain = {_plain(name): name for name in names}
    close = [plain[name] for name in get_close_matches(_plain(field), list(plain), n=SHOWN, cutoff=0.6)]
    known = close or [name for name, _ in names.most_common(8)]
    if not known:
        return f"the candidates have no metadata: the field {field!r} is unknown for all"
    listed = ", ".join(map(repr, known))
    there = f"; {'close names' if close else 'there'} are {listed}"
    return f"no candidate has the metadata field {field!r}: it is unknown for all{there}"


def _names(metadata: Mapping[str, Any], before: str = "", depth: int = 3) -> Iterator[str]:
    for name, value in metadata.items():
        path = f"{before}{name}"
        yield path
        if isinstance(value, Mapping) and depth > 1:
            yield from _names(value, f"{path}.", depth - 1)


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")
