"""`GET /health`: llama-server's shape, with the engine's counters beside it."""

from __future__ import annotations

import msgspec


class EngineHealth(msgspec.Struct):
    """`decode_tokens_total / decode_steps_total` is how many sequences shared a step."""

    running: int
    waiting: int
    used_cells: int
    cached_cells: int
    steps_total: int
    prefill_tokens_total: int
    decode_tokens_total: int
    decode_steps_total: int
    cached_tokens_total: int
    preemptions_total: int
    stalls_ms: dict[str, int]
    """How many pauses in streams were not longer than so many milliseconds."""
    embedded_inputs_total: int
    embedded_tokens_total: int
    restarts: int


class UnreadyError(msgspec.Struct):
    """Why it is not; of all errors this one's code is a number, as llama-server has it."""

    message: str
    type: str = "unavailable_error"
    param: None = None
    code: int = 503
    reason: str = "model_loading"
    """`engine_unresponsive` or `engine_unavailable`, as in the code of other errors."""


class Unready(msgspec.Struct):
    """The engine is not ready."""

    error: UnreadyError


class Probe(msgspec.Struct):
    """`/livez` and `/readyz`: the status is `live` or `ready`."""

    status: str


class Health(msgspec.Struct):
    """The engine is ready."""

    status: str
    engine: EngineHealth
