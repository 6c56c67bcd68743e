"""`EmbeddingPipeline`: from a decoded request for embeddings or a ranking to a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cria.api.embeddings import EmbeddingRequest, encode_embeddings
from cria.api.request_settings import RequestSettings
from cria.api.rerank import RerankRequest, encode_ranking
from cria.errors import ContextLengthExceeded, RequestError
from cria.generation.embedding_run import EmbeddingRun
from cria.generation.engine_link import EngineLink
from cria.generation.engine_status import EngineStatus
from cria.generation.reception import Reception
from cria.generation.run import Offload
from cria.ipc.messages import EmbeddingInfo
from cria.output.vectors import scores, unit_vectors
from cria.prompt.loading import TextSide


class EmbeddingPipeline:
    """The part of one model's `Generation` that embeds."""

    def __init__(
        self,
        client: EngineLink,
        text: TextSide,
        reception: Reception,
        offload: Offload,
        check: Callable[[str], EngineStatus],
        settings: RequestSettings,
    ) -> None:
        """`check` raises if the model of that name cannot be used now."""
        self._client = client
        self._tokenizer = text.tokenizer
        self._prompt = text.rerank_prompt
        self._reception = reception
        self._offload = offload
        self._check = check
        self._settings = settings

    def start(self, request: EmbeddingRequest) -> EmbeddingRun:
        """Submit all inputs; RequestError before anything is submitted."""
        info = self._info(request.model)
        self._settings.apply(request)
        self._reception.check()
        if info.pooling == "rank":
            raise _wrong_model(request.model, "is a reranker, it has no embeddings", "/v1/rerank")
        warnings = _check_dimensions(request.dimensions, info.num_dimensions)
        inputs = self._offload(self._encode, request.inputs(), info.context_size)
        for token_ids in inputs:
            _check_length(token_ids, info, "input")
        run = self._submit(inputs)
        run.warnings = request.settled.told(warnings)
        return run

    def start_rerank(self, request: RerankRequest) -> EmbeddingRun:
        """Submit the query with each document."""
        info = self._info(request.model)
        self._reception.check()
        if info.pooling != "rank":
            raise _wrong_model(request.model, "is no reranker", "/v1/embeddings")
        texts = request.texts()
        self._tokenizer.check_size([request.query], "query", info.context_size)
        for index, text in enumerate(texts):
            self._tokenizer.check_size([text], f"documents[{index}]", info.context_size)
        inputs = self._offload(self._prompt.encode, request.query, texts)
        for index, token_ids in enumerate(inputs):
            _check_length(token_ids, info, f"documents[{index}]")
        return self._submit(inputs)

    def answer(self, run: EmbeddingRun, request: EmbeddingRequest, model: str) -> bytes:
        """Wait for the vectors, and write the answer off the hub: it may be megabytes."""
        data = run.result()

        def write() -> bytes:
            vectors = unit_vectors(data, run.num_inputs, request.dimensions)
            return encode_embeddings(model, vectors, request.encoding_format, run.num_prompt_tokens)

        answer: bytes = self._offload(write)
        return answer

    def answer_rerank(self, run: EmbeddingRun, request: RerankRequest, model: str) -> bytes:
        """Wait for the scores, and write the answer."""
        found = scores(run.result(), run.num_inputs)
        return encode_ranking(model, request, found, run.num_prompt_tokens)

    def _submit(self, inputs: list[list[int]]) -> EmbeddingRun:
        num_tokens = sum(map(len, inputs))
        ticket = self._reception.admit([num_tokens], num_tokens)
        return EmbeddingRun(self._client, inputs, ticket)

    def _info(self, model: str) -> EmbeddingInfo:
        info = self._check(model).info
        if info is None or info.embedding is None:
            raise _wrong_model(model, "cannot embed", "/v1/completions")
        return info.embedding

    def _encode(self, inputs: Sequence[str | list[int]], context_size: int) -> list[list[int]]:
        return [
            self._encode_one(each, f"input[{index}]" if len(inputs) > 1 else "input", context_size)
            for index, each in enumerate(inputs)
        ]

    def _encode_one(self, text: str | list[int], param: str, context_size: int) -> list[int]:
        if isinstance(text, str):
            return self._tokenizer.encode_whole(text, context_size)
        self._tokenizer.check_ids(text, param)
        return text


def _check_dimensions(wanted: int | None, there_are: int) -> tuple[str, ...]:
    """The warnings: no file says whether its model was trained to be cut."""
    if wanted is None or wanted == there_are:
        return ()
    if wanted > there_are:
        raise RequestError(
            "Invalid 'dimensions': integer above maximum value. "
            f"Expected a value <= {there_are}, but got {wanted} instead.",
            param="dimensions",
            code="integer_above_max_value",
        )
    return ("dimensions",)


def _check_length(token_ids: list[int], info: EmbeddingInfo, param: str) -> None:
    if len(token_ids) > info.context_size:
        raise ContextLengthExceeded(len(token_ids), info.context_size, param=param)


def _wrong_model(model: str, what: str, route: str) -> RequestError:
    return RequestError(
        f"The model `{model}` {what}. Use {route}.", param="model", code="unsupported_value"
    )
