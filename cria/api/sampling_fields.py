"""The fields of a request that say how tokens are chosen; `docs/sampling.md` has them all.

OpenAI's own have OpenAI's ranges, the others llama.cpp's names, defaults and meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from cria.api.constraints import ConstraintFields
from cria.api.sampler_order import ADAPTIVE_P, sampler_order
from cria.api.sampling_effects import fields_without_effect
from cria.errors import RequestError
from cria.sampling_params import (
    SAMPLER_ORDER,
    AdaptiveP,
    Dry,
    DynamicTemperature,
    Mirostat,
    SamplingParams,
    Xtc,
)

MAX_INT32 = 2**31 - 1
MIN_TEMPERATURE = 1e-5
"""Below it only the most likely token is left, and dividing by it overflows."""
BANNED = -100.0
"""The bias that stands for "never"."""
MAX_XTC_THRESHOLD = 0.5
"""No two tokens can reach more."""
MAX_BREAKER_BYTES = 40
"""Of all breakers together: the engine looks for each of them in all of the vocabulary, which takes
the longer the longer they are."""
MIROSTAT_ORDER = ("penalties", "dry", "temperature", "mirostat")

TokenId = Annotated[int, Meta(ge=0, le=MAX_INT32)]
Share = Annotated[float, Meta(ge=0, le=1)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
RepeatPenalty = Annotated[float, Meta(ge=0.01, le=100)]
LookBack = Annotated[int, Meta(ge=-1, le=MAX_INT32)]
"""A number of tokens; -1 is the whole context."""
Count = Annotated[int, Meta(ge=0, le=MAX_INT32)]
MirostatVersion = Annotated[int, Meta(ge=0, le=2)]
Breaker = Annotated[str, Meta(min_length=1)]
SamplerNames = Annotated[str, Meta(max_length=32)] | Annotated[list[str], Meta(max_length=32)]
BiasList = list[tuple[TokenId, Bias | bool]]
"""llama.cpp's form; `false` bans."""


