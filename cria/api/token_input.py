"""Texts or token ids, as the fields `prompt` and `input` take them."""

from __future__ import annotations

from typing import Annotated, Any, cast

from msgspec import Meta

from cria.api.sampling_fields import TokenId
from cria.errors import RequestError

TokenIds = Annotated[list[TokenId], Meta(min_length=1)]


def as_list(value: str | list[Any]) -> list[str] | list[list[int]]:
    """One item a text, or an array of token ids."""
    if isinstance(value, str):
        return [value]
    if value and isinstance(value[0], int):
        return [cast("list[int]", value)]
    return cast("list[str] | list[list[int]]", value)


def check_same_kind(value: object, param: str) -> None:
    """Texts and token ids do not go together."""
    if isinstance(value, list) and len({type(item) for item in value}) > 1:
        raise RequestError(
            f"Invalid type for '{param}': expected a string, an array of strings, an array of "
            "token ids or an array of arrays of token ids, but got a mixture instead.",
            param=param,
            code="invalid_type",
        )
