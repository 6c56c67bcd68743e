"""What `GET /props`, `/slots` and `/tokenizer_info` say of the model and the server.

Shapes and names are llama-server's, and of the last one vLLM's; what is not true here is left out.
"""

from __future__ import annotations

from typing import Any

import msgspec


class GenerationSettings(msgspec.Struct):
    """What a request gets that asks for nothing."""

    n_ctx: int
    """Tokens that one sequence may hold."""
    params: dict[str, Any]


class Modalities(msgspec.Struct):
    """What a prompt may hold besides text."""

    vision: bool = False
    audio: bool = False
    video: bool = False


class Props(msgspec.Struct, kw_only=True):
    """The model and the server, with llama-server's names."""

    default_generation_settings: GenerationSettings
    total_slots: int
    """Sequences that are computed at the same time."""
    model_alias: str
    model_path: str
    chat_template: str
    """Empty if the model has none that works."""
    bos_token: str
    eos_token: str
    build_info: str
    chat_template_tool_use: str | msgspec.UnsetType = msgspec.UNSET
    """The one for conversations with tools, if the model has a second one."""
    modalities: Modalities = msgspec.field(default_factory=Modalities)
    endpoint_slots: bool = True
    endpoint_props: bool = False
    """Nothing can be changed by `POST /props`."""
    is_sleeping: bool = False


class Slot(msgspec.Struct):
    """One sequence's place in the engine.

    The busy ones stand first: how many there are is known here, and not which."""

    id: int
    n_ctx: int
    """Tokens that a sequence in it may hold."""
    is_processing: bool
    speculative: bool = False


class TokenizerInfo(msgspec.Struct):
    """The special tokens by their text, null for those that the model lacks."""

    vocab_size: int
    model_max_length: int
    """Tokens that one sequence may hold."""
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    add_bos_token: bool
    add_eos_token: bool
    chat_template: str | None
