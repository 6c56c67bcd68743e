"""The fields of a request by their paths on the wire, to be read, set and taken back.

Two fields are looked into, because their members are what is said: `reasoning.effort` and
`chat_template_kwargs.enable_thinking` are paths, and the two fields themselves none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from cria.api.decoding import RequestBody, attributes
from cria.api.reasoning import Reasoning

KWARGS = "chat_template_kwargs"
REASONING = "reasoning"


def members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What the field of that name says, by path."""
    if name == KWARGS:
        yield from ((f"{name}.{key}", member) for key, member in value.items())
    elif name == REASONING and isinstance(value, Reasoning):
        said = msgspec.structs.asdict(value)
        yield from ((f"{name}.{key}", each) for key, each in said.items() if each is not None)
    else:
        yield name, value


def given_paths(request: RequestBody) -> frozenset[str]:
    """The paths of all that was sent."""
    known = attributes(type(request))
    named = (name for name in request.given if name in known)
    return frozenset(
        path for name in named for path, _ in members(name, getattr(request, known[name]))
    )


def has(kind: type[RequestBody], path: str) -> bool:
    """Whether requests of this kind have such a field."""
    return path.partition(".")[0] in attributes(kind)


def read(request: RequestBody, path: str) -> Any:
    """The value there; None if nothing is."""
    name, dot, key = path.partition(".")
    value = getattr(request, attributes(type(request))[name])
    if not dot:
        return value
    return value.get(key) if isinstance(value, dict) else getattr(value, key, None)


def write(request: RequestBody, path: str, value: Any) -> None:
    """Set it, whatever its type says."""
    name, dot, key = path.partition(".")
    attribute = attributes(type(request))[name]
    if dot and name == REASONING:
        value = msgspec.structs.replace(getattr(request, attribute) or Reasoning(), **{key: value})
    elif dot:
        value = {**getattr(request, attribute), key: value}
    setattr(request, attribute, value)


def take_back(request: RequestBody, path: str) -> None:
    """Make it what it is when nothing is sent."""
    name, _, key = path.partition(".")
    attribute = attributes(type(request))[name]
    if name == KWARGS:
        kept = getattr(request, attribute).items()
        setattr(request, attribute, {other: value for other, value in kept if other != key})
    elif name == REASONING:
        write(request, path, None)
    else:
        setattr(request, attribute, _default(type(request), attribute))


def is_said(request: RequestBody, path: str) -> bool:
    """Whether the value there is another one than when nothing is sent."""
    name, dot, key = path.partition(".")
    attribute = attributes(type(request))[name]
    if not dot:
        return bool(getattr(request, attribute) != _default(type(request), attribute))
    value = getattr(request, attribute)
    return key in value if isinstance(value, dict) else read(request, path) is not None


def said_names(request: RequestBody) -> frozenset[str]:
    """The fields that have another value than when nothing is sent."""
    known = attributes(type(request))
    return frozenset(
        name
        for name, attribute in known.items()
        if attribute not in _required(type(request))
        and getattr(request, attribute) != _default(type(request), attribute)
    )


@cache
def _required(kind: type[RequestBody]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(kind) if field.required)


def _default(kind: type[RequestBody], attribute: str) -> Any:
    field = _fields(kind)[attribute]
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


@cache
def _fields(kind: type[RequestBody]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}
