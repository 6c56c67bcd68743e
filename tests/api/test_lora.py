"""The field and the bodies."""

from __future__ import annotations

import json

import msgspec
import pytest

from cria.api.decoding import decode
from cria.api.lora import (
    AdapterEntry,
    DefaultScales,
    LoadAdapterRequest,
    LoraScale,
    encode_adapters,
)
from cria.errors import RequestError


def test_a_bare_array_is_taken() -> None:
    body, warnings = decode(b' [{"id": 1, "scale": 0.5}]', DefaultScales)
    assert (body.adapters, warnings) == ([LoraScale(1, 0.5)], ())
    assert decode(b'{"adapters": []}', DefaultScales)[0].adapters == []
    with pytest.raises(RequestError):
        decode(b"[1", DefaultScales)


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "a b", "x" * 65, "a\n"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(RequestError):
        decode(json.dumps({"lora_name": name, "lora_path": "p"}).encode(), LoadAdapterRequest)


def test_the_list_is_llama_servers() -> None:
    class Entry(msgspec.Struct):
        id: int = 0
        name: str = "one"
        path: str = "/one.gguf"
        default_scale: float = 0.5

    told = msgspec.json.decode(encode_adapters([Entry()]), type=list[AdapterEntry])
    assert told == [AdapterEntry(0, "one", "/one.gguf", 0.5)]
