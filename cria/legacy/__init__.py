"""Llama models and adapters in the formats from before GGUF: read, checked, and written as GGUF.

`ggml`, `ggmf` and `ggjt` are models, `ggla` is an adapter. llama.cpp reads none of them any more.
"""

from cria.legacy.adapter import convert_adapter
from cria.legacy.assumed import LegacyOptions
from cria.legacy.cache import adapter_as_gguf, as_gguf, is_legacy, is_legacy_adapter
from cria.legacy.model import convert_model

__all__ = [
    "LegacyOptions",
    "adapter_as_gguf",
    "as_gguf",
    "convert_adapter",
    "convert_model",
    "is_legacy",
    "is_legacy_adapter",
]
