"""`Generation`: from a decoded request to a run.

Template, tokens, checks against the model, submission: whatever can be wrong with a request is
found here, before anything is computed and before an answer has begun.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.generation_request import GenerationRequest
from cria.api.models import Meta, ModelCard
from cria.config import EngineConfig, ServerConfig
from cria.engine_environment import engine_environment
from cria.errors import (
    ContextLengthExceeded,
    EngineUnavailable,
    ModelNotFound,
    RequestError,
    SetupError,
)
from cria.generation.embedding_pipeline import EmbeddingPipeline
from cria.generation.engine_client import EngineClient
from cria.generation.engine_guest import EngineGuest
from cria.generation.engine_link import EngineLink, EngineStatus
from cria.generation.heartbeats import Heartbeats
from cria.generation.run import Run, RunHead
from cria.ipc.messages import Ready
from cria.ipc.rendezvous import Rendezvous
from cria.output.processor import OutputProcessor
from cria.prompt.loading import TextSide, check_native, load_text_side
from cria.sampling_params import SamplingParams

Offload = Callable[..., Any]
"""`offload(function, *args)` runs a call that blocks, such as tokenising, out of the way."""


class Generation:
    """One model: its text side in this process, its engine in another one."""

    def __init__(
        self,
        client: EngineLink,
        text: TextSide,
        config: ServerConfig,
        offload: Offload,
    ) -> None:
        self._client = client
        self._tokenizer, self._template, self._pieces, rerank_prompt = text
        self._config = config
        self._offload = offload
        self._heartbeats = Heartbeats(config.heartbeat_seconds)
        self.created = int(time.time())
        self.engine_address = ""
        """Where `join` finds the engine; empty if there is to be one server process only."""
        self.model_ids = config.aliases
        self.embeddings = EmbeddingPipeline(
            client, self._tokenizer, rerank_prompt, offload, self._check_served
        )

    @classmethod
    def open(
        cls, engine_config: EngineConfig, server_config: ServerConfig, *, offload: Offload
    ) -> Generation:
        """Start the engine and load the text side; SetupError if the file is no model."""
        environment = engine_environment()
        text = load_text_side(engine_config.model_path)
        rendezvous = Rendezvous() if server_config.num_workers > 1 else None
        client = EngineClient(engine_config, environment, rendezvous)
        client.start()
        config = _with_alias(server_config, engine_config.model_path)
        generation = cls(client, text, config, offload)
        if rendezvous is not None:
            generation.engine_address = rendezvous.address
        return generation

    @classmethod
    def join(
        cls, model_path: str, engine_address: str, server_config: ServerConfig, *, offload: Offload
    ) -> Generation:
        """Load the text side, and use the engine of another process that has opened it."""
        text = load_text_side(model_path)
        client = EngineGuest(engine_address)
        client.start()
        return cls(client, text, _with_alias(server_config, model_path), offload)

    @staticmethod
    def check_setup() -> None:
        """SetupError if no model could be loaded, whichever it is."""
        check_native()

    def status(self) -> EngineStatus:
        """How the engine is."""
        return self._client.status

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait for the first load; SetupError says why it failed."""
        if not self._client.wait_settled(timeout):
            raise SetupError(f"The model was not loaded within {timeout} seconds.")
        reason = self._client.status.reason
        if reason is not None:
            raise SetupError(reason)

    def close(self) -> None:
        """End the engine."""
        self._client.close()
        self._heartbeats.close()

    def model_card(self) -> ModelCard:
        """What `/v1/models` says."""
        info = self._client.status.info
        meta: Meta = {"n_vocab": len(self._pieces)}
        if info is not None:
            meta |= describe(info)
        return ModelCard(self.model_ids[0], self.created, meta=meta)

    def start_completion(self, request: CompletionRequest) -> Run:
        """Submit all choices of all prompts; RequestError before anything is submitted."""
        self._check(request)
        prompts = [self._encode_prompt(prompt) for prompt in request.prompt_list()]
        return self._start(request, prompts, RunHead.new("cmpl", self.model_ids[0]), "prompt")

    def start_chat(self, request: ChatCompletionRequest) -> Run:
        """Render the conversation and submit all choices."""
        self._check(request)
        prompt = self._offload(self._encode_chat, request)
        head = RunHead.new("chatcmpl", self.model_ids[0])
        return self._start(request, [prompt], head, "messages")

    def _check_served(self, model: str) -> EngineStatus:
        """The name is right, and the engine ready."""
        if model not in self.model_ids:
            raise ModelNotFound(model)
        status = self._client.status
        if status.state != "ready":
            raise EngineUnavailable(_why_unavailable(status))
        return status

    def _check(self, request: GenerationRequest) -> None:
        """What can be checked without tokenising."""
        info = self._check_served(request.model).info
        if info is not None:
            if not info.can_generate:
                raise _cannot_generate(request.model)
            self._tokenizer.context_size = info.context_size
        self._tokenizer.check_logit_bias(request.logit_bias)

    def _encode_prompt(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, str):
            token_ids: list[int] = self._offload(self._tokenizer.encode_text, prompt)
            return token_ids
        self._tokenizer.check_ids(prompt, "prompt")
        return prompt

    def _encode_chat(self, request: ChatCompletionRequest) -> list[int]:
        segments = self._template.render(
            request.template_messages(), kwargs=request.template_kwargs()
        )
        return self._tokenizer.encode_chat(segments)

    def _start(
        self, request: GenerationRequest, prompts: list[list[int]], head: RunHead, param: str
    ) -> Run:
        for token_ids in prompts:
            self._check_length(token_ids, param)
        run = Run(head, self._client, priority=request.level, service_tier=request.tier_served)
        self._heartbeats.add(run)
        run.warnings = self._clamped(request, max(map(len, prompts)))
        params = request.sampling_params()
        try:
            for token_ids in prompts:
                choices = [_for_choice(params, number) for number in range(request.n)]
                run.add_prompt(
                    token_ids, choices, partial(OutputProcessor, self._pieces, request.stop)
                )
        except EngineUnavailable:
            run.cancel()
            raise
        return run

    def _check_length(self, token_ids: list[int], param: str) -> None:
        info = self._client.status.info
        if info is not None and len(token_ids) >= info.context_size:
            raise ContextLengthExceeded(len(token_ids), info.context_size, param=param)

    def _clamped(self, request: GenerationRequest, num_prompt_tokens: int) -> tuple[str, ...]:
        """The token limit, if the context ends before it."""
        info, limit = self._client.status.info, request.token_limit()
        if info is None or limit == -1 or num_prompt_tokens + limit <= info.context_size:
            return ()
        newer = getattr(request, "max_completion_tokens", None)
        return ("max_tokens" if newer is None else "max_completion_tokens",)


