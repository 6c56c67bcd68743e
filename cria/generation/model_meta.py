"""What is told of a model beside its name."""

from __future__ import annotations

import os
from functools import cache

from cria.api.models import Meta
from cria.errors import SetupError
from cria.ipc.messages import Ready
from cria.model_file import check_model_file


def describe(info: Ready) -> Meta:
    """What the model is, and what it can do."""
    meta: Meta = {"n_params": info.num_parameters, "size": info.model_bytes}
    capabilities = []
    if info.can_generate:
        capabilities.append("completion")
        meta |= {"n_ctx": info.context_size, "n_slots": info.num_slots}
    if info.embedding is not None:
        capabilities.append("rerank" if info.embedding.pooling == "rank" else "embedding")
        meta |= {"n_embd": info.embedding.num_dimensions, "pooling": info.embedding.pooling}
        meta.setdefault("n_ctx", info.embedding.context_size)
    return meta | {"capabilities": capabilities}


@cache
def describe_file(path: str) -> Meta:
    """The same as far as the file of a model says it; nothing if it cannot be read."""
    try:
        header = check_model_file(path)
    except SetupError:
        return {}
    meta: Meta = {"n_params": header.num_weights, "size": header.num_bytes}
    if isinstance(trained := header.of_model("context_length"), int):
        meta["n_ctx_train"] = trained
    return meta


def model_name(path: str) -> str:
    """The id of a model without an alias: its file's name, without the ending."""
    return os.path.basename(path).removesuffix(".gguf")
