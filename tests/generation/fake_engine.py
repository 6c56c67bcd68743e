"""An engine client whose engine is the test: it records, and tells the sinks what it is told."""

from __future__ import annotations

from cria.errors import EngineUnavailable
from cria.generation.engine_link import ANY_TURN, EmbeddingSink, Sink, Turn
from cria.generation.engine_status import EngineStatus
from cria.ipc.messages import Embedded, EmbeddingInfo, FinishReason, Ready, SequenceOutput
from cria.sampling_params import SamplingParams

READY = Ready(
    num_slots=2,
    context_size=32,
    num_cells=64,
    num_parameters=10,
    model_bytes=20,
    num_gpu_layers=0,
    device="CPU",
    num_threads=1,
    warnings=[],
    embedding=EmbeddingInfo(num_dimensions=4, context_size=16, pooling="mean"),
)


class FakeEngineClient:
    """The part of `EngineLink` that a run and a generation use."""

    def __init__(self) -> None:
        self.status = EngineStatus("ready", 1.0, READY)
        self.submitted: list[tuple[list[int], SamplingParams]] = []
        self.turns: list[Turn] = []
        self.sinks: list[Sink] = []
        self.embedded: list[list[list[int]]] = []
        self.embedding_sinks: list[EmbeddingSink] = []
        self.cancelled: list[int] = []
        self.stopped: list[int] = []
        self.refuse_from: int | None = None
        self.closed = False

    def submit(
        self, token_ids: list[int], params: SamplingParams, sink: Sink, turn: Turn = ANY_TURN
    ) -> int:
        if self.refuse_from is not None and len(self.submitted) >= self.refuse_from:
            raise EngineUnavailable("gone")
        self.submitted.append((token_ids, params))
        self.turns.append(turn)
        self.sinks.append(sink)
        return len(self.sinks) - 1

    def embed(self, inputs: list[list[int]], sink: EmbeddingSink) -> int:
        if self.refuse_from is not None and len(self.embedded) >= self.refuse_from:
            raise EngineUnavailable("gone")
        self.embedded.append(inputs)
        self.embedding_sinks.append(sink)
        return len(self.embedding_sinks) - 1

    def answer(self, vectors: bytes = b"", error: str | None = None) -> None:
        """To the last request for embeddings."""
        self.embedding_sinks[-1](Embedded(0, vectors, error))

    def cancel(self, request_id: int) -> None:
        self.cancelled.append(request_id)

    def stop(self, request_id: int) -> None:
        self.stopped.append(request_id)

    def tell(
        self,
        request_id: int,
        tokens: str | list[int] = "",
        reason: FinishReason | None = None,
        count: int = 0,
    ) -> None:
        """An output of a sequence; text stands for one token per byte."""
        ids = tuple(tokens.encode()) if isinstance(tokens, str) else tuple(tokens)
        self.sinks[request_id](SequenceOutput(request_id, ids, reason, count))

    def wait_settled(self, timeout: float | None) -> bool:
        return self.status.state != "loading"

    def close(self) -> None:
        self.closed = True
