"""The numbers that steer one generation, written once for the API, the protocol and the engine."""

from __future__ import annotations

import msgspec

UNLIMITED = 2**31 - 1


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
    prompt_logprobs_from: int | None = None
    """Return the log probabilities of the prompt's tokens from this one on, 1 or more, as many most
    likely ones beside each as `logprobs` says; what comes before may be found in the cache."""
    logprobs: int | None = None
    """Return the chosen token's log probability and those of as many most likely tokens, 20 at
    most; None returns none. They are the model's own: before biases, penalties and temperature."""
    num_kept: int | None = None
    """Where the context ends, drop the older half of what follows so many first tokens, and go on;
    None ends there."""
    timings: bool = False
    """Tell with the last output how long everything took."""
