"""The sampler of one sequence, put together from `SamplingParams`.

None for the most likely token, and a `DirectSampler` for anything else. `SamplerChain` makes the
same choices with llama.cpp's own samplers: the tests compare the two.
"""

from __future__ import annotations

import ctypes
import math
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cria.native import structs
from cria.native.handles import NativeHandle
from cria.native.library import Library
from cria.native.vocab import Vocab
from cria.sampling_params import SamplingParams

BANNED = -100.0
"""OpenAI's bias for "never": less likely than anything, but still a finite number."""


def is_plain_greedy(params: SamplingParams) -> bool:
    """The most likely token is the answer, and no sampler is needed to find it."""
    return params.temperature == 0 and not (_has_biases(params) or _has_penalties(params))


class DirectSampler(NativeHandle):
    """Chooses the tokens of one sequence, and remembers them (`DirectSampler` of cria_native).

    Order: logit bias, penalties, top-k, top-p, min-p, temperature, choice. The repeat penalty
    looks back into the prompt, the other two only at what was generated, as OpenAI defines them.
    """

    def __init__(
        self,
        vocab: Vocab,
        params: SamplingParams,
        prompt: npt.NDArray[np.int32] | Sequence[int],
        context_size: int,
    ) -> None:
        library = vocab.library
        biases = _biases(vocab, params)
        pointer = library.cria_direct_init(
            params.temperature,
            params.top_k,
            params.top_p,
            params.min_p,
            _seed(params),
            biases,
            len(biases),
        )
        super().__init__(pointer, library.cria_direct_free)
        if _has_penalties(params):
            last_n = _last_n(params, context_size)
            recent = np.array(prompt[-last_n:] if last_n else (), np.int32)
            library.cria_direct_penalise(
                pointer,
                params.repeat_penalty,
                params.presence_penalty,
                params.frequency_penalty,
                last_n,
                recent.ctypes.data,
                len(recent),
            )


def make_sampler(
    vocab: Vocab,
    params: SamplingParams,
    prompt: npt.NDArray[np.int32] | Sequence[int],
    context_size: int,
) -> DirectSampler | None:
    """The cheapest sampler that does what `params` say."""
    if is_plain_greedy(params):
        return None
    return DirectSampler(vocab, params, prompt, context_size)


class SamplerChain(NativeHandle):
    """What `DirectSampler` does, as a chain of llama.cpp's samplers (`struct llama_sampler`).

    What does nothing is left out. A chain is also the way to a sampler of llama.cpp's that
    `DirectSampler` does not know.
    """

    def __init__(
        self, vocab: Vocab, params: SamplingParams, prompt: Sequence[int], context_size: int
    ) -> None:
        library = vocab.library
        self.library = library
        chain = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
        super().__init__(chain, library.llama_sampler_free)
        for sampler in _samplers(library, vocab, params, prompt, context_size):
            library.llama_sampler_chain_add(chain, sampler)  # the chain owns it now


def _seed(params: SamplingParams) -> int:
    return random.getrandbits(31) if params.seed is None else params.seed


def _has_biases(params: SamplingParams) -> bool:
    return bool(params.logit_bias or params.ignore_eos)


def _has_penalties(params: SamplingParams) -> bool:
    return bool(params.repeat_penalty != 1 or params.presence_penalty or params.frequency_penalty)


def _last_n(params: SamplingParams, context_size: int) -> int:
    """How many tokens the repeat penalty looks at."""
    return context_size if params.repeat_last_n < 0 else min(params.repeat_last_n, context_size)


def _samplers(
    library: Library,
    vocab: Vocab,
    params: SamplingParams,
    prompt: Sequence[int],
    context_size: int,
) -> list[object]:
    chain = [
        _logit_bias(library, vocab, params),
        _repeat_penalty(library, vocab, params, prompt, context_size),
        _count_penalties(library, vocab, params, context_size),
    ]
    if params.temperature == 0:
        chain.append(library.llama_sampler_init_greedy())
    else:
        chain += _truncation(library, params)
        chain.append(library.llama_sampler_init_temp(params.temperature))
        chain.append(library.llama_sampler_init_dist(_seed(params)))
    return [sampler for sampler in chain if sampler is not None]


def _logit_bias(library: Library, vocab: Vocab, params: SamplingParams) -> object | None:
    biases = _biases(vocab, params)
    if not len(biases):
        return None
    sampler: object = library.llama_sampler_init_logit_bias(vocab.num_tokens, len(biases), biases)
    return sampler


def _biases(vocab: Vocab, params: SamplingParams) -> ctypes.Array[structs.llama_logit_bias]:
    """What is added to which logits."""
    biases = {token: _minus_infinity_if_banned(bias) for token, bias in params.logit_bias}
    if params.ignore_eos:
        biases.update(dict.fromkeys(vocab.end_of_generation_ids, -math.inf))
    entries = [structs.llama_logit_bias(token, bias) for token, bias in biases.items()]
    return (structs.llama_logit_bias * len(entries))(*entries)


def _minus_infinity_if_banned(bias: float) -> float:
    return -math.inf if bias <= BANNED else bias


def _repeat_penalty(
    library: Library,
    vocab: Vocab,
    params: SamplingParams,
    prompt: Sequence[int],
    context_size: int,
) -> object | None:
    last_n = _last_n(params, context_size)
    if params.repeat_penalty == 1 or not last_n:
        return None
    sampler: object = library.llama_sampler_init_penalties(
        vocab.num_tokens, last_n, params.repeat_penalty, 0.0, 0.0
    )
    for token in prompt[-last_n:]:
        library.llama_sampler_accept(sampler, token)
    return sampler


def _count_penalties(
    library: Library, vocab: Vocab, params: SamplingParams, context_size: int
) -> object | None:
    if not params.presence_penalty and not params.frequency_penalty:
        return None
    sampler: object = library.llama_sampler_init_penalties(
        vocab.num_tokens, context_size, 1.0, params.frequency_penalty, params.presence_penalty
    )
    return sampler


def _truncation(library: Library, params: SamplingParams) -> list[object]:
    samplers = []
    if params.top_k > 0:
        samplers.append(library.llama_sampler_init_top_k(params.top_k))
    if params.top_p < 1:
        samplers.append(library.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p > 0:
        samplers.append(library.llama_sampler_init_min_p(params.min_p, 1))
    return samplers
