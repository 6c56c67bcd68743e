"""Adapters on the wire: the field `lora`, and the routes that list, load and unload them.

`/lora-adapters` is llama-server's, `/load_lora_adapter` and `/unload_lora_adapter` are vLLM's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from cria.adapter_set import MAX_SCALE
from cria.api.decoding import RequestBody

Scale = Annotated[float, Meta(ge=-MAX_SCALE, le=MAX_SCALE)]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
AdapterName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}(?!\n)$")]


class LoraChoice(msgspec.Struct):
    """An adapter, by its number or its name, and how strongly it acts."""

    scale: Scale
    id: Number | None = None
    name: str | None = None


class LoraScale(msgspec.Struct):
    """The same by its number alone, as llama-server has it."""

    id: Number
    scale: Scale


LoraChoices = Annotated[list[LoraChoice], Meta(max_length=64)]


class DefaultScales(RequestBody, kw_only=True):
    """What acts on requests that ask for nothing; a bare array stands for `adapters`."""

    ARRAY: ClassVar[str] = "adapters"

    adapters: Annotated[list[LoraScale], Meta(max_length=1024)]
    model: str | None = None


class LoadAdapterRequest(RequestBody, kw_only=True):
    """Load a file below the operator's folder."""

    lora_name: AdapterName
    lora_path: Annotated[str, Meta(min_length=1, max_length=4096)]
    """Absolute, or from the folder on."""
    model: str | None = None
    """Which one it is for, if there are several."""


class UnloadAdapterRequest(RequestBody, kw_only=True):
    """Let an adapter go."""

    lora_name: Annotated[str, Meta(min_length=1, max_length=64)]
    model: str | None = None


class AdapterEntry(msgspec.Struct):
    """An adapter, as llama-server lists it, with its name."""

    id: int
    name: str
    path: str
    scale: float
    """On requests that ask for nothing."""


def encode_adapters(entries: Sequence[Any]) -> bytes:
    """The list of all of them."""
    told = [AdapterEntry(e.id, e.name, e.path, e.default_scale) for e in entries]
    return msgspec.json.encode(told)
