"""Families of parts that can be written by name: judges, schedules, stages, models, ...

A family is declared beside the base class of its members. Its own members are the classes that its packages list in
their `__init__.pyi`: the name in YAML is the class name in snake case. Other installed packages add members by an entry
point in the family's group, under whatever name they choose:

    [project.entry-points."tamis.judges"]
    coin_flip = "acme.judges:CoinFlip"

So plain data reaches installed, registered classes and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from inspect import isabstract
from types import MappingProxyType
from typing import Any

from pydantic import BeforeValidator, PydanticUserError, TypeAdapter, ValidationError, ValidationInfo, WithJsonSchema

from tamis.errors import ConfigError
from tamis.parts.part import explain, unknown
from tamis.parts.plugins import Plugin, normal, plugins

REFERENCE = "x-tamis-part"
"""Marks, in a JSON schema, a field that holds a part of another family; `tamis.json_schema` turns it into a `$ref`."""

_declared: list[Family] = []


@dataclass(frozen=True, eq=False)
class Family:
    """One kind of named part.

    Args:
        kind: what messages call a member, such as "judge".
        base: the class members derive from; `None` where members share none (models).
        packages: dotted names of the packages whose public names are the built-in members.
        key: what the JSON schema calls the family.
        group: the entry point group in which other packages name theirs.
        names: class names by YAML name, where that is not the class name in snake case.

    `JudgeRef = Annotated[Judge, *JUDGES]` is the type of a field that takes a member, its name or its plain data.
    """

    kind: str
    base: type | None
    packages: tuple[str, ...]
    key: str
    group: str
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        _declared.append(self)

    def __iter__(self) -> Iterator[Any]:
        yield BeforeValidator(self._validated)
        yield WithJsonSchema({REFERENCE: self.key})

    def resolve(self, name: str) -> type:
        """The class called `name`; hyphens and underscores are the same.

        Raises `ConfigError`: with suggestions for an unknown name, naming both packages for a name claimed twice, and
        naming the package whose class cannot be used.
        """
        name = normal(name) if isinstance(name, str) else name
        own, others = self._own(name), plugins(self.group, name)
        if own is None and not others:
            others = plugins(self.group, name, fresh=True)
        claims = ([f"tamis ({own.__module__}:{own.__qualname__})"] if own else []) + [str(other) for other in others]
        if len(claims) > 1:
            raise ConfigError(
                f"the {self.kind} name {name!r} is claimed by {' and by '.join(claims)}. Uninstall one of the "
                "packages, or ask its authors for another name."
            )
        if own is not None:
            return own
        if not others:
            raise ConfigError(unknown(self.kind, name, self.members))
        return self._checked(others[0])

    def name_of(self, cls: type) -> str | None:
        """What YAML calls `cls`; `None` when it is no registered member."""
        if any(cls.__module__.startswith(f"{package}.") for package in self.packages) and self._is_member(cls):
            name = next((name for name, known in self.names.items() if known == cls.__name__), snake(cls.__name__))
            if (own := self._own(name)) is not None and own.__qualname__ == cls.__qualname__:
                return name
        place = f"{cls.__module__}:{cls.__qualname__}"
        return next((plugin.name for plugin in plugins(self.group) if plugin.value == place), None)

    @property
    def members(self) -> tuple[str, ...]:
        """All names, in alphabetical order. Imports the packages."""
        aliased = set(self.names.values())
        own = {snake(name) for name in self._public() if name not in aliased and self._is_member(self._attribute(name))}
        return tuple(sorted({*own, *self.names, *(plugin.name for plugin in plugins(self.group))}))

    def build(self, value: Any, context: Any = None) -> Any:
        """Make the member that `value` describes: `"name"`, `{name: {field: value}}` or `{name: first_field, field:
        value}`. Raises `ConfigError` naming the part, the field and the value."""
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, Mapping) or not value:
            raise ConfigError(f"a {self.kind} is written as a name or as {{name: options}}, got {value!r}")
        (name, options), *rest = value.items()
        cls = self.resolve(name)
        if options is None:
            options = {}
        elif not isinstance(options, Mapping):
            if not _fields(cls):
                raise ConfigError(f"{self.kind} {name!r} takes no options, got {options!r}")
            options = {_fields(cls)[0].name: options}
        try:
            return self.adapter(cls).validate_python({**options, **dict(rest)}, context=context)
        except ValidationError as error:
            raise ConfigError(explain(f"{self.kind} {name!r}", error, cls)) from error

    def adapter(self, cls: type) -> TypeAdapter[Any]:
        """What validates and describes `cls`. `ConfigError` for a class that pydantic cannot read."""
        try:
            return TypeAdapter(cls)
        except PydanticUserError as error:
            raise ConfigError(
                f"{cls.__module__}.{cls.__qualname__} cannot be made from plain data "
                f"({error.message.splitlines()[0]}); decorate it with tamis.extend.part and annotate its "
                "fields with types pydantic knows"
            ) from error

    def validate(self, value: Any, context: Any) -> Any:
        """A member from itself or from the data that describes it."""
        return value if self.base is not None and isinstance(value, self.base) else self.build(value, context)

    def _validated(self, value: Any, info: ValidationInfo) -> Any:
        return self.validate(value, info.context)

    def _public(self) -> Iterator[str]:
        for package in self.packages:
            yield from import_module(package).__all__

    def _attribute(self, name: str) -> Any:
        package = next(package for package in self.packages if name in import_module(package).__all__)
        return getattr(import_module(package), name)

    def _own(self, name: str) -> type | None:
        """The built-in member called `name`, without importing any other."""
        wanted = self.names.get(name)
        for public in self._public():
            if public == wanted or (wanted is None and snake(public) == name):
                found = self._attribute(public)
                return found if self._is_member(found) else None
        return None

    def _is_member(self, cls: Any) -> bool:
        if not isinstance(cls, type) or isabstract(cls) or cls is self.base:
            return False
        return is_dataclass(cls) if self.base is None else issubclass(cls, self.base)

    def _checked(self, plugin: Plugin) -> type:
        cls = plugin.load()
        if not isinstance(cls, type):
            raise ConfigError(f"{plugin} must name a class, not {type(cls).__name__}")
        if self.base is not None and not issubclass(cls, self.base):
            base = f"{self.base.__module__}.{self.base.__qualname__}"
            raise ConfigError(f"{plugin} is not a {self.kind}: derive {cls.__qualname__} from {base}")
        return cls


def families() -> tuple[Family, ...]:
    """The families declared so far: all of them once `tamis.recipes.schema` is imported."""
    return tuple(_declared)


def name_of(cls: type) -> str | None:
    """What YAML calls `cls`, in whatever family it is registered; `None` in none."""
    return next((name for family in _declared if (name := family.name_of(cls))), None)


def snake(name: str) -> str:
    """A class name in snake case.

    >>> snake("TopN"), snake("LMCrossEncoder"), snake("DynamicRAG")
    ('top_n', 'lm_cross_encoder', 'dynamic_rag')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _fields(cls: Any) -> tuple[Any, ...]:
    return fields(cls) if is_dataclass(cls) else ()
