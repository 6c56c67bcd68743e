"""Operators and methods that can make much of little, each asked first what it would make.

A call that is not refused takes no longer than a look at the longest text that there may be.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from typing import Any

from cria.prompt.render_limits import LARGE, RenderLimit, fits, size_of, take, watched

_MAX_BITS = 4096
"""Of a whole number that a template computes."""
_MAX_STRIPPED = 1000
"""Characters to strip: each character of the text is looked for among them."""
_MAX_PIECES = 1_000_000
_WIDE_PERCENT = re.compile(r"%(\([^)]*\))?[^%a-zA-Z]*(\d{5}|\*)")
_WIDE_SPEC = re.compile(r"\d{5}|\{")
"""In a format: widths of five digits, or such as come from the arguments."""


def multiply(left: Any, right: Any) -> Any:
    """`*`, for numbers and repeated texts and lists."""
    _check_bits(_bits(left) + _bits(right))
    for one, other in ((left, right), (right, left)):
        if isinstance(one, (str, list, tuple)) and isinstance(other, int):
            take(size_of(one) * max(other, 0))
    return left * right


def power(base: Any, exponent: Any) -> Any:
    """`**`."""
    if isinstance(exponent, int):
        _check_bits(_bits(base) * abs(exponent))
    return operator.pow(base, exponent)


def modulo(left: Any, right: Any) -> Any:
    """`%`, for numbers and formats."""
    if isinstance(left, str):
        check_percent(left, right)
    return left % right


def check_percent(text: str, arguments: Any) -> None:
    """Raise for a format that would be long with these arguments at each of its places."""
    is_wide = _WIDE_PERCENT.search(text) is not None
    _check_format(text, text.count("%"), arguments, is_wide=is_wide)


def _check_braces(text: str, arguments: Any) -> None:
    try:
        specs = [spec or "" for _, _, spec, _ in Formatter().parse(text)]
    except ValueError:
        return  # Formatting says so, too.
    is_wide = any(map(_WIDE_SPEC.search, specs))
    _check_format(text, len(specs), arguments, is_wide=is_wide)


def _check_format(text: str, num_places: int, arguments: Any, *, is_wide: bool) -> None:
    if is_wide:
        raise RenderLimit("a format is too wide")
    # Each place may be as wide as four digits say.
    take(len(text) + num_places * (size_of(arguments) + 10_000 * (num_places > 100)))


def check_width(_text: object, width: Any = 0, *_: object) -> None:
    """For what fills up to a width."""
    if isinstance(width, int):
        take(width)


def _check_tabs(text: Any, tabsize: Any = 8) -> None:
    if isinstance(tabsize, int):
        take(len(text) + len(text) * max(tabsize, 0))


def check_replace(text: Any, old: Any, new: Any, *_: object) -> None:
    """Each occurrence may become longer."""
    if len(new) > len(old):
        take(len(text) + text.count(old) * len(new))


def check_strip(_text: object, chars: Any = None) -> None:
    if chars is not None and len(chars) > _MAX_STRIPPED:
        raise RenderLimit("it strips too many characters")


def check_split(text: Any, separator: Any = None, *_: object) -> None:
    """Pieces take more memory than their text."""
    if len(text) > _MAX_PIECES and (not separator or text.count(separator) > _MAX_PIECES):
        raise RenderLimit("it splits a text into too many pieces")


def _check_translate(text: Any, table: Any) -> None:
    if isinstance(table, Mapping):
        longest = max((size_of(value) for value in table.values()), default=1)
        take(len(text) * max(longest, 1))


def _check_size(_number: object, length: Any = 1, *_: object) -> None:
    if isinstance(length, int):
        take(length)


_CHECKS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), check_width),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), check_strip),
    **dict.fromkeys(("split", "rsplit", "splitlines"), check_split),
    "expandtabs": _check_tabs,
    "replace": check_replace,
    "translate": _check_translate,
    "to_bytes": _check_size,
}


def guard_method(method: Any) -> Callable[..., Any] | None:
    """The same method behind its check; None for those that need none."""
    owner, name = method.__self__, method.__name__
    if name == "join" and isinstance(owner, (str, bytes)):
        return lambda parts: owner.join(checked_parts(parts, len(owner)))
    check = _CHECKS.get(name)
    if check is None or not isinstance(owner, (str, bytes, int)):
        return None

    def guarded(*args: Any, **kwargs: Any) -> Any:
        check(owner, *args, *kwargs.values())
        return method(*args, **kwargs)

    return guarded


def guard_change(method: Any) -> Callable[..., Any]:
    """A method that changes a list."""

    def guarded(*args: Any) -> Any:
        built(args)
        return method(*args)

    return guarded


def guard_format(format_text: str, method: Callable[..., str]) -> Callable[..., str]:
    """Of `str.format` and `str.format_map`, which the sandbox has made safe."""

    def guarded(*args: Any, **kwargs: Any) -> str:
        _check_braces(format_text, [*args, kwargs])
        return method(*args, **kwargs)

    return guarded


def checked_parts(parts: Iterable[Any], separator_size: int = 0) -> list[Any]:
    """What is about to be joined."""
    found = list(watched(parts))
    take(sum(map(len, found)) + separator_size * len(found))
    return found


def written(value: Any) -> Any:
    """The same value, which is about to be written as text."""
    if type(value) is str:
        return value
    if isinstance(value, (list, tuple, dict, set)):
        take(size_of(value))
    return value


def built(value: Any) -> Any:
    """The same list, tuple or dict, which has just been put together.

    Checked here, because all that can be done with it, comparing too, takes as long as it is large.
    """
    size_of(value)
    return value


def fits_written(value: Any) -> str:
    """The text of what has just been made; both checks at once."""
    if type(value) is str and len(value) < LARGE:
        return value
    return str(written(fits(value)))


def join_texts(values: tuple[Any, ...]) -> str:
    """`~`."""
    fitting: str = fits("".join([str(written(value)) for value in values]))
    return fitting


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise RenderLimit("it computes numbers that are too large")
