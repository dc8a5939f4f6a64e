"""What the package offers: each public name with its signature, one a line."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

MODULES = ("cachebus", "cachebus.aio")


def listing() -> str:
    """The text of `public-api.txt`."""
    lines = []
    for name in MODULES:
        module = importlib.import_module(name)
        for public in sorted(module.__all__):
            lines += _described(f"{name}.{public}", getattr(module, public))
    return "".join(f"{line}\n" for line in lines)


def _described(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(name, value)
    elif inspect.isfunction(value):
        yield _function(name, value)
    else:
        # An alias of a type.
        yield f"{name} = {value}"


def _class(name: str, value: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    yield f"class {name}({bases})"
    if issubclass(value, enum.Enum):
        yield from (f"{name}.{member.name} = {member.value!r}" for member in value)
    elif inspect.isfunction(value.__init__) and not getattr(value, "_is_protocol", False):
        yield f"{name}{_signature(value)}"
    fields = getattr(value, "__annotations__", {})
    yield from (f"{name}.{field}: {kind}" for field, kind in sorted(fields.items()) if not field.startswith("_"))
    yield from (f"{name}.{attribute}" for attribute in sorted(_attributes(value)))
    for member in sorted(dir(value)):
        defined = next((vars(base)[member] for base in value.__mro__ if member in vars(base)), None)
        if not member.startswith("_") or member in ("__call__", "__enter__", "__aenter__", "__iter__", "__aiter__"):
            yield from _member(f"{name}.{member}", defined)


def _attributes(value: type) -> set[str]:
    """What an instance has once it is made, beside its fields."""
    init = vars(value).get("__init__")
    if init is None or dataclasses.is_dataclass(value):
        return set()
    return set(re.findall(r"\bself\.([a-z]\w*)(?:: [^=]+)? = ", inspect.getsource(init)))


def _member(name: str, defined: Any) -> Iterator[str]:
    if isinstance(defined, property):
        yield f"{name}: {defined.fget.__annotations__.get('return')}"
    elif isinstance(defined, (classmethod, staticmethod)):
        yield f"{type(defined).__name__} {_function(name, defined.__func__)}"
    elif inspect.isfunction(defined):
        yield _function(name, defined)


def _function(name: str, function: Any) -> str:
    kind = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{kind} {name}{_signature(function)}"


def _signature(value: Any) -> str:
    signature = inspect.signature(value)
    parameters = [each.replace(annotation=_Text.of(each.annotation)) for each in signature.parameters.values()]
    signature = signature.replace(parameters=parameters, return_annotation=_Text.of(signature.return_annotation))
    # Where a function lives is nobody's business.
    return re.sub(r" at 0x[0-9a-f]+", "", str(signature))


class _Text(str):
    """An annotation as the source has it."""

    __slots__ = ()

    @classmethod
    def of(cls, annotation: Any) -> Any:
        return cls(annotation) if isinstance(annotation, str) else annotation

    def __repr__(self) -> str:
        return str(self)
