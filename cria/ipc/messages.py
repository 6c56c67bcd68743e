"""Every message between the server process and the engine process.

1. Server to engine: `Submit`, `Embed`, `Cancel`, `LoadAdapter`, `UnloadAdapter`. Engine to server:
   first one of `Ready` or `LoadFailed`, then `StepOutput`, `Embedded` and `AdapterLoaded`. Token
   ids cross, text never does.
2. Every `Submit` is answered by exactly one `SequenceOutput` with a `finish_reason`, and every
   `Embed` by exactly one `Embedded`, also when it was refused, cancelled or failed. A `Cancel` for
   what has ended is ignored.
3. One message per engine step, for all sequences together; never one per token.
4. End of file on either side is the death notice: the engine exits, the server fails every open
   request. A frame that does not decode counts as end of file.
5. There may be further server processes, each with a connection and with request ids of its own.
   Their end of file is no more than a `Cancel` for each of their sequences.
"""

from __future__ import annotations

import enum

import msgspec

from cria.adapter_set import BASE, AdapterSet
from cria.config import Adapter
from cria.logprobs import TokenLogprobs
from cria.sampling_params import SamplingParams

OUT_OF_MEMORY_EXIT = 12
"""The engine's exit code where Python or llama.cpp got no memory: its last message, so to speak."""
STALL_BOUNDS_MS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class FinishReason(str, enum.Enum):
    """Why a sequence ended, as the engine sees it; the server alone knows of stop strings."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"
    NAN = "nan"
    """The model's logits are not numbers."""
    REFUSED = "refused"
    """The request's grammar cannot be used, or not any further."""
    EXPIRED = "expired"
    """It has waited as long as it may, and nothing of it was computed."""


