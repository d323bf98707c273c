"""What every stage, criterion and source is made of: a frozen, validated dataclass."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import field, fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, PydanticUserError, ValidationError
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, TamisError
from tamis.parts.secrets import is_secret, shown, veiled

T = TypeVar("T")
FEW, MANY = 12, 40
"""How many known names are listed after a suggestion, and at most."""
LONGEST_NAME = 200
"""Characters of a name that are compared with known ones."""
PART = ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def part(cls: type[T]) -> type[T]:
    """Make `cls` a frozen pydantic dataclass whose bad arguments raise `ConfigError`: one line with name and value."""
    made: Any = dataclass(frozen=True, config=PART)(cls)
    made.__init__ = _readable(made.__init__, made)
    return made


def readable(what: str, error: ValidationError, cls: type | None = None) -> TamisError:
    """A pydantic `ValidationError` as an error of ours: one that says more than `ConfigError` where that is all."""
    causes = [item.get("ctx", {}).get("error") for item in error.errors(include_url=False)]
    if final := next((cause for cause in causes if getattr(cause, "final", False)), None):
        return final
    if len(causes) == 1 and isinstance(causes[0], TamisError) and not isinstance(causes[0], ConfigError):
        return causes[0]
    return ConfigError(explain(what, error, cls))


def explain(what: str, error: ValidationError, cls: type | None = None) -> str:
    """A pydantic `ValidationError` as one line a user can act on. `cls`: what was to be made, for suggestions.

    Values of fields that hold secrets, by their name or by `repr=False`, are left out."""
    own = fields(cls) if is_dataclass(cls) else ()
    known = [f.name for f in own]
    hidden = {f.name for f in own if not f.repr}
    problems = []
    for item in error.errors(include_url=False):
        if item["type"] == "unexpected_keyword_argument" and len(item["loc"]) == 1 and known:
            problems.append(unknown("option", str(item["loc"][0]), known).rstrip("."))
            continue
        where = veiled(".".join(str(part) for part in item["loc"]))
        silent = item["type"] in ("missing", "value_error") or any(is_secret(p) or p in hidden for p in item["loc"])
        got = "" if silent else f" (got {shown(item['input'])})"
        message = item["msg"].removeprefix("Value error, ").removeprefix(f"{what}: ")
        problems.append(f"{where}: {message}{got}" if where else f"{message}{got}")
    return f"{what}: " + "; ".join(problems)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A message for an unknown name, with the nearest known one: the shortest that contains it, or else the
    most similar. How words are joined does not count. Where one is near, a long list of the others is left out."""
    known = sorted(known)
    bare = {_letters(one): one for one in known}
    wanted = _letters(name)
    longer = sorted((one for one in bare if wanted in one), key=len) if len(wanted) >= 4 else []
    near = longer or difflib.get_close_matches(wanted, bare, n=1)
    hint = f" Did you mean {bare[near[0]]!r}?" if near else ""
    if near and len(known) > FEW:
        return f"unknown {kind} {shown(name)}.{hint}"
    more = f" and {len(known) - MANY} more" if len(known) > MANY else ""
    return f"unknown {kind} {shown(name)}.{hint} Known: {', '.join(known[:MANY]) or 'none'}{more}."


def _letters(name: Any) -> str:
    return str(name)[:LONGEST_NAME].replace("-", "").replace("_", "").lower()


def _readable(init: Callable[..., None], cls: type) -> Callable[..., None]:
    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except ValidationError as error:
            raise readable(cls.__name__, error, cls) from None
        except PydanticUserError as error:
            raise ConfigError(
                f"{cls.__module__}.{cls.__qualname__} cannot be made ({error.message.splitlines()[0]}); annotate its "
                "fields with types that pydantic knows"
            ) from error

    return checked
