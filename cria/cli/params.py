"""Values of options that click has no type for, each with its own sentence for a mistake."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import click

from cria.cli.architectures import is_architecture
from cria.config import ALL_LAYERS

MAX_LAYERS = 10_000

if TYPE_CHECKING:
    ParamType = click.ParamType[Any, Any]
else:
    # Generic only in newer releases of click.
    ParamType = click.ParamType


class GpuLayers(ParamType):
    """A number, `all`, or `auto` for None."""

    name = "N|all|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | None:
        word = str(value).strip().lower()
        if word == "auto":
            return None
        if word in ("all", str(ALL_LAYERS)):
            return ALL_LAYERS
        if not word.isascii() or not word.isdigit() or int(word) > MAX_LAYERS:
            self.fail(f"{value!r} is neither a number of layers nor 'all' nor 'auto'.", param, ctx)
        return int(word)


class TensorSplit(ParamType):
    """Shares of the model per GPU, such as `3,1`."""

    name = "SHARE,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            shares = tuple(float(share) for share in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 3,1.", param, ctx)
        if not all(math.isfinite(share) and share >= 0 for share in shares) or not any(shares):
            self.fail(f"{value!r} must hold shares >= 0, at least one above 0.", param, ctx)
        return shares


class FloatRange(click.FloatRange):
    """click's own, which takes NaN, as that is beyond no bound."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Numbers(ParamType):
    """Numbers above 0 and not above `most`, separated by commas, such as `1,8,32`."""

    name = "N,..."

    def __init__(self, kind: type[int] | type[float], most: int) -> None:
        self._kind = kind
        self._most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(self._kind(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 1,8,32.", param, ctx)
        if not all(0 < number <= self._most for number in numbers):
            self.fail(f"{value!r} must hold numbers above 0, at most {self._most}.", param, ctx)
        return numbers


class Word(ParamType):
    """A word that follows a pattern; several are separated by commas in the environment."""

    envvar_list_splitter = ","

    def __init__(
        self,
        name: str,
        pattern: str = r"[!-+\--~]+",
        complaint: str = "must be visible ASCII characters without spaces or commas.",
    ) -> None:
        self.name, self._pattern, self._complaint = name, re.compile(pattern), complaint

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        word = str(value).strip()
        if not self._pattern.fullmatch(word):
            # The value may be a key: do not repeat it.
            self.fail(self._complaint, param, ctx)
        return word


HOST_NAME = Word(
    "NAME",
    r"[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]",
    "is a name or address without a port, such as example.com.",
)
"""As `Host` headers have it."""
ORIGIN = Word(
    "ORIGIN",
    r"\*|null|[a-z][a-z0-9+.-]*://[^/?#@\s]+",
    "is an origin such as https://example.com, without a path.",
)
"""As `Origin` headers have it; `*` is all."""


class StorePath(ParamType):
    """A file, or `none` for None."""

    name = "PATH|none"

    def convert(self, value: Any, param: Any, ctx: Any) -> str | None:
        return None if value == "none" else str(value)


class Architecture(ParamType):
    """Accepted because the original asked for it."""

    name = "NAME"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if not is_architecture(str(value)):
            self.fail(f"{value!r} is not llama, gpt2, gptj, gpt-neo-x or mpt.", param, ctx)
        return str(value)