def describe(info: Ready) -> Meta:
    """What the model is, and what it can do."""
    meta: Meta = {"n_params": info.num_parameters, "size": info.model_bytes}
    capabilities = []
    if info.can_generate:
        capabilities.append("completion")
        meta |= {"n_ctx": info.context_size, "n_slots": info.num_slots}
    if info.embedding is not None:
        capabilities.append("rerank" if info.embedding.pooling == "rank" else "embedding")
        meta |= {"n_embd": info.embedding.num_dimensions, "pooling": info.embedding.pooling}
        meta.setdefault("n_ctx", info.embedding.context_size)
    return meta | {"capabilities": capabilities}


def model_name(path: str) -> str:
    """The id of a model without an alias: its file's name, without the ending."""
    return os.path.basename(path).removesuffix(".gguf")


def _with_alias(config: ServerConfig, path: str) -> ServerConfig:
    return msgspec.structs.replace(config, aliases=config.aliases or (model_name(path),))


def _for_choice(params: SamplingParams, number: int) -> SamplingParams:
    """Choices of one request with one seed must still differ from each other."""
    if params.seed is None or number == 0:
        return params
    return msgspec.structs.replace(params, seed=(params.seed + number) % (2**32 - 1))


def _cannot_generate(model: str) -> RequestError:
    return RequestError(
        f"The model `{model}` cannot generate text, it only embeds. Use /v1/embeddings.",
        param="model",
        code="unsupported_value",
    )


def _why_unavailable(status: EngineStatus) -> str:
    if status.state == "loading":
        return f"The model is loading ({status.progress:.0%}); try again in a moment."
    reason = "" if status.reason is None else f"{status.reason} "
    return f"{reason}The engine is being started again; try again in a moment."
