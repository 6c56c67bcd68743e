"""`FileDescription`: what a GGUF file says of itself, for people and for lists of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from cria.model_file.file_types import FILE_TYPES
from cria.model_file.header import Header, TensorInfo
from cria.model_file.values import Value

POOLINGS = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
"""Of `enum llama_pooling_type`."""
_ABOUT = ("name", "author", "organization", "license", "description", "url")


class TypeShare(msgspec.Struct, frozen=True):
    """What of a model is stored as one type."""

    type: str
    num_tensors: int
    num_bytes: int


class FileDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a file, or of a split set as a whole; what it does not say is None."""

    kind: str
    """`model`, or what else such files hold, such as `adapter`."""
    architecture: str
    num_parameters: int
    num_bytes: int
    num_files: int
    quantisation: str
    """By the name of the file's type, else that of most of its bytes."""
    types: list[TypeShare]
    """The largest first."""
    about: dict[str, str] = {}
    """Name, author, license and so on, where they are told."""
    context_length: int | None = None
    """What it was trained with, in tokens."""
    num_layers: int | None = None
    embedding_length: int | None = None
    num_heads: int | None = None
    num_kv_heads: int | None = None
    num_experts: int | None = None
    vocabulary_size: int | None = None
    tokenizer: str | None = None
    pooling: str | None = None
    """Of a model that embeds or ranks."""
    has_chat_template: bool = False


def describe_file(headers: Sequence[Header]) -> FileDescription:
    """From the headers of all parts, the first one first."""
    first = headers[0]
    tensors = [tensor for header in headers for tensor in header.tensors]
    types = _types(tensors)
    tokens = first.metadata.get("tokenizer.ggml.tokens")
    pooling = _number(first.of_model("pooling_type"))
    return FileDescription(
        kind=_text(first.metadata.get("general.type")) or "model",
        architecture=first.architecture,
        num_parameters=sum(header.num_weights for header in headers),
        num_bytes=sum(header.num_bytes for header in headers),
        num_files=len(headers),
        quantisation=_quantisation(first, types),
        types=types,
        about=_about(first),
        context_length=_number(first.of_model("context_length")),
        num_layers=_number(first.of_model("block_count")),
        embedding_length=_number(first.of_model("embedding_length")),
        num_heads=_number(first.of_model("attention.head_count")),
        num_kv_heads=_number(first.of_model("attention.head_count_kv")),
        num_experts=_number(first.of_model("expert_count")),
        vocabulary_size=len(tokens) if isinstance(tokens, (list, tuple)) else None,
        tokenizer=first.tokenizer or None,
        pooling=None if pooling is None else POOLINGS.get(pooling, str(pooling)),
        has_chat_template=bool(first.metadata.get("tokenizer.chat_template")),
    )


def _types(tensors: Sequence[TensorInfo]) -> list[TypeShare]:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        counts[tensor.type.name] += 1
        sizes[tensor.type.name] += tensor.num_bytes
    return [TypeShare(name, counts[name], size) for name, size in sizes.most_common()]


def _quantisation(header: Header, types: Sequence[TypeShare]) -> str:
    named = FILE_TYPES.get(_number(header.metadata.get("general.file_type")) or 0)
    if named is not None and "general.file_type" in header.metadata:
        return named
    return types[0].type if types else "none"


def _about(header: Header) -> dict[str, str]:
    found = {name: _text(header.metadata.get(f"general.{name}")) for name in _ABOUT}
    return {name: text for name, text in found.items() if text}


def _text(value: Value | None) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Value | None) -> int | None:
    """None where each layer has a number of its own."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
