"""The numbers that steer one generation, written once for the API, the protocol and the engine."""

from __future__ import annotations

import msgspec

UNLIMITED = 2**31 - 1
SAMPLER_ORDER = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typ_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
"""By llama.cpp's names, in its server's order."""


class Dry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Don't repeat yourself: a token that would go on with a repetition of n tokens, of which
    `allowed_length` are free, loses `multiplier * base ** (n - allowed_length)`."""

    multiplier: float
    base: float = 1.75
    allowed_length: int = 2
    last_n: int = 64
    """Tokens to look back, the prompt's included; -1 is the whole context."""
    sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    """No repetition goes across one of them."""


class Xtc(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exclude top choices: by chance, drop all tokens above the threshold but the least likely."""

    probability: float
    threshold: float = 0.1
    """Of a token's probability; above 0.5 no two tokens can reach it."""


class DynamicTemperature(msgspec.Struct, frozen=True, omit_defaults=True):
    """The temperature follows the entropy, from `temperature - range` to `temperature + range`."""

    range: float
    exponent: float = 1.0


class Mirostat(msgspec.Struct, frozen=True, omit_defaults=True):
    """Choose such that the text's surprise stays near `tau` bits a token."""

    version: int
    """1 or 2"""
    tau: float = 5.0
    eta: float = 0.1
    """How fast it learns."""


class AdaptiveP(msgspec.Struct, frozen=True, omit_defaults=True):
    """Prefer tokens whose probability is near the target, over time."""

    target: float
    decay: float = 0.9
    """How much of what it knows it keeps with each token."""


class SamplingParams(msgspec.Struct, frozen=True, omit_defaults=True):
    """How to choose tokens, and when to stop choosing.

    The defaults are OpenAI's, and leave the model's distribution as it is. Meanings and ranges
    are those of llama.cpp's samplers (`include/llama.h`, section "Sampling API"). The values are
    trusted here: `cria.api` has checked them.
    """

    max_tokens: int = UNLIMITED
    """Tokens to generate at most; the engine also stops where the context ends. 0 computes the
    prompt and nothing else."""
    temperature: float = 1.0
    """0 chooses the most likely token."""
    top_k: int = 0
    """Keep the k most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    min_p: float = 0.0
    """Drop tokens less likely than this share of the most likely one."""
    seed: int | None = None
    """0 .. 2**32 - 2; None draws one."""
    repeat_penalty: float = 1.0
    """Divides (or multiplies, if negative) the logits of tokens seen in the last
    `repeat_last_n` tokens, the prompt's included; 1 does nothing."""
    repeat_last_n: int = 64
    """-1 is the whole context."""
    presence_penalty: float = 0.0
    """Subtracted once from each token that was generated before."""
    frequency_penalty: float = 0.0
    """Subtracted for each time that the token was generated before."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, added to its logit) pairs."""
    ignore_eos: bool = False
    """Never choose an end-of-generation token."""
    grammar: str = ""
    """What the answer has to be, as llguidance writes grammars; empty allows everything."""
    prompt_logprobs_from: int | None = None
    """Return the log probabilities of the prompt's tokens from this one on, 1 or more, as many most
    likely ones beside each as `logprobs` says; what comes before may be found in the cache."""
    min_tokens: int = 0
    """Choose no end-of-generation token before there are so many others."""
    allowed_token_ids: tuple[int, ...] = ()
    """Choose among these only; empty allows all."""
    typical_p: float = 1.0
    """Keep the tokens nearest to the expected surprise, up to this share; 1 keeps all."""
    top_n_sigma: float = -1.0
    """Drop logits below the largest one by so many standard deviations; -1 and 0 keep all."""
    min_keep: int = 0
    """Tokens that `typical_p`, `top_p`, `min_p` and XTC keep at least."""
    dry: Dry | None = None
    xtc: Xtc | None = None
    dynamic_temperature: DynamicTemperature | None = None
    mirostat: Mirostat | None = None
    """Instead of everything between DRY and the temperature."""
    adaptive_p: AdaptiveP | None = None
    samplers: tuple[str, ...] | None = None
    """Those of `SAMPLER_ORDER` to use, in this order, each as often as it is named; None is all."""
    logprobs: int | None = None
    """Return the chosen token's log probability and those of as many most likely tokens, 20 at
    most; None returns none. They are the model's own: before biases, penalties and temperature."""
    num_kept: int | None = None
    """Where the context ends, drop the older half of what follows so many first tokens, and go on;
    None ends there."""
    timings: bool = False
    """Tell with the last output how long everything took."""
