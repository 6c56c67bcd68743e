"""What a chat completion and a text completion have in common: how to choose tokens.

The ranges are OpenAI's; of the local extensions, llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cria.api.decoding import RequestBody
from cria.api.token_input import MAX_INT32, TokenId
from cria.errors import RequestError
from cria.sampling_params import UNLIMITED, SamplingParams

MAX_CHOICES = 2048
"""Of one request: OpenAI's limit for the prompts of one request."""

TokenLimit = Annotated[int, Meta(ge=-1, le=MAX_INT32)]
"""How many tokens to generate; -1 is a common way to say "no limit"."""
Bias = Annotated[float, Meta(ge=-100, le=100)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
RepeatPenalty = Annotated[float, Meta(ge=0.01, le=100)]
MIN_TEMPERATURE = 1e-5
"""Below it only the most likely token is left, and dividing by it overflows."""
Stop = Annotated[str, Meta(min_length=1)]


ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
TIERS = {"flex": ("flex", 10), "priority": ("priority", -10), "fast": ("priority", -10)}
"""The tier that the answer names, and its priority; the others are `default` and 0."""


class StreamOptions(msgspec.Struct):
    """`include_obfuscation` is only a promise of padding, which this server never adds."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class GenerationRequest(RequestBody, kw_only=True):
    """The fields that both kinds of completions honour."""

    model: str
    n: Annotated[int, Meta(ge=1, le=128)] = 1
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit = -1
    stop_field: Stop | Annotated[list[Stop], Meta(max_length=16)] = msgspec.field(
        default_factory=list, name="stop"
    )
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Meta(ge=0, le=1)] = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    logit_bias: Annotated[dict[TokenId, Bias], Meta(max_length=1024)] = {}
    user: str | None = None
    service_tier: ServiceTier | None = None
    # Local extensions, as llama.cpp, vLLM and others name them.
    top_k: Annotated[int, Meta(ge=-1, le=MAX_INT32)] = 0
    min_p: Annotated[float, Meta(ge=0, le=1)] = 0.0
    repeat_penalty: RepeatPenalty | None = None
    repetition_penalty: RepeatPenalty | None = None
    repeat_last_n: Annotated[int, Meta(ge=-1, le=MAX_INT32)] = 64
    ignore_eos: bool = False
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0

    def __post_init__(self) -> None:
        check_token_limit("max_tokens", self.max_tokens)
        if None not in (self.repeat_penalty, self.repetition_penalty):
            check_same_penalty(self.repeat_penalty, self.repetition_penalty)

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings before which the answer ends."""
        stops = self.stop_field
        return (stops,) if isinstance(stops, str) else tuple(stops)

    @property
    def include_usage(self) -> bool:
        """A stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def token_limit(self) -> int:
        """The limit that counts, -1 for none."""
        return self.max_tokens

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
        return SamplingParams(
            max_tokens=UNLIMITED if limit == -1 else limit,
            temperature=self.temperature if self.temperature >= MIN_TEMPERATURE else 0,
            top_k=max(self.top_k, 0),
            top_p=self.top_p,
            min_p=self.min_p,
            seed=None if self.seed is None else fold_seed(self.seed),
            repeat_penalty=self.repeat_penalty or self.repetition_penalty or 1.0,
            repeat_last_n=self.repeat_last_n,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias=tuple(self.logit_bias.items()),
            ignore_eos=self.ignore_eos,
        )

    def without_effect(self) -> Iterator[str]:
        options = self.stream_options
        if options and not self.stream:
            yield "stream_options"
        elif options and options.include_obfuscation:
            yield "stream_options.include_obfuscation"


def fold_seed(seed: int) -> int:
    """64 bits to the 32 of llama.cpp, for which 2**32 - 1 would mean "draw one".

    Seeds below that stay as they are.
    """
    bits = seed & 0xFFFF_FFFF_FFFF_FFFF
    return min((bits ^ (bits >> 32)) & 0xFFFF_FFFF, 0xFFFF_FFFE)


def check_token_limit(name: str, limit: int | None) -> None:
    """An answer has at least one token."""
    if limit == 0:
        raise RequestError(
            f"Invalid '{name}': integer below minimum value. "
            "Expected a value >= 1, but got 0 instead.",
            param=name,
            code="integer_below_min_value",
        )


def check_same_penalty(one: float | None, other: float | None) -> None:
    """`repeat_penalty` and `repetition_penalty` are two names of one number."""
    if one != other:
        raise RequestError(
            f"'repetition_penalty' ({other}) is another name of 'repeat_penalty' ({one}). "
            "Send one of them.",
            param="repetition_penalty",
            code="invalid_value",
        )
