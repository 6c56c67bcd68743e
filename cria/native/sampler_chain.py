"""`SamplerChain`: any sampling parameters, as a chain of llama.cpp's own samplers.

The order is that of llama.cpp's server, or the one that `SamplingParams.samplers` gives; what does
nothing is left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from cria.native.direct_sampler import (
    Prompt,
    biases_of,
    last_tokens,
    look_back,
    seed_of,
)
from cria.native.handles import NativeHandle
from cria.native.vocab import Vocab
from cria.sampling_params import SAMPLER_ORDER, Dry, SamplingParams

MIROSTAT_CANDIDATES = 100
"""From which version 1 estimates the distribution: the paper's number, and llama.cpp's."""
DRY_PROTOTYPES = 8

Samplers = Iterator[Any]
"""Pointers (`struct llama_sampler *`) that the chain is going to own."""


class SamplerChain(NativeHandle):
    """Chooses the tokens of one sequence, and remembers them (`struct llama_sampler`).

    The repeat penalty and DRY look back into the prompt, presence and frequency penalty only at
    what was generated.
    """

    def __init__(
        self, vocab: Vocab, params: SamplingParams, prompt: Prompt, context_size: int
    ) -> None:
        library = vocab.library
        self.library = library
        chain = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
        super().__init__(chain, library.llama_sampler_free)
        for sampler in _Parts(vocab, params, prompt, context_size).all():
            library.llama_sampler_chain_add(chain, sampler)


class _Parts:
    """Makes the samplers of one chain."""

    def __init__(
        self, vocab: Vocab, params: SamplingParams, prompt: Prompt, context_size: int
    ) -> None:
        self.vocab, self.library = vocab, vocab.library
        self.params = params
        self.prompt = prompt
        self.context_size = context_size
        self.seed = seed_of(params)

    def all(self) -> Samplers:
        """From the first to the one that makes the choice."""
        order = SAMPLER_ORDER if self.params.samplers is None else self.params.samplers
        yield from self._constraints()
        if self.params.mirostat is not None:
            yield from self._mirostat()
        elif self._takes_the_maximum(order):
            yield from self._named(order[:-1])
            yield self.library.llama_sampler_init_greedy()
        else:
            yield from self._named(order)
            yield self._choice()

    def _named(self, order: tuple[str, ...]) -> Samplers:
        for name in order:
            yield from _MAKERS[name](self)

    def _takes_the_maximum(self, order: tuple[str, ...]) -> bool:
        params = self.params
        is_zero = params.temperature == 0 and params.dynamic_temperature is None
        return is_zero and order[-1:] == ("temperature",)

    def _choice(self) -> Any:
        adaptive = self.params.adaptive_p
        if adaptive is None:
            return self.library.llama_sampler_init_dist(self.seed)
        return self.library.llama_sampler_init_adaptive_p(
            adaptive.target, adaptive.decay, self.seed
        )

    def _constraints(self) -> Samplers:
        params = self.params
        if params.min_tokens:
            ends = np.array(self.vocab.end_of_generation_ids, np.int32)
            yield self.library.cria_chain_hold_back(ends.ctypes.data, len(ends), params.min_tokens)
        biases = biases_of(self.vocab, params)
        if len(biases):
            yield self.library.llama_sampler_init_logit_bias(
                self.vocab.num_tokens, len(biases), biases
            )
        if params.allowed_token_ids:
            allowed = np.array(sorted(params.allowed_token_ids), np.int32)
            yield self.library.cria_chain_allow(allowed.ctypes.data, len(allowed))

    def _mirostat(self) -> Samplers:
        mirostat = self.params.mirostat
        assert mirostat is not None
        yield from self._penalties()
        yield from self._dry()
        yield from self._temperature()
        yield self.library.cria_chain_drop_impossible()
        if mirostat.version == 1:
            yield self.library.llama_sampler_init_mirostat(
                self.vocab.num_tokens, self.seed, mirostat.tau, mirostat.eta, MIROSTAT_CANDIDATES
            )
        else:
            yield self.library.llama_sampler_init_mirostat_v2(self.seed, mirostat.tau, mirostat.eta)

    def _penalties(self) -> Samplers:
        params, make = self.params, self.library.llama_sampler_init_penalties
        last_n = look_back(params.repeat_last_n, self.context_size)
        if params.repeat_penalty != 1 and last_n:
            sampler = make(self.vocab.num_tokens, last_n, params.repeat_penalty, 0.0, 0.0)
            yield self._told_the_prompt(sampler, last_n)
        if params.presence_penalty or params.frequency_penalty:
            yield make(
                self.vocab.num_tokens,
                self.context_size,
                1.0,
                params.frequency_penalty,
                params.presence_penalty,
            )

    def _dry(self) -> Samplers:
        dry = self.params.dry
        last_n = look_back(dry.last_n, self.context_size) if dry else 0
        if dry and last_n:
            prototype = _dry_prototype(self.vocab, dry, last_n)
            sampler = self.library.llama_sampler_clone(prototype.pointer)
            yield self._told_the_prompt(sampler, last_n)

    def _told_the_prompt(self, sampler: Any, last_n: int) -> Any:
        recent = last_tokens(self.prompt, last_n)
        self.library.cria_accept_each(sampler, recent.ctypes.data, len(recent))
        return sampler

    def _top_n_sigma(self) -> Samplers:
        if self.params.top_n_sigma > 0:
            yield self.library.llama_sampler_init_top_n_sigma(self.params.top_n_sigma)

    def _top_k(self) -> Samplers:
        if self.params.top_k > 0:
            yield self.library.llama_sampler_init_top_k(self.params.top_k)

    def _typical_p(self) -> Samplers:
        params = self.params
        if params.typical_p < 1:
            yield self.library.cria_chain_drop_impossible()
            yield self.library.llama_sampler_init_typical(params.typical_p, params.min_keep)

    def _top_p(self) -> Samplers:
        if self.params.top_p < 1:
            yield self.library.llama_sampler_init_top_p(self.params.top_p, self.params.min_keep)

    def _min_p(self) -> Samplers:
        if self.params.min_p > 0:
            yield self.library.llama_sampler_init_min_p(self.params.min_p, self.params.min_keep)

    def _xtc(self) -> Samplers:
        xtc = self.params.xtc
        if xtc is not None:
            yield self.library.cria_chain_drop_impossible()
            yield self.library.llama_sampler_init_xtc(
                xtc.probability, xtc.threshold, self.params.min_keep, self.seed
            )

    def _temperature(self) -> Samplers:
        params, dynamic = self.params, self.params.dynamic_temperature
        if dynamic is not None:
            yield self.library.cria_chain_level()
            yield self.library.llama_sampler_init_temp_ext(
                params.temperature, dynamic.range, dynamic.exponent
            )
        elif params.temperature != 1:
            yield self.library.llama_sampler_init_temp(params.temperature)


_MAKERS: dict[str, Callable[[_Parts], Samplers]] = {
    "penalties": _Parts._penalties,
    "dry": _Parts._dry,
    "top_n_sigma": _Parts._top_n_sigma,
    "top_k": _Parts._top_k,
    "typ_p": _Parts._typical_p,
    "top_p": _Parts._top_p,
    "min_p": _Parts._min_p,
    "xtc": _Parts._xtc,
    "temperature": _Parts._temperature,
}


@lru_cache(DRY_PROTOTYPES)
def _dry_prototype(vocab: Vocab, dry: Dry, last_n: int) -> NativeHandle:
    """To be cloned: making one compares each sequence breaker with the whole vocabulary."""
    library = vocab.library
    breakers = [breaker.encode() for breaker in dry.sequence_breakers]
    pointer = library.cria_chain_dry(
        vocab.pointer,
        dry.multiplier,
        dry.base,
        dry.allowed_length,
        last_n,
        (ctypes.c_char_p * len(breakers))(*breakers),
        len(breakers),
    )
    return NativeHandle(pointer, library.llama_sampler_free)
