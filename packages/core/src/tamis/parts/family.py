"""Families of parts that can be written by name: judges, schedules, stages, models, ...

A family is declared beside the base class of its members. Its own members are the classes that its package lists in
its `__init__.pyi`: the name in YAML is the class name in snake case. Other installed packages add members by an entry
point in the family's group, under whatever name they choose:

    [project.entry-points."tamis.judges"]
    coin_flip = "acme.judges:CoinFlip"

So plain data reaches installed, registered classes and nothing else.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from importlib import import_module
from inspect import isabstract
from types import MappingProxyType
from typing import Any

from pydantic import (
    BeforeValidator,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)

from tamis.errors import ConfigError
from tamis.parts.part import readable, unknown
from tamis.parts.permissions import made
from tamis.parts.plugins import Plugin, claimed, normal, plugins
from tamis.parts.secrets import shown

REFERENCE = "x-tamis-part"
"""Marks, in a JSON schema, a field that holds a part of another family; `tamis.json_schema` turns it into a `$ref`."""

_declared: list[Family] = []


@dataclass(frozen=True, eq=False)
class Family:
    """One kind of named part.

    Args:
        kind: what messages call a member, such as "judge".
        base: the class members derive from; `None` where members share none (models).
        package: dotted name of the package whose public classes are the built-in members.
        key: what the JSON schema calls the family.
        group: the entry point group in which other packages name theirs.
        names: class names by YAML name, where that is not the class name in snake case.

    `JudgeRef = Annotated[Judge, *JUDGES]` is the type of a field that takes a member, its name or its plain data.
    """

    kind: str
    base: type | None
    package: str
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
        own, others = self._own(normal(name)), plugins(self.group, normal(name))
        if own is None and not others:
            others = plugins(self.group, normal(name), fresh=True)
        if len(claims := self._claims(name)) > 1:
            raise claimed(self.kind, name, claims)
        if own is not None:
            return own
        if not others:
            raise ConfigError(unknown(self.kind, name, self.members))
        return self._checked(others[0])

    def __contains__(self, name: object) -> bool:
        """Whether a member is called `name`, whether or not it can be used."""
        return isinstance(name, str) and bool(self._own(normal(name)) or plugins(self.group, normal(name)))

    def name_of(self, cls: type) -> str | None:
        """What YAML calls `cls`; `None` when it is not a registered member. Of several names, one that nothing else
        has."""
        if cls.__module__.startswith("tamis."):
            name = next((name for name, public in self._public.items() if public == cls.__name__), None)
            if name is not None and (own := self._own(name)) and _place(own) == _place(cls):
                return name
        names = [plugin.name for plugin in self._plugins(cls)]
        return next((name for name in names if len(self._claims(name)) == 1), next(iter(names), None))

    def written(self, cls: type) -> str | None:
        """The name from which YAML gets `cls` back; `None` when it is not a registered member. Raises `ConfigError`
        when its name cannot be read back: two packages claim it, or the class cannot be used."""
        if (name := self.name_of(cls)) is not None:
            self.resolve(name)
        return name

    def package_of(self, cls: type) -> str | None:
        """The other package that adds `cls`, with its version; `None` for a built-in or unregistered class."""
        return next((plugin.package for plugin in self._plugins(cls)), None)

    @property
    def members(self) -> tuple[str, ...]:
        """All names, in alphabetical order. Imports the built-in members, not those of other packages."""
        own = {name for name in self._public if self._own(name) is not None}
        return tuple(sorted({*own, *(plugin.name for plugin in plugins(self.group))}))

    def usable(self) -> Iterator[tuple[str, type]]:
        """Name and class of each member, in alphabetical order. One that cannot be used is left out with a warning that
        names its package, so that one broken package does not take the others away."""
        for name in self.members:
            try:
                yield name, self.resolve(name)
            except ConfigError as error:
                warnings.warn(f"left out the {self.kind} {name!r}: {error}", stacklevel=2)

    def kin(self, value: Any) -> bool:
        """Whether `value` is of this kind, registered or not."""
        return self.base is not None and isinstance(value, self.base)

    def build(self, value: Any, context: Any = None) -> Any:
        """Make the member that `value` describes: `"name"`, `{name: {field: value}}` or `{name: first_field, field:
        value}`. Raises `ConfigError` naming the part, the field and the value."""
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, Mapping) or not value:
            raise ConfigError(f"a {self.kind} is written as a name or as {{name: options}}, got {shown(value)}")
        name = self._named(value)
        options = value[name]
        others = {key: item for key, item in value.items() if key != name}
        cls = self.resolve(name)
        if options is None:
            options = {}
        elif not isinstance(options, Mapping):
            if not _fields(cls):
                raise ConfigError(f"{self.kind} {name!r} takes no options, got {shown(options)}")
            options = {_fields(cls)[0].name: options}
        if twice := options.keys() & others.keys():
            raise ConfigError(f"{self.kind} {name!r}: {', '.join(sorted(map(str, twice)))} is given twice")
        try:
            return made(self.adapter(cls).validate_python({**options, **others}, context=context), context)
        except ValidationError as error:
            raise readable(f"{self.kind} {name!r}", error, cls) from None

    def _named(self, value: Mapping[Any, Any]) -> Any:
        """The key that names the member: the first one; of data whose keys were sorted, the only one that is a name."""
        first, *others = value
        if first in self:
            return first
        known = [key for key in others if key in self]
        return known[0] if len(known) == 1 else first

    def adapter(self, cls: type) -> TypeAdapter[Any]:
        """What validates and describes `cls`. `ConfigError` for a class that pydantic cannot read."""
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(cls)
            adapter.rebuild(raise_errors=True)  # Nothing to do, unless an annotation has no meaning yet.
        except (PydanticUserError, PydanticUndefinedAnnotation) as error:
            package = self.package_of(cls)
            raise ConfigError(
                f"{cls.__module__}.{cls.__qualname__}{f' of {package}' if package else ''} cannot be made from plain "
                f"data ({error.message.splitlines()[0]}); annotate its fields with types that pydantic knows"
            ) from error
        return adapter

    def validate(self, value: Any, context: Any) -> Any:
        """A member from itself or from the data that describes it."""
        return value if self.kin(value) else self.build(value, context)

    def check(self, cls: type) -> None:
        """Raise `ConfigError`, beginning with "is" or "has", unless `cls` can be a member."""
        if self.base is not None and not issubclass(cls, self.base):
            raise ConfigError(f"is not a {self.kind}: derive {cls.__qualname__} from tamis.extend.{self.base.__name__}")
        if isabstract(cls):
            missing = ", ".join(
                sorted(name for name in dir(cls) if getattr(getattr(cls, name), "__isabstractmethod__", False))
            )
            raise ConfigError(f"is not a whole {self.kind}: {cls.__qualname__} has to define {missing}")
        if "__dataclass_fields__" not in vars(cls):
            raise ConfigError(f"is not a part: put the decorator tamis.extend.part on {cls.__qualname__}")

    def _validated(self, value: Any, info: ValidationInfo) -> Any:
        return self.validate(value, info.context)

    @cached_property
    def _public(self) -> Mapping[str, str]:
        """By YAML name, the public classes of the package, among them the members. Imports none."""
        aliased = set(self.names.values())
        public = [name for name in import_module(self.package).__all__ if name[0].isupper() and name not in aliased]
        return {**{snake(name): name for name in public}, **self.names}

    def _own(self, name: str) -> type | None:
        """The built-in member called `name`, without importing any other."""
        public = self._public.get(name)
        cls = None if public is None else getattr(import_module(self.package), public)
        return cls if self._is_member(cls) else None

    def _is_member(self, cls: Any) -> bool:
        if not isinstance(cls, type) or isabstract(cls) or cls is self.base:
            return False
        return is_dataclass(cls) if self.base is None else issubclass(cls, self.base)

    def _claims(self, name: str) -> list[str]:
        """All that is called `name`, each with its package."""
        own = self._own(normal(name))
        others = plugins(self.group, normal(name))
        return ([f"tamis ({_place(own)})"] if own else []) + [str(other) for other in others]

    def _plugins(self, cls: type) -> list[Plugin]:
        """The entry points that add `cls`: those that name the module that defines the class, or else those that name
        one that imports it. Imports no other package for that."""
        if cls.__module__ == "builtins" or (self.base is not None and not issubclass(cls, self.base)):
            return []  # The usual case of a value, and of the other families.
        others = plugins(self.group)
        exact = [one for one in others if one.target == _place(cls)]
        if exact or cls.__module__.startswith("tamis."):
            return exact
        near = (one for one in others if one.module in sys.modules or _top(one.module) == _top(cls.__module__))
        return [one for one in near if _names(one, cls)]

    def _checked(self, plugin: Plugin) -> type:
        cls = plugin.load()
        if not isinstance(cls, type):
            raise ConfigError(f"{plugin} must name a class, not {type(cls).__name__}")
        try:
            self.check(cls)
        except ConfigError as error:
            raise ConfigError(f"{plugin} {error}") from None
        return cls


def families() -> tuple[Family, ...]:
    """The families declared so far: all of them once `tamis.recipes.schema` is imported."""
    return tuple(_declared)


def name_of(cls: type) -> str | None:
    """What YAML calls `cls`, in whatever family it is registered; `None` in none."""
    return next((name for family in _declared if (name := family.name_of(cls))), None)


def written(cls: type) -> str | None:
    """The name from which YAML gets `cls` back, in whatever family it is registered; `None` in none. `ConfigError` for
    a name that cannot be read back."""
    return next((name for family in _declared if (name := family.written(cls))), None)


def package_of(cls: type) -> str | None:
    """The other package that adds `cls`, in whatever family; `None` for a built-in or unregistered class."""
    return next((package for family in _declared if (package := family.package_of(cls))), None)


def kind_of(value: Any) -> str | None:
    """Which kind of part `value` is, registered or not; `None` when it is none."""
    return next((family.kind for family in _declared if family.kin(value)), None)


def snake(name: str) -> str:
    """A class name in snake case.

    >>> snake("TopN"), snake("LMCrossEncoder"), snake("DynamicRAG")
    ('top_n', 'lm_cross_encoder', 'dynamic_rag')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _fields(cls: Any) -> tuple[Any, ...]:
    return fields(cls) if is_dataclass(cls) else ()


def _top(module: str) -> str:
    return module.partition(".")[0]


def _place(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _names(plugin: Plugin, cls: type) -> bool:
    try:
        return plugin.load() is cls
    except ConfigError:
        return False