class SamplingFields(ConstraintFields, kw_only=True):
    """Every field is honoured, or named by `without_effect`."""

    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    """0 chooses the most likely token."""
    top_p: Share = 1.0
    """Keep the most likely tokens that have this probability together."""
    presence_penalty: Penalty = 0.0
    """Subtracted once from each token that was generated before."""
    frequency_penalty: Penalty = 0.0
    """Subtracted for each time that the token was generated before."""
    logit_bias_field: (
        Annotated[dict[TokenId, Bias], Meta(max_length=1024)]
        | Annotated[BiasList, Meta(max_length=1024)]
    ) = msgspec.field(default_factory=dict, name="logit_bias")
    """Added to the logits of tokens, by their ids; -100 bans. Also llama.cpp's list of pairs."""
    # Local extensions, as llama.cpp, vLLM and others name them.
    top_k: Annotated[int, Meta(ge=-1, le=MAX_INT32)] = 0
    """Keep so many of the most likely tokens; 0 and -1 keep all."""
    min_p: Share = 0.0
    """Drop tokens less likely than this share of the most likely one."""
    typical_p: Share = 1.0
    """Keep the tokens nearest to the expected surprise, up to this share; 1 keeps all."""
    top_n_sigma: Annotated[float, Meta(ge=-1, le=1000)] = -1.0
    """Drop logits below the largest one by so many standard deviations; -1 and 0 keep all."""
    min_keep: Count = 0
    """Tokens that `typical_p`, `top_p`, `min_p` and XTC keep at least."""
    repeat_penalty: RepeatPenalty | None = None
    """Divides the logits of tokens seen in the last `repeat_last_n`; 1 does nothing."""
    repetition_penalty: RepeatPenalty | None = None
    """Another name of `repeat_penalty`."""
    repeat_last_n: LookBack = 64
    """-1 is the whole context."""
    dry_multiplier: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """How much to penalise a token that would extend a repetition; 0 does nothing."""
    dry_base: Annotated[float, Meta(ge=1, le=100)] = 1.75
    """The penalty grows by this factor with each further token of the repetition."""
    dry_allowed_length: Count = 2
    """Repetitions up to this length are free."""
    dry_penalty_last_n: LookBack = 64
    """Tokens in which repetitions are looked for; -1 is the whole context."""
    dry_sequence_breakers: Annotated[list[Breaker], Meta(max_length=16)] = msgspec.field(
        default_factory=lambda: list(Dry(0).sequence_breakers)
    )
    """No repetition reaches beyond these texts."""
    xtc_probability: Share = 0.0
    """How often to drop the most likely tokens but the last above the threshold."""
    xtc_threshold: Share = 0.1
    """The probability from which a token is one of them."""
    dynatemp_range: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """The temperature follows the entropy, up to so much below and above; 0 does not."""
    dynatemp_exponent: Annotated[float, Meta(ge=0, le=100)] = 1.0
    """How the entropy becomes a temperature."""
    mirostat: MirostatVersion | None = None
    """Aim at a constant surprise: 1 or 2 is the version, 0 does not."""
    mirostat_mode: MirostatVersion | None = None
    """Another name of `mirostat`."""
    mirostat_tau: Annotated[float, Meta(ge=0, le=100)] = 5.0
    """The surprise to aim at, in bits."""
    mirostat_eta: Annotated[float, Meta(ge=0, le=10)] = 0.1
    """How fast it learns."""
    adaptive_target: Annotated[float, Meta(ge=-1, le=1)] = -1.0
    """The probability that the chosen tokens shall have in the mean; negative: none."""
    adaptive_decay: Annotated[float, Meta(ge=0, le=0.99)] = 0.9
    """How long it remembers."""
    samplers: SamplerNames | None = None
    """Those to use, in this order: names, or llama.cpp's letters."""
    ignore_eos: bool = False
    """Go on to the limit."""
    min_tokens: Count = 0
    """Choose no end-of-generation token, and look for no stop, before there are so many."""
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=1024)] = []
    """Tokens before which the answer ends."""
    allowed_field: Annotated[list[TokenId], Meta(min_length=1)] | None = msgspec.field(
        default=None, name="allowed_token_ids"
    )
    """Choose among these only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ignore_eos:
            self.refuse_beside_constraint("ignore_eos")
        if self.min_tokens:
            self.refuse_beside_constraint("min_tokens")
        check_same(self, "repeat_penalty", "repetition_penalty")
        check_same(self, "mirostat", "mirostat_mode")
        check_biases(self.logit_bias_field)
        check_breakers(self.dry_sequence_breakers)
        sampler_order(self.samplers or ())

    @property
    def logit_bias(self) -> dict[int, float]:
        """What is added to the logits of which tokens."""
        pairs = self.logit_bias_field
        if isinstance(pairs, dict):
            return pairs
        return {token: BANNED if bias is False else bias for token, bias in pairs}

    @property
    def banned_ids(self) -> frozenset[int]:
        """The tokens that their bias forbids."""
        return frozenset(token for token, bias in self.logit_bias.items() if bias <= BANNED)

    @property
    def allowed_token_ids(self) -> tuple[int, ...]:
        """Empty if all are."""
        return tuple(self.allowed_field or ())

    @property
    def may_end_at_once(self) -> bool:
        """The first token may be an end-of-generation token."""
        return not (self.ignore_eos or self.min_tokens)

    @property
    def order(self) -> tuple[str, ...]:
        """The samplers by name, in the order in which they are used."""
        if self.mirostat_version:
            return MIROSTAT_ORDER
        if self.samplers is None:
            return (*SAMPLER_ORDER, ADAPTIVE_P)
        return sampler_order(self.samplers)

    @property
    def mirostat_version(self) -> int:
        """0 for none."""
        return self.mirostat or self.mirostat_mode or 0

    def choosing(self, *, max_tokens: int, seed: int | None) -> SamplingParams:
        """The numbers for the engine."""
        order = self.order
        steps = tuple(name for name in order if name != ADAPTIVE_P)
        is_usual = self.mirostat_version or steps == SAMPLER_ORDER
        return SamplingParams(
            max_tokens=max_tokens,
            seed=seed,
            temperature=self.temperature if self.temperature >= MIN_TEMPERATURE else 0,
            top_k=max(self.top_k, 0),
            top_p=self.top_p,
            min_p=self.min_p,
            typical_p=self.typical_p,
            top_n_sigma=self.top_n_sigma,
            min_keep=self.min_keep,
            repeat_penalty=self.repeat_penalty or self.repetition_penalty or 1.0,
            repeat_last_n=self.repeat_last_n,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias=tuple(self.logit_bias.items()),
            ignore_eos=self.ignore_eos,
            min_tokens=self.min_tokens,
            allowed_token_ids=self.allowed_token_ids,
            dry=self._dry(),
            xtc=self._xtc(),
            dynamic_temperature=self._dynamic_temperature(),
            mirostat=self._mirostat(),
            adaptive_p=self._adaptive_p(order),
            samplers=None if is_usual else steps,
        )

    def without_effect(self) -> Iterator[str]:
        """Fields that would change something, if others were not as they are."""
        yield from fields_without_effect(self, self.order)
        if self.mirostat_version and self.samplers is not None:
            yield "samplers"
        if self.xtc_probability and self.xtc_threshold > MAX_XTC_THRESHOLD:
            yield "xtc_probability"

    def _dry(self) -> Dry | None:
        if not self.dry_multiplier:
            return None
        return Dry(
            self.dry_multiplier,
            self.dry_base,
            self.dry_allowed_length,
            self.dry_penalty_last_n,
            tuple(self.dry_sequence_breakers),
        )

    def _xtc(self) -> Xtc | None:
        if not self.xtc_probability or self.xtc_threshold > MAX_XTC_THRESHOLD:
            return None
        return Xtc(self.xtc_probability, self.xtc_threshold)

    def _dynamic_temperature(self) -> DynamicTemperature | None:
        if not self.dynatemp_range:
            return None
        return DynamicTemperature(self.dynatemp_range, self.dynatemp_exponent)

    def _mirostat(self) -> Mirostat | None:
        version = self.mirostat_version
        return Mirostat(version, self.mirostat_tau, self.mirostat_eta) if version else None

    def _adaptive_p(self, order: tuple[str, ...]) -> AdaptiveP | None:
        if self.adaptive_target < 0 or ADAPTIVE_P not in order:
            return None
        return AdaptiveP(self.adaptive_target, self.adaptive_decay)


def check_same(fields: SamplingFields, name: str, other: str) -> None:
    """Two names of one number do not contradict each other."""
    value, second = getattr(fields, name), getattr(fields, other)
    if None not in (value, second) and value != second:
        raise RequestError(
            f"'{other}' ({second}) is another name of '{name}' ({value}). Send one of them.",
            param=other,
            code="invalid_value",
        )


def check_biases(pairs: dict[int, float] | list[tuple[int, float | bool]]) -> None:
    """`false` is the only boolean that says something."""
    for index, pair in enumerate(pairs if isinstance(pairs, list) else ()):
        if pair[1] is True:
            raise RequestError(
                f"Invalid value for 'logit_bias[{index}][1]': true. A bias is a number, or false "
                "to ban the token.",
                param=f"logit_bias[{index}][1]",
                code="invalid_value",
            )


def check_breakers(breakers: list[str]) -> None:
    """They are short, and none has a NUL, at which C would end it."""
    if sum(len(breaker.encode()) for breaker in breakers) > MAX_BREAKER_BYTES:
        raise RequestError(
            f"Invalid 'dry_sequence_breakers': expected at most {MAX_BREAKER_BYTES} bytes "
            "together. Send fewer or shorter ones.",
            param="dry_sequence_breakers",
            code="string_above_max_length",
        )
    if any("\0" in breaker for breaker in breakers):
        raise RequestError(
            "Invalid 'dry_sequence_breakers': a NUL character cannot be one.",
            param="dry_sequence_breakers",
            code="invalid_value",
        )
