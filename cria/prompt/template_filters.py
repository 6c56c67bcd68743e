"""Jinja's filters behind the limits of `render_limits`, without those that make HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from cria.prompt.render_limits import RenderLimit, size_of, take, watched
from cria.prompt.template_guards import (
    check_percent,
    check_replace,
    check_strip,
    check_width,
    checked_parts,
    written,
)

OF_WEB_PAGES = ("striptags", "urlize", "xmlattr")
"""No prompt needs them, and they are slow with text that is made for it."""
_MAX_COUNT = 100_000

Filter = Callable[..., Any]
Check = Callable[..., Any]
"""Gets what the filter gets; returns what it gets for its first argument instead."""


def limit_filters(filters: dict[str, Filter]) -> None:
    """Put a check before each filter that needs one."""
    for name in OF_WEB_PAGES:
        del filters[name]
    for name, check in _CHECKS.items():
        filters[name] = _checked(filters[name], check)


def _checked(function: Filter, check: Check) -> Filter:
    # Those that Jinja hands its context or environment have it in front of the value.
    num_first = int(hasattr(function, "jinja_pass_arg"))

    @wraps(function)
    def filter_(*args: Any, **kwargs: Any) -> Any:
        value = check(*args[num_first:], **kwargs)
        return function(*args[:num_first], value, *args[num_first + 1 :], **kwargs)

    return filter_


def _watch(value: Any, *_: object, **__: object) -> Any:
    """For what goes through items one by one; a text or a mapping stays what it is."""
    take(len(value) if isinstance(value, str) else 0)
    return value if isinstance(value, (str, dict)) or not value else watched(value)


def _list(value: Iterable[Any]) -> Any:
    take(len(value) if isinstance(value, str) else 0)
    return value if isinstance(value, (str, dict)) else watched(value)


def _weigh(value: Any, *_: object, **__: object) -> Any:
    """For what compares items, or writes them."""
    if isinstance(value, (str, dict)):
        return written(value)
    items = list(watched(value)) if isinstance(value, Iterable) else value
    return written(items)


def _center(value: Any, width: Any = 80) -> Any:
    check_width(value, width)
    return value


def _indent(value: Any, width: Any = 4, *_: object, **__: object) -> Any:
    size = len(width) if isinstance(width, str) else width
    take(len(value) + (value.count("\n") + 1) * size)
    return value


def _count(value: Any, count: Any = 1, *more: object, **named: object) -> Any:
    if isinstance(count, int) and count > _MAX_COUNT:
        raise RenderLimit("it makes too many lists")
    take(count * size_of([*more, *named.values()]))
    return _watch(value)


def _number(value: Any, precision: Any = 0, *_: object, **__: object) -> Any:
    if isinstance(precision, int) and abs(precision) > 1000:
        raise RenderLimit("it computes numbers that are too large")
    return value


def _wordwrap(value: Any, *args: Any, **kwargs: Any) -> Any:
    wrapstring = kwargs.get("wrapstring", args[2] if len(args) > 2 else None)
    take(len(value) * (1 + len(wrapstring or "\n")))
    if len(value) > _MAX_COUNT:
        raise RenderLimit("it wraps a text that is too long")
    return value


def _format(value: Any, *args: Any, **kwargs: Any) -> Any:
    check_percent(str(value), kwargs or list(args))
    return value


def _replace(value: Any, old: Any, new: Any, *_: object, **__: object) -> Any:
    check_replace(str(value), str(old), str(new))
    return value


def _join(value: Iterable[Any], d: Any = "", attribute: Any = None) -> Any:
    # With an attribute the items are more than what is joined: too many, if anything.
    items = list(watched(value))
    for item in items:
        written(item)
    checked_parts(map(str, items), len(str(d)))
    return items


def _strip(value: Any, chars: Any = None) -> Any:
    check_strip(value, chars)
    return value


def _text(value: Any, *_: object, **__: object) -> Any:
    return written(value)


_CHECKS: dict[str, Check] = {
    **dict.fromkeys("map select reject selectattr rejectattr sum".split(), _watch),
    **dict.fromkeys("sort unique min max groupby dictsort".split(), _weigh),
    **dict.fromkeys(
        "string pprint upper lower title capitalize escape e forceescape".split(), _text
    ),
    **dict.fromkeys(("batch", "slice"), _count),
    "list": _list,
    "center": _center,
    "indent": _indent,
    "wordwrap": _wordwrap,
    "format": _format,
    "replace": _replace,
    "join": _join,
    "round": _number,
    "trim": _strip,
}
