"""What one step computes: the scheduler's order to the runner."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cria.adapter_set import BASE, AdapterSet
from cria.engine.sequence import Sequence
from cria.engine.slots import Prefix, Tokens
from cria.logprobs import TokenLogprobs


class Prefill(NamedTuple):
    """`num_tokens` tokens of a prompt, from `sequence.num_computed_tokens` on."""

    sequence: Sequence
    num_tokens: int
    samples: bool
    """The last of them gets a row of logits, from which the next token is chosen."""

    @property
    def scored_positions(self) -> range:
        """Of the prompt: those whose rows of logits tell how likely the token after them was."""
        return self.sequence.scored_positions(self.num_tokens)


class StepLogprobs(NamedTuple):
    """Log probabilities of one step, by request id, of those that asked for them."""

    chosen: dict[int, TokenLogprobs]
    """Of the tokens that were chosen."""
    prompt: dict[int, list[TokenLogprobs]]
    """Of the tokens of prompts that follow the scored positions."""


NO_LOGPROBS = StepLogprobs({}, {})


class ScheduledBatch(NamedTuple):
    """What the runner has to do in one step."""

    ended: list[int]
    """Request ids that will not come again."""
    admitted: list[Sequence]
    """Sequences that have got a slot, for the first time or again."""
    prefixes: list[Prefix]
    """What slots hold from now on, in order; to be done before anything is computed."""
    decodes: Tokens
    """Slots of the sequences that get one more token each, rising."""
    prefills: list[Prefill]
    adapters: AdapterSet = BASE
    """Of all of its sequences."""

    @property
    def is_empty(self) -> bool:
        """Nothing is to be computed."""
        return not (len(self.decodes) or self.prefills)

    @property
    def num_prompt_tokens(self) -> int:
        return sum(work.num_tokens for work in self.prefills)

    @property
    def sampling_slots(self) -> Tokens:
        """The slots for which tokens are chosen, in the order in which `advance` wants them."""
        if not self.prefills:
            return self.decodes
        firsts = [work.sequence.slot for work in self.prefills if work.samples]
        return np.append(self.decodes, np.array(firsts, np.int32))
