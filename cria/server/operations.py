"""What a view says about itself, beside its rule: the source of `/openapi.json` and `/docs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from cria.api.decoding import RequestBody

View = TypeVar("View", bound=Callable[..., Any])

_ATTRIBUTE = "cria_operation"


class Operation(NamedTuple):
    """One route; its view's name is the operation's id."""

    summary: str
    request: type[RequestBody] | None = None
    answer: Any = None
    """The type of the JSON of a 200; None if that is no JSON."""
    media_type: str = "application/json"
    """Of a 200."""
    streams: bool = False
    """The answer can be a stream of events."""
    events: str = "Events of one JSON object each; the last one is `[DONE]`, or has an `error`."
    """What such a stream consists of."""
    failures: Mapping[str, Any] = {}
    """The types of failures, by status, that are not the usual error object."""
    query: Mapping[str, str] = {}
    """The names and meanings of query parameters."""


def describe(operation: Operation) -> Callable[[View], View]:
    """Attach the description to a view; a test fails for a view that has none."""

    def attach(view: View) -> View:
        setattr(view, _ATTRIBUTE, operation)
        return view

    return attach


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What `describe` has attached."""
    operation: Operation | None = getattr(view, _ATTRIBUTE, None)
    return operation