class Submit(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Generate after these tokens; `request_id` is unique for the life of the connection."""

    request_id: int
    token_ids: list[int]
    sampling_params: SamplingParams
    priority: int = 0
    """Lower is sooner; each level is worth some seconds of waiting."""
    tenant: int = 0
    """Whose it is: different ones get equal shares of the slots."""
    max_wait: float | None = None
    """Seconds that it may wait for its beginning; None: as long as it takes."""
    adapters: AdapterSet = BASE


class Embed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Make one vector of each input; ids are shared with `Submit`."""

    request_id: int
    inputs: list[list[int]]
    adapters: AdapterSet = BASE


class LoadAdapter(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Have an adapter ready for what is asked from now on; answered by one `AdapterLoaded`."""

    request_id: int
    adapter_id: int
    """Of the server's choice; it never comes again for another file."""
    path: str


class UnloadAdapter(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Let go of an adapter as soon as nothing needs it any more; not answered."""

    request_id: int
    adapter_id: int


class Cancel(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Nobody waits for this request any more: free it within the current step."""

    request_id: int


class Progress(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The share of the weights that is loaded, 0 to 1."""

    fraction: float


class EmbeddingInfo(msgspec.Struct, frozen=True, array_like=True):
    """What an engine makes of an `Embed`."""

    num_dimensions: int
    """Numbers in each vector."""
    context_size: int
    """Tokens that one input may have."""
    pooling: str
    """How the vectors of an input's tokens become one: a name of `config.POOLINGS`. With `rank`
    there is none: the first number says how well a document answers a query."""


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The model is loaded and has decoded a token."""

    num_slots: int
    context_size: int
    """Tokens that one sequence may hold."""
    num_cells: int
    """Tokens that the KV cache holds for all sequences together."""
    num_parameters: int
    model_bytes: int
    num_gpu_layers: int
    device: str
    """What computes, for humans: `CPU`, or the GPU's name."""
    num_threads: int
    warnings: list[str]
    """What was asked for and could not be had, one sentence each."""
    kv_layout: str = "unified"
    can_generate: bool = True
    """False for models that only embed: every `Submit` is refused."""
    embedding: EmbeddingInfo | None = None
    """None if the model cannot embed: every `Embed` is refused."""
    adapters: list[Adapter] = []
    """Those that the engine was started with; the first one has the id 0."""
    lora_init_without_apply: bool = False


class LoadFailed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The model cannot be served; the engine exits after this."""

    reason: str


class CacheLimitReason(str, enum.Enum):
    """Why no more of a prompt was taken over from the prefix cache."""

    DISABLED = "disabled"
    """The prefix cache is off, or the model's cache cannot be divided."""
    NO_MATCH = "no_match"
    """Nothing in the cache begins like the prompt."""
    DIFFERS_AT = "differs_at"
    """What is in the cache goes on differently."""
    CACHE_ENDS = "cache_ends"
    """There is no more of it in the cache: the prompt goes on, or the rest was evicted."""
    TOO_SHORT = "too_short"
    """So little is the same that to copy it would not pay."""
    LOGPROBS = "logprobs"
    """The log probabilities of the tokens from there on are wanted: they must be computed."""
    WHOLE_PROMPT = "whole_prompt"
    """All but the last token, which must always be computed."""


class CacheLimit(msgspec.Struct, frozen=True, array_like=True):
    """The reason, and how many tokens at the beginning are the same as in the cache."""

    reason: CacheLimitReason = CacheLimitReason.NO_MATCH
    num_same_tokens: int = 0


class SequenceTimings(msgspec.Struct, frozen=True, array_like=True):
    """What a sequence spent its time on; the three times follow each other without a gap."""

    queue_seconds: float
    """Until it was first admitted."""
    prefill_seconds: float
    """Until its first token."""
    decode_seconds: float
    """From its first token to its end; preemptions and shifts are part of it."""
    num_prompt_tokens: int
    num_cached_tokens: int
    """Those of them that did not have to be computed."""
    cache_limit: CacheLimit


class SequenceOutput(msgspec.Struct, frozen=True, array_like=True):
    """What one step made of one sequence, where that is more than one further token."""

    request_id: int
    token_ids: tuple[int, ...]
    """New tokens of this step, none or one; never an end-of-generation token."""
    finish_reason: FinishReason | None = None
    num_generated_tokens: int = 0
    """On the last output: all tokens that were sampled, the end-of-generation token included."""
    error: str | None = None
    num_cached_tokens: int = 0
    """With the first token: tokens of the prompt that did not have to be computed."""
    logprobs: TokenLogprobs | None = None
    """Of the token, if the sequence asks for them."""
    prompt_logprobs: list[TokenLogprobs] = []
    """Of further tokens of the prompt, in order; all of them come before the first token."""
    num_shifts: int = 0
    """With the tokens before and after a context shift: how often it was shifted so far."""
    timings: SequenceTimings | None = None
    """On the last output, if they were asked for."""


class EngineStats(msgspec.Struct, frozen=True, array_like=True):
    """The engine's counters after a step; the `*_total` ones only grow."""

    num_running: int = 0
    num_waiting: int = 0
    num_used_cells: int = 0
    """Of running sequences."""
    num_cached_cells: int = 0
    """Of sequences that have ended; a prompt that begins like one takes them over."""
    steps_total: int = 0
    prefill_tokens_total: int = 0
    decode_tokens_total: int = 0
    decode_steps_total: int = 0
    """Steps with at least one decoding sequence: `decode_tokens_total / decode_steps_total` is the
    mean number of sequences that shared a step."""
    cached_tokens_total: int = 0
    """Prompt tokens that were found in the cache."""
    preemptions_total: int = 0
    """Running sequences that had to give their cells to others, and are computed again later."""
    stalls: tuple[int, ...] = ()
    """A histogram of the pauses between two tokens of a sequence: how many were not longer than
    each of `STALL_BOUNDS_MS`, the longer ones last."""
    embedded_inputs_total: int = 0
    embedded_tokens_total: int = 0


class StepOutput(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """All that one step produced for one server process; nothing, if the counters alone are news.

    Most sequences just got one more token: these cross as two flat lists of the same length. What
    is in them happened before what is in `outputs`.
    """

    outputs: list[SequenceOutput]
    stats: EngineStats
    request_ids: list[int] = []
    token_ids: list[int] = []
    admitted_ids: list[int] = []
    """Sequences that were in the queue and are computed from now on."""


class Embedded(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """All that became of one `Embed`."""

    request_id: int
    vectors: bytes = b""
    """One after the other in the order of the inputs, as little-endian 32-bit floats."""
    error: str | None = None


class AdapterLoaded(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer to `LoadAdapter`."""

    request_id: int
    error: str | None = None
    """Why it cannot be used."""


ToEngine = Submit | Embed | Cancel | LoadAdapter | UnloadAdapter
ToServer = Progress | Ready | LoadFailed | StepOutput | Embedded | AdapterLoaded
