"""Models that lie: a good one, taken apart, changed in one place and put together again."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cria.model_file.header import read_header
from cria.model_file.reader import Reader
from cria.model_file.values import read_value
from cria.native.tiny_model import write_tiny_model
from tests.model_file.building import padded, text, value

F16, I32, F64 = 1, 26, 28  # enum ggml_type
HEAD = struct.Struct("<4sIQQ")


@dataclass(frozen=True)
class Part:
    """A tensor, and its data."""

    name: str
    shape: tuple[int, ...]
    type: int
    data: bytes


@dataclass
class Model:
    """All of a file, ready to be changed: keys with their values as bytes, and tensors."""

    pairs: dict[str, bytes]
    parts: list[Part]

    @classmethod
    def of(cls, path: Path) -> Model:
        data = path.read_bytes()
        with path.open("rb") as file:
            header = read_header(file)
        parts = []
        for tensor in header.tensors:
            start = header.data_start + tensor.offset
            kind = TYPE_NUMBERS[tensor.type.name]
            parts.append(
                Part(tensor.name, tensor.shape, kind, data[start : start + tensor.num_bytes])
            )
        return cls(_pairs(path), parts)

    def set(self, key: str, given: Any) -> None:
        """A value for a key; None takes it out."""
        if given is None:
            self.pairs.pop(key, None)
        else:
            self.pairs[key] = value(given)

    def change(self, name: str, make: Callable[[Part], Part | None]) -> None:
        """Put another tensor in the place of each one whose name has this in it, or none."""
        changed = (make(part) if name in part.name else part for part in self.parts)
        self.parts = [part for part in changed if part is not None]

    def encode(self) -> bytes:
        data = HEAD.pack(b"GGUF", 3, len(self.parts), len(self.pairs))
        data += b"".join(text(key) + given for key, given in self.pairs.items())
        offset = 0
        for part in self.parts:
            shape = struct.pack(f"<I{len(part.shape)}Q", len(part.shape), *part.shape)
            data += text(part.name) + shape + struct.pack("<IQ", part.type, offset)
            offset += padded(len(part.data))
        data += bytes(padded(len(data)) - len(data))
        return data + b"".join(
            part.data + bytes(padded(len(part.data)) - len(part.data)) for part in self.parts
        )


TYPE_NUMBERS = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 8}
"""Those that the tiny model has."""


def _pairs(path: Path) -> dict[str, bytes]:
    """Each key with its value as it is in the file."""
    data, pairs = path.read_bytes(), {}
    with path.open("rb") as file:
        reader = Reader(file)
        _, _, _, count = reader.numbers(HEAD)
        for _ in range(int(count)):
            key = reader.string("a key").decode()
            start = reader.position
            read_value(reader, key)
            pairs[key] = data[start : reader.position]
    return pairs


Craft = Callable[[Model], None]


def sets(**values: Any) -> Craft:
    """Numbers and texts; `__` in a name stands for a dot, as `llama__block_count`."""

    def craft(model: Model) -> None:
        for name, given in values.items():
            model.set(name.replace("__", "."), given)

    return craft


def tensor(name: str, **changes: Any) -> Craft:
    """Another type, shape or other data for the tensors with this name."""
    return lambda model: model.change(name, lambda part: replace(part, **changes))


def without(name: str) -> Craft:
    return lambda model: model.change(name, lambda part: None)


def as_type(name: str, kind: int, bytes_per_value: int) -> Craft:
    """The same number of values, all zero, in another type."""

    def make(part: Part) -> Part:
        return replace(part, type=kind, data=bytes(math.prod(part.shape) * bytes_per_value))

    return lambda model: model.change(name, make)


def filled(name: str, number: float) -> Craft:
    """F32 tensors with one number everywhere."""

    def make(part: Part) -> Part:
        count = math.prod(part.shape)
        return replace(part, type=0, data=struct.pack("<f", number) * count)

    return lambda model: model.change(name, make)


def tokens(make: Callable[[int], Any]) -> Craft:
    """All tokens of the vocabulary, by their ids."""
    return lambda model: model.set("tokenizer.ggml.tokens", [make(i) for i in range(512)])


EPSILON = "llama__attention__layer_norm_rms_epsilon"
KILLERS: dict[str, Craft] = {
    "no layers": sets(llama__block_count=0),
    "100,000 layers": sets(llama__block_count=100_000),
    "2^31 layers": sets(llama__block_count=2**31),
    "epsilon NaN": sets(**{EPSILON: math.nan}),
    "epsilon below 0": sets(**{EPSILON: -1.0}),
    "norm as F16": as_type("output_norm", F16, 2),
    "more experts used than there are": sets(llama__expert_count=4, llama__expert_used_count=100),
    "unknown scaling": sets(llama__rope__scaling__type="cube"),
    "weights as I32": as_type("ffn_up", I32, 4),
    "weights as F64": as_type("ffn_up", F64, 8),
}
"""Each of these ends a process that has llama.cpp load it and decode."""

VOCABULARY_KILLERS: dict[str, Craft] = {
    "a token twice": tokens(lambda i: str(min(i, 510))),
    "tokens of the same bytes": tokens(lambda i: b"\xff\xfe"),
    "word pieces that are bytes": sets(tokenizer__ggml__model="bert"),
    "a vocabulary that is not used": sets(tokenizer__ggml__model="none"),
}
"""These end it when it loads the vocabulary alone, or tokenises a text."""

OTHERS: dict[str, Craft] = {
    "wrong shape": tensor("blk.0.ffn_norm", shape=(64,), data=bytes(256)),
    "no heads": sets(llama__attention__head_count=0),
    "3 heads": sets(llama__attention__head_count=3),
    "no key heads": sets(llama__attention__head_count_kv=0),
    "5 key heads": sets(llama__attention__head_count_kv=5),
    "no width": sets(llama__embedding_length=0),
    "2^31 wide": sets(llama__embedding_length=2**31),
    "no feed forward": sets(llama__feed_forward_length=0),
    "no rotation": sets(llama__rope__dimension_count=0),
    "odd rotation": sets(llama__rope__dimension_count=3),
    "1e6 rotation": sets(llama__rope__dimension_count=10**6),
    "few token types": sets(tokenizer__ggml__token_type=[1, 2]),
    "alignment 0": sets(general__alignment=0),
    "alignment 3": sets(general__alignment=3),
    "alignment 2^20": sets(general__alignment=2**20),
    "alignment 2^31": sets(general__alignment=2**31),
    "a tensor is missing": without("blk.1.ffn_down"),
    "no embeddings": without("token_embd"),
    "context 0": sets(llama__context_length=0),
    "context 2^31": sets(llama__context_length=2**31),
    "epsilon 0": sets(**{EPSILON: 0.0}),
    "begin id out of range": sets(tokenizer__ggml__bos_token_id=512),
    "end id out of range": sets(tokenizer__ggml__eos_token_id=10**6),
    "empty tokens": tokens(lambda i: ""),
    "few tokens": sets(tokenizer__ggml__tokens=["a", "b"]),
    "one token of a megabyte": tokens(lambda i: "x" * 10**6 if i == 300 else str(i)),
    "NaN weights": filled("ffn_norm", math.nan),
    "infinite weights": filled("ffn_norm", math.inf),
    "rotation base 0": sets(llama__rope__freq_base=0.0),
    "rotation scale 0": sets(llama__rope__scaling__factor=0.0),
    "10 MB chat template": sets(tokenizer__chat_template="x" * 10_000_000),
    "hostile chat template": sets(
        tokenizer__chat_template="{% for a in range(99999) %}{% for b in range(99999) %}"
        "{% endfor %}{% endfor %}"
    ),
    "unknown architecture": sets(general__architecture="gpt-17"),
    "no architecture": sets(general__architecture=None),
    "an adapter": sets(general__type="adapter", adapter__type="lora"),
    "a projector": sets(general__architecture="clip"),
    "no vocabulary": sets(tokenizer__ggml__tokens=None),
    "unknown tokenizer": sets(tokenizer__ggml__model="enigma"),
    "texts for numbers": sets(llama__block_count="two"),
    "numbers for texts": sets(tokenizer__ggml__model=5),
    "odd name": sets(general__name="a\r\nb\x1b[31m\x00c\u202e"),
    "no begin token to add": sets(
        tokenizer__ggml__model="t5",
        tokenizer__ggml__add_bos_token=True,
        tokenizer__ggml__bos_token_id=None,
    ),
    "negative special id": sets(tokenizer__ggml__eos_token_id=-5),
}


def write_crafted(path: Path, craft: Craft) -> None:
    """A tiny model with one change."""
    write_tiny_model(path, layers=2, context_length=64)
    model = Model.of(path)
    craft(model)
    path.write_bytes(model.encode())
