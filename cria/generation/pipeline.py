"""`Generation`: from a decoded request to a run.

Template, tokens, checks against the model, submission: whatever can be wrong with a request is
found here, before anything is computed and before an answer has begun.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import msgspec

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.generation_request import GenerationRequest
from cria.api.models import Meta, ModelCard
from cria.api.request_settings import RequestSettings
from cria.api.sampling_fields import MAX_INT32
from cria.api.score import ScoreRequest
from cria.config import EngineConfig, ServerConfig
from cria.engine_environment import engine_environment
from cria.errors import (
    ModelFileError,
    ModelNotFound,
    SetupError,
)
from cria.generation.adapters import Adapters, no_vectors
from cria.generation.admission import Admission
from cria.generation.answer_tokens import PLAIN, Display, TokenTexts
from cria.generation.constraining import Constraining
from cria.generation.embedding_pipeline import EmbeddingPipeline
from cria.generation.engine_client import EngineClient
from cria.generation.engine_guest import EngineGuest
from cria.generation.engine_link import EngineLink
from cria.generation.engine_status import EngineStatus
from cria.generation.heartbeats import Heartbeats
from cria.generation.ledger import OWN_LEDGERS, Ledgers
from cria.generation.limits import (
    cannot_generate,
    check_length,
    check_num_scored,
    check_num_shown,
    clamped,
    prompt_source,
)
from cria.generation.model_meta import describe, model_name
from cria.generation.overflow import Overflow, Prompt
from cria.generation.reception import Reception
from cria.generation.run import Offload, Run, RunHead
from cria.generation.scoring import Scored, scored_prompts
from cria.generation.shaping import Shape, Shaping, compiles
from cria.generation.text_tools import TextTools
from cria.generation.unavailable import unavailable
from cria.ipc.messages import Ready
from cria.ipc.rendezvous import Rendezvous
from cria.output.detokenizer import text_of
from cria.output.processor import OutputProcessor
from cria.prompt.loading import TextSide, check_native, load_text_side
from cria.prompt.template_file import read_template
from cria.sampling_params import SamplingParams


class Generation:
    """One model: its text side in this process, its engine in another one."""

    def __init__(
        self,
        client: EngineLink,
        text: TextSide,
        config: ServerConfig,
        offload: Offload,
        ledgers: Ledgers = OWN_LEDGERS,
    ) -> None:
        self._client = client
        self.admission = Admission(config, ledgers.queue, callers=ledgers.callers)
        self._tokenizer, self._pieces = text.tokenizer, text.pieces
        self._constraining = Constraining(text.make_compiler)
        self._shaping = Shaping(text.formats, self._constraining, text.tokenizer)
        self._token_texts = TokenTexts(self._pieces, self._tokenizer.spelled_pieces)
        self._config = config
        self.offload = offload
        self.offload_storage = offload
        """For what waits for a disk."""
        self.settings = RequestSettings(config.settings)
        self.text = TextTools(text, offload, self.settings)
        """What can be asked of the text side alone; `require_ready` comes first."""
        self._heartbeats = Heartbeats(config.heartbeat_seconds)
        self.created = int(time.time())
        self.engine_address = ""
        """Where `join` finds the engine; empty if there is to be one server process only."""
        self.model_ids = config.aliases
        self.model_path = ""
        self.adapters = Adapters(client, config)
        self._reception = Reception(self.admission, self.require_ready, config.queue_timeout)
        self.embeddings = EmbeddingPipeline(
            client, text, self._reception, offload, self._check_embeds, self.settings
        )

    @classmethod
    def open(
        cls,
        engine_config: EngineConfig,
        server_config: ServerConfig,
        *,
        offload: Offload,
        ledgers: Ledgers = OWN_LEDGERS,
    ) -> Generation:
        """Start the engine and load the text side; SetupError if the file is no model."""
        environment = engine_environment()
        text = load_text_side(engine_config.model_path, server_config.chat_template)
        rendezvous = Rendezvous() if server_config.num_workers > 1 else None
        client = EngineClient(engine_config, environment, rendezvous)
        client.start()
        config = _with_alias(server_config, engine_config.model_path)
        generation = cls(client, text, config, offload, ledgers)
        generation._constraining.prepare()
        generation.model_path = engine_config.model_path
        generation.adapters.adopt(
            engine_config.adapters, applied=not engine_config.lora_init_without_apply
        )
        if rendezvous is not None:
            generation.engine_address = rendezvous.address
        return generation

    @classmethod
    def join(
        cls,
        model_path: str,
        engine_address: str,
        server_config: ServerConfig,
        *,
        offload: Offload,
        ledgers: Ledgers = OWN_LEDGERS,
    ) -> Generation:
        """Load the text side, and use the engine of another process that has opened it."""
        text = load_text_side(model_path, server_config.chat_template)
        client = EngineGuest(engine_address)
        client.start()
        generation = cls(client, text, _with_alias(server_config, model_path), offload, ledgers)
        generation._constraining.prepare()
        generation.model_path = model_path
        return generation

    @staticmethod
    def check_setup() -> None:
        """SetupError if no model could be loaded, whichever it is."""
        check_native()

    @staticmethod
    def read_template(path: str) -> str:
        """A chat template of the operator's; SetupError if it cannot be used."""
        return read_template(path)

    def status(self) -> EngineStatus:
        """How the engine is."""
        return self._client.status

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait for the first load; SetupError says why it failed."""
        if not self._client.wait_settled(timeout):
            raise SetupError(f"The model was not loaded within {timeout} seconds.")
        reason = self._client.status.reason
        if reason is not None:
            raise ModelFileError(reason)

    def wait_lost(self) -> bool:
        """Wait until engines have ended too often, or for `close`; whether they have."""
        return self._client.wait_lost()

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

    def require_ready(self, model: str | None = None) -> Ready:
        """What the engine has told of itself; EngineUnavailable while there is none.

        ModelNotFound if the request names another model.
        """
        info = self._check_served(model).info
        if info is None:
            raise unavailable(self._client.status)
        if not info.can_generate and info.embedding is not None:
            info = msgspec.structs.replace(info, context_size=info.embedding.context_size)
        self._tokenizer.context_size = info.context_size
        return info

    def count_chat_tokens(self, request: ChatCompletionRequest) -> int:
        """What the usage of this request would say of its prompt, however long that is."""
        self._check(request)
        return len(self.offload(self._encode_conversation, request, request.template_messages()))

    def start_completion(self, request: CompletionRequest) -> Run:
        """Submit all choices of all prompts; RequestError before anything is submitted."""
        self._check(request)
        self._reception.check(request.num_candidates * len(request.prompt_list()))
        overflow = self._overflow(request)
        texts = None if request.sampling_params().logprobs is None else self._token_texts
        prompts = []
        for each in request.prompt_list():
            prompt = overflow.fit(self._encode_prompt(each, request.suffix))
            prompts.append((prompt, self._display(request, texts, each, prompt)))
        run = self._start(request, prompts, overflow, self._head("cmpl", request.model))
        run.warnings = request.settled.told(run.warnings)
        return run

    def start_chat(self, request: ChatCompletionRequest) -> Run:
        """Render the conversation and submit all choices."""
        self._check(request)
        self._reception.check(request.num_candidates)
        overflow = self._overflow(request)
        prompt = self.offload(self._encode_chat, request, overflow)
        display = Display(self._token_texts if request.logprobs else None)
        head = self._head("chatcmpl", request.model)
        run = self._start(request, [(prompt, display)], overflow, head)
        run.warnings = request.settled.told(run.warnings + self.text.unused_options(request))
        return run

    def start_score(self, request: ScoreRequest) -> Run:
        """Submit the prompt with each continuation; its choices are the continuations' tokens."""
        info = self._require_generator(request.model)
        self._reception.check(len(request.continuations))
        scored: list[Scored] = self.offload(scored_prompts, self._tokenizer, request)
        for index, (token_ids, first, _) in enumerate(scored):
            check_length(info, token_ids[:first], "prompt", num_more=0)
            check_length(info, token_ids, f"continuations[{index}]", num_more=0)
        check_num_scored(sum(len(token_ids) - first for token_ids, first, _ in scored))
        run = Run(
            self._head("score", request.model),
            self._client,
            turn=self._reception.turn(request.priority)._replace(
                adapters=self.adapters.choose(request.model, request.lora)
            ),
            offload=self.offload,
        )
        self._heartbeats.add(run)
        make_output = partial(OutputProcessor, self._pieces, ())
        sizes = [len(token_ids) for token_ids, _, _ in scored]
        run.ticket = self._reception.admit(sizes, sum(sizes))
        with run.submitting():
            for token_ids, first, text in scored:
                params = SamplingParams(max_tokens=0, logprobs=1, prompt_logprobs_from=first)
                text = text or text_of(self._pieces, token_ids)
                display = Display(self._token_texts, text, echo=True, first_token=first)
                run.add_prompt(token_ids, [params], make_output, display)
        return run

    def _head(self, prefix: str, model: str) -> RunHead:
        return RunHead.new(prefix, self.adapters.name_of(model) or self.model_ids[0])

    def _check_served(self, model: str | None) -> EngineStatus:
        """The name is right, if there is one, and the engine ready."""
        status = self._client.status
        if model is not None and model not in self.model_ids and not self.adapters.knows(model):
            raise ModelNotFound(model)
        if status.state != "ready":
            raise unavailable(status)
        return status

    def _check_embeds(self, model: str | None) -> EngineStatus:
        status = self._check_served(model)
        if model is not None and model not in self.model_ids:
            raise no_vectors(model)
        return status

    def _require_generator(self, model: str) -> Ready:
        info = self.require_ready(model)
        if not info.can_generate:
            raise cannot_generate(model)
        return info

    def _check(self, request: ChatCompletionRequest | CompletionRequest) -> None:
        """The operator's settings, and what can be checked without tokenising."""
        self._require_generator(request.model)
        self.settings.apply(request)
        self.adapters.choose(request.model, request.lora)
        self._tokenizer.check_logit_bias(request.logit_bias)
        self._tokenizer.check_ids(request.stop_token_ids, "stop_token_ids")
        self._tokenizer.check_allowed(
            request.allowed_token_ids, request.banned_ids, may_end=request.may_end_at_once
        )

    def _encode_prompt(self, prompt: str | list[int], suffix: str | None) -> list[int]:
        if not isinstance(prompt, str):
            self._tokenizer.check_ids(prompt, "prompt")
        if suffix:
            return list(self.offload(self._tokenizer.encode_infill, prompt, suffix))
        if isinstance(prompt, str):
            return list(self.offload(self._tokenizer.encode_text, prompt))
        return prompt

    def _encode_chat(self, request: ChatCompletionRequest, overflow: Overflow) -> Prompt:
        encode = partial(self._encode_conversation, request)
        return overflow.fit_chat(request.template_messages(), encode)

    def _encode_conversation(
        self, request: ChatCompletionRequest, messages: list[dict[str, Any]]
    ) -> list[int]:
        return self._tokenizer.encode_chat(
            self.text.render(request, messages), prompt_source(request)
        )

    def _overflow(self, request: GenerationRequest) -> Overflow:
        info = self._client.status.info
        context_size = MAX_INT32 if info is None else info.context_size
        begin_id = self._tokenizer.begin_id
        return Overflow(request, context_size, begin_id, self.settings.max_prompt_tokens)

    def _display(
        self, request: CompletionRequest, texts: TokenTexts | None, given: object, prompt: Prompt
    ) -> Display:
        if texts is None and not request.echo:
            return PLAIN
        is_whole = len(prompt.token_ids) == prompt.num_original_tokens
        if isinstance(given, str) and is_whole:
            return Display(texts, given, request.echo)
        return Display(texts, text_of(self._pieces, prompt.token_ids), request.echo)

    def _start(
        self,
        request: GenerationRequest,
        prompts: list[tuple[Prompt, Display]],
        overflow: Overflow,
        head: RunHead,
    ) -> Run:
        param = "messages" if isinstance(request, ChatCompletionRequest) else "prompt"
        params = request.sampling_params()
        info = self.require_ready()
        for prompt, _ in prompts:
            check_length(
                info,
                prompt.token_ids,
                param,
                min(params.max_tokens, 1),
                made_of=prompt_source(request),
            )
            self.settings.check_prompt(len(prompt.token_ids), param, prompt_source(request))
        check_num_shown(info, request, prompts)
        kept = [overflow.num_kept(prompt.token_ids) for prompt, _ in prompts]
        shape = self._shape(request, prompts[0][0].token_ids)
        params = msgspec.structs.replace(params, grammar=shape.grammar.source)
        run = Run(
            head,
            self._client,
            turn=self._reception.turn(request.level)._replace(
                adapters=self.adapters.choose(request.model, request.lora)
            ),
            service_tier=request.tier_served,
            offload=self.offload,
        )
        self._heartbeats.add(run)
        self._describe(run, request, [prompt for prompt, _ in prompts], overflow)
        run.warnings += shape.grammar.warnings
        run.constrained_by = shape.grammar.param
        run.tool_kinds = shape.tool_kinds
        lengths = [len(prompt.token_ids) for prompt, _ in prompts]
        run.ticket = self._reception.admit_prompts(request, lengths)
        with run.submitting():
            for (prompt, display), num_kept in zip(prompts, kept, strict=True):
                params = msgspec.structs.replace(params, num_kept=num_kept)
                choices = [_for_choice(params, i) for i in range(request.num_candidates)]
                run.add_prompt(prompt.token_ids, choices, shape.make_output, display)
        return run

    def _shape(self, request: GenerationRequest, prompt: list[int]) -> Shape:
        if not compiles(request):
            return self._shaping.shape(request, prompt)
        shape: Shape = self.offload(self._shaping.shape, request, prompt)
        return shape

    def _describe(
        self, run: Run, request: GenerationRequest, prompts: list[Prompt], overflow: Overflow
    ) -> None:
        """What the answer says beside its choices."""
        longest = max(len(prompt.token_ids) for prompt in prompts)
        run.warnings = clamped(self.require_ready(), request, longest) + overflow.warnings(prompts)
        run.truncated = overflow.report(prompts)
        run.returns_token_ids = request.return_token_ids


def _with_alias(config: ServerConfig, path: str) -> ServerConfig:
    return msgspec.structs.replace(config, aliases=config.aliases or (model_name(path),))


def _for_choice(params: SamplingParams, number: int) -> SamplingParams:
    """Choices of one request with one seed must still differ from each other."""
    if params.seed is None or number == 0:
        return params
    return msgspec.structs.replace(params, seed=(params.seed + number) % (2**32 - 1))
