"""`DirectSampler`: the usual parameters in native code of Cria's own, fast enough for every step.

It makes the choices that `SamplerChain` makes with llama.cpp's own samplers: the tests compare the
two.
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
from cria.native.vocab import Vocab
from cria.sampling_params import SamplingParams

BANNED = -100.0
"""OpenAI's bias for "never": less likely than anything, but still a finite number."""

Tokens = npt.NDArray[np.int32]
Prompt = Tokens | Sequence[int]


class DirectSampler(NativeHandle):
    """Chooses the tokens of one sequence, and remembers them (`DirectSampler` of cria_native).

    Order: logit bias, penalties, top-k, top-p, min-p, temperature, choice. The repeat penalty
    looks back into the prompt, the other two only at what was generated, as OpenAI defines them.
    """

    def __init__(
        self, vocab: Vocab, params: SamplingParams, prompt: Prompt, context_size: int
    ) -> None:
        library = vocab.library
        biases = biases_of(vocab, params)
        pointer = library.cria_direct_init(
            params.temperature,
            params.top_k,
            params.top_p,
            params.min_p,
            seed_of(params),
            biases,
            len(biases),
        )
        super().__init__(pointer, library.cria_direct_free)
        if has_penalties(params):
            last_n = look_back(params.repeat_last_n, context_size)
            recent = last_tokens(prompt, last_n)
            library.cria_direct_penalise(
                pointer,
                params.repeat_penalty,
                params.presence_penalty,
                params.frequency_penalty,
                last_n,
                recent.ctypes.data,
                len(recent),
            )
        if params.min_tokens:
            ends = np.array(vocab.end_of_generation_ids, np.int32)
            library.cria_direct_hold_back(pointer, ends.ctypes.data, len(ends), params.min_tokens)


def seed_of(params: SamplingParams) -> int:
    """The one that was asked for, or any."""
    return random.getrandbits(31) if params.seed is None else params.seed


def has_biases(params: SamplingParams) -> bool:
    return bool(params.logit_bias or params.ignore_eos)


def has_penalties(params: SamplingParams) -> bool:
    return bool(params.repeat_penalty != 1 or params.presence_penalty or params.frequency_penalty)


def look_back(last_n: int, context_size: int) -> int:
    """How many tokens `last_n` stands for; -1 is the whole context."""
    return context_size if last_n < 0 else min(last_n, context_size)


def last_tokens(prompt: Prompt, count: int) -> Tokens:
    """The end of the prompt, `count` tokens at most."""
    return np.array(prompt[-count:] if count else (), np.int32)


def biases_of(vocab: Vocab, params: SamplingParams) -> ctypes.Array[structs.llama_logit_bias]:
    """What is added to which logits."""
    biases = {token: _minus_infinity_if_banned(bias) for token, bias in params.logit_bias}
    if params.ignore_eos:
        biases.update(dict.fromkeys(vocab.end_of_generation_ids, -math.inf))
    entries = [structs.llama_logit_bias(token, bias) for token, bias in biases.items()]
    return (structs.llama_logit_bias * len(entries))(*entries)


def _minus_infinity_if_banned(bias: float) -> float:
    return -math.inf if bias <= BANNED else bias
