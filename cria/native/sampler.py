"""The sampler of one sequence, chosen by what its `SamplingParams` ask for.

None for the most likely token, a `DirectSampler` for what most requests ask for, and a
`SamplerChain`, which is slower, for everything else.
"""

from __future__ import annotations

from cria.native.direct_sampler import DirectSampler, Prompt, has_biases, has_penalties
from cria.native.sampler_chain import SamplerChain
from cria.native.vocab import Vocab
from cria.sampling_params import SamplingParams

Sampler = DirectSampler | SamplerChain | None
"""None chooses the most likely token."""


def is_plain_greedy(params: SamplingParams) -> bool:
    """The most likely token is the answer, and no sampler is needed to find it."""
    changes = has_biases(params) or has_penalties(params) or params.min_tokens
    return params.temperature == 0 and not (changes or needs_chain(params))


def needs_chain(params: SamplingParams) -> bool:
    """Something is asked for that llama.cpp's samplers alone know."""
    extras = (params.dry, params.xtc, params.dynamic_temperature, params.mirostat)
    return (
        any(extra is not None for extra in (*extras, params.adaptive_p, params.samplers))
        or bool(params.allowed_token_ids)
        or params.typical_p < 1
        or params.top_n_sigma > 0
        or (params.min_keep > 1 and (params.top_p < 1 or params.min_p > 0))
    )


def make_sampler(
    vocab: Vocab, params: SamplingParams, prompt: Prompt, context_size: int
) -> Sampler:
    """The cheapest sampler that does what `params` say."""
    if is_plain_greedy(params):
        return None
    kind = SamplerChain if needs_chain(params) else DirectSampler
    return kind(vocab, params, prompt, context_size)
