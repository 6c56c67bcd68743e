"""What a chat completion and a text completion have in common, beside how tokens are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from cria.api.head import Choice
from cria.api.lora import LoraChoices
from cria.api.overflow import OverflowPolicy, OverflowWish, TokenCount, check_overflow
from cria.api.sampling_fields import MAX_INT32, SamplingFields
from cria.errors import RequestError
from cria.logprobs import MAX_TOP_LOGPROBS
from cria.sampling_params import UNLIMITED, SamplingParams

MAX_CHOICES = 2048
"""Of one request: OpenAI's limit for the prompts of one request."""

TokenLimit = Annotated[int, Meta(ge=-1, le=MAX_INT32)]
"""How many tokens to generate; -1 is a common way to say "no limit"."""
NumTopLogprobs = Annotated[int, Meta(ge=0, le=MAX_TOP_LOGPROBS)]
Stop = Annotated[str, Meta(min_length=1)]


ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
TIERS = {"flex": ("flex", 10), "priority": ("priority", -10), "fast": ("priority", -10)}
"""The tier that the answer names, and its priority; the others are `default` and 0."""


class StreamOptions(msgspec.Struct):
    """`include_obfuscation` is only a promise of padding, which this server never adds.

    `continuous_usage_stats`, as vLLM has it, needs `include_usage`.
    """

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    continuous_usage_stats: bool | None = None


class GenerationRequest(SamplingFields, kw_only=True):
    """The fields that both kinds of completions honour."""

    STREAM: ClassVar[bool | None] = None
    """What the route does, if it does not do what `stream` says."""

    model: str
    n: Annotated[int, Meta(ge=1, le=128)] = 1
    """How many choices for each prompt."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit = -1
    """-1 for as many as the context has room for."""
    stop_field: Stop | Annotated[list[Stop], Meta(max_length=16)] = msgspec.field(
        default_factory=list, name="stop"
    )
    """Strings before which the answer ends."""
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    """The same seed chooses the same tokens."""
    user: str | None = None
    service_tier: ServiceTier | None = None
    """How soon it is the request's turn; `priority` is finer."""
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    """Smaller is sooner; each level is worth ten seconds of waiting."""
    context_overflow: OverflowPolicy = "error"
    """What becomes of what the context cannot hold."""
    truncate_prompt_tokens: TokenCount | None = None
    """Keep so many of the prompt's last tokens; -1: as many as there is room for."""
    n_keep: TokenCount | None = None
    """Tokens at the start that are kept when others are cut; -1 is the whole prompt."""
    lora: LoraChoices = msgspec.field(default_factory=list)
    """The adapters that act, and no others; empty: those that act by default."""
    timings: bool = False
    """Answer with what the time was spent on."""
    return_token_ids: bool = False
    """Answer with token ids beside the text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_token_limit("max_tokens", self.max_tokens, self.least_tokens)
        check_min_tokens(self.min_tokens, self.token_limit())
        check_overflow(self.overflow, self.token_limit())

    @property
    def least_tokens(self) -> int:
        """The smallest limit that makes sense."""
        return 1

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings before which the answer ends."""
        stops = self.stop_field
        return (stops,) if isinstance(stops, str) else tuple(stops)

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return self.stream if self.STREAM is None else self.STREAM

    @property
    def include_usage(self) -> bool:
        """A stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def num_logprobs(self) -> int | None:
        """How many most likely tokens to show beside each token; None shows no tokens."""
        return None

    def answered(self, choices: Sequence[Choice]) -> list[Choice]:
        """Those of the generated choices that the answer holds, with what it shows of them."""
        return list(choices)

    @property
    def logprobs_field(self) -> str:
        """The field that says how many they are."""
        return "logprobs"

    @property
    def num_candidates(self) -> int:
        """Sequences that are generated for each prompt."""
        return self.n

    @property
    def continuous_usage(self) -> bool:
        """Every chunk of a stream holds the usage so far."""
        options = self.stream_options
        return self.include_usage and bool(options and options.continuous_usage_stats)

    def token_limit(self) -> int:
        """The limit that counts, -1 for none."""
        return self.max_tokens

    @property
    def overflow(self) -> OverflowWish:
        """What to do with more tokens than the context holds."""
        return OverflowWish(self.context_overflow, self.truncate_prompt_tokens, self.n_keep)

    @property
    def level(self) -> int:
        """How soon it is the request's turn: smaller is sooner, 0 is usual."""
        return self.priority or TIERS.get(self.service_tier or "", ("default", 0))[1]

    @property
    def tier_served(self) -> str | None:
        """What the answer says of the tier, if the request does."""
        if self.service_tier is None:
            return None
        return TIERS.get(self.service_tier, ("default", 0))[0]

    def sampling_params(self) -> SamplingParams:
        """The numbers for the engine."""
        limit = self.token_limit()
        params = self.choosing(
            max_tokens=UNLIMITED if limit == -1 else limit,
            seed=None if self.seed is None else fold_seed(self.seed),
        )
        return msgspec.structs.replace(params, logprobs=self.num_logprobs, timings=self.timings)

    def without_effect(self) -> Iterator[str]:
        yield from super().without_effect()
        options = self.stream_options
        if self.stream is not self.streams:
            yield "stream"
        if options and not self.streams:
            yield "stream_options"
        elif options:
            if options.include_obfuscation:
                yield "stream_options.include_obfuscation"
            if options.continuous_usage_stats and not options.include_usage:
                yield "stream_options.continuous_usage_stats"
        if self.n_keep and not (self.overflow.cuts or self.overflow.shifts):
            yield "n_keep"


def fold_seed(seed: int) -> int:
    """64 bits to the 32 of llama.cpp, for which 2**32 - 1 would mean "draw one".

    Seeds below that stay as they are.
    """
    bits = seed & 0xFFFF_FFFF_FFFF_FFFF
    return min((bits ^ (bits >> 32)) & 0xFFFF_FFFF, 0xFFFF_FFFE)


def check_token_limit(name: str, limit: int | None, least: int = 1) -> None:
    """An answer has at least one token, unless it repeats the prompt."""
    if limit == 0 and least > 0:
        raise RequestError(
            f"Invalid '{name}': integer below minimum value. "
            "Expected a value >= 1, but got 0 instead.",
            param=name,
            code="integer_below_min_value",
        )


def check_min_tokens(min_tokens: int, limit: int) -> None:
    """No answer can have fewer tokens than its limit and more at once."""
    if limit != -1 and min_tokens > limit:
        raise RequestError(
            f"Invalid 'min_tokens': integer above maximum value. Expected a value <= {limit}, the "
            f"limit of tokens to generate, but got {min_tokens} instead.",
            param="min_tokens",
            code="integer_above_max_value",
        )
