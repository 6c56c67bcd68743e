"""`EmbeddingRun`: the inputs of one HTTP request, on their way through the engine."""

from __future__ import annotations

import queue

from cria.errors import ClientGone, CriaError, EngineError
from cria.generation.admission import Ticket
from cria.generation.engine_link import EngineLink
from cria.ipc.messages import Embedded


class EmbeddingRun:
    """Ask `result()` once; `cancel()` from anywhere ends it early."""

    def __init__(self, client: EngineLink, inputs: list[list[int]], ticket: Ticket) -> None:
        """Submit the inputs; EngineUnavailable if there is no engine for them."""
        self._ticket = ticket
        self.num_inputs = len(inputs)
        self.num_prompt_tokens = sum(map(len, inputs))
        self.warnings: tuple[str, ...] = ()
        """Paths of request fields that could not be honoured to the letter."""
        self._client = client
        self._queue: queue.SimpleQueue[Embedded | CriaError] = queue.SimpleQueue()
        try:
            self._request_id = client.embed(inputs, self._queue.put)
        except BaseException:
            ticket.close(0)
            raise

    def result(self) -> bytes:
        """The vectors as `Embedded` has them; waits for them.

        Raises EngineDied or EngineError if the engine fails, ClientGone after `cancel()`.
        """
        answer = self._queue.get()
        self._ticket.close(0 if isinstance(answer, CriaError) else self.num_prompt_tokens)
        if isinstance(answer, CriaError):
            raise answer
        if answer.error is not None:
            raise EngineError(f"The engine could not embed: {answer.error}.")
        return answer.vectors

    def cancel(self) -> None:
        """Drop what is not computed yet; idempotent, and callable from any thread."""
        self._client.cancel(self._request_id)
        self._ticket.close(self.num_prompt_tokens)
        self._queue.put(ClientGone("The client closed the connection."))
