"""`Reception`: what a request wants of the engine, and its way through `Admission`.

The caller is that of the request that is being answered (`caller.current_caller`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cria.api.generation_request import GenerationRequest
from cria.generation.admission import Admission, Capacity, Demand, Ticket
from cria.generation.caller import current_caller
from cria.generation.engine_link import Turn
from cria.ipc.messages import Ready


class Reception:
    """That of one model; every method raises EngineUnavailable while there is no engine."""

    def __init__(self, admission: Admission, ready: Callable[[], Ready], max_wait: float) -> None:
        """`max_wait` is in seconds."""
        self._admission = admission
        self._ready = ready
        self._max_wait = max_wait

    def check(self, num_sequences: int = 1) -> None:
        """RateLimited or QueueFull, before anything is done for a request that must fail."""
        self._admission.check(current_caller.get(), self._capacity(), num_sequences)

    def admit(self, sizes: Sequence[int], num_tokens: int) -> Ticket:
        """The same, and else a ticket; the arguments are those of `Demand`."""
        demand = Demand(sizes, num_tokens)
        return self._admission.enter(current_caller.get(), self._capacity(), demand)

    def admit_prompts(self, request: GenerationRequest, lengths: Sequence[int]) -> Ticket:
        """The same for prompts of so many tokens.

        Who names no limit pays for the prompts first, and for the answers when they are known.
        """
        limit, context_size = request.sampling_params().max_tokens, self._capacity().context_size
        answers = [max(0, min(limit, context_size - length)) for length in lengths]
        num = request.num_candidates
        pairs = zip(lengths, answers, strict=True)
        sizes = [length + answer for length, answer in pairs for _ in range(num)]
        booked = sum(answers) * num if request.token_limit() != -1 else 0
        return self.admit(sizes, sum(lengths) + booked)

    def turn(self, level: int) -> Turn:
        """When it is the turn of a request with this priority."""
        caller = current_caller.get()
        return Turn(level, caller.id, None if caller.is_patient else self._max_wait)

    def _capacity(self) -> Capacity:
        info = self._ready()
        return Capacity(info.num_slots, info.context_size)
