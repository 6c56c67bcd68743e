"""`RequestSettings`: an operator's defaults, forced values and limits, put into requests.

1. A default fills what a request leaves out. It gives way to fields that say the same in other
   words, and to whatever it would contradict.
2. A forced value replaces what a request says, in these words or others, and what contradicts it.
3. A limit of tokens that is higher than the operator's becomes the operator's.
4. A request is changed in place, after its decoding and before anything is made of it. What its
   client has said in vain is in `settled.overruled`.
"""

from __future__ import annotations

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.decoding import RequestBody
from cria.api.embeddings import EmbeddingRequest
from cria.api.generation_request import GenerationRequest
from cria.api.messages import UserMessage
from cria.api.setting_values import KINDS, Table, WrongSetting, typed_values
from cria.api.settling import Settling
from cria.config import ModelSettings
from cria.errors import ContextLengthExceeded, RequestError

Settable = ChatCompletionRequest | CompletionRequest | EmbeddingRequest


class RequestSettings:
    """Those of one model; WrongSetting if a table has a mistake."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._forced = {kind: typed_values(kind, "forced", settings.forced) for kind in KINDS}
        self._defaults = {kind: typed_values(kind, "defaults", settings.defaults) for kind in KINDS}
        for bare in _bare_requests():
            self._check(bare)

    @property
    def max_prompt_tokens(self) -> int | None:
        """Of one prompt."""
        return self._settings.max_prompt_tokens

    def apply(self, request: Settable) -> None:
        """Change the request, and note what was changed; RequestError if it asks for too much."""
        if self._settings == _NOTHING:
            return
        settling, kind = Settling(request), _kind_of(request)
        settling.force(self._forced[kind])
        settling.fill(self._defaults[kind])
        settling.limit(self._settings.max_tokens)
        settling.note()
        if isinstance(request, GenerationRequest):
            _check_num_choices(request, self._settings.max_choices)
        if isinstance(request, ChatCompletionRequest):
            request.note(system_prompt=self._settings.system_prompt)

    def check_prompt(self, num_tokens: int, param: str, made_of: str = "") -> None:
        """Raise if a prompt has more tokens than the operator allows."""
        most = self.max_prompt_tokens
        if most is not None and num_tokens > most:
            raise ContextLengthExceeded(
                num_tokens, most, param=param, made_of=made_of, what="prompt"
            )

    def bare_chat(self) -> ChatCompletionRequest:
        """What becomes of a chat that says nothing of its answer."""
        chat, *_ = _bare_requests()
        assert isinstance(chat, ChatCompletionRequest)
        self.apply(chat)
        return chat

    def _check(self, bare: Settable) -> None:
        """A request that says nothing can be what the tables say together."""
        settling, kind = Settling(bare), _kind_of(bare)
        table: Table = "forced"
        try:
            settling.force(self._forced[kind])
            table = "defaults"
            settling.fill_all(self._defaults[kind])
        except RequestError as error:
            raise WrongSetting(table, error.param or "", str(error)) from error


_NOTHING = ModelSettings()


def _bare_requests() -> tuple[Settable, ...]:
    return (
        ChatCompletionRequest(model="", messages=[UserMessage(content="")]),
        CompletionRequest(model="", prompt=""),
        EmbeddingRequest(model="", input="a"),
    )


def _kind_of(request: Settable) -> type[RequestBody]:
    return next(kind for kind in KINDS if isinstance(request, kind))


def _check_num_choices(request: GenerationRequest, most: int | None) -> None:
    """Raise if the request would have more sequences generated than the operator allows."""
    num_prompts = len(request.prompt_list()) if isinstance(request, CompletionRequest) else 1
    wanted = num_prompts * request.num_candidates
    if most is None or wanted <= most:
        return
    name = "prompt" if request.num_candidates == 1 else "n"
    if request.num_candidates > request.n:
        name = "best_of"
    raise RequestError(
        f"Invalid '{name}': this server generates at most {most} choices for a request to this "
        f"model, and these are {wanted}. Ask for fewer.",
        param=name,
        code="integer_above_max_value" if name != "prompt" else "array_above_max_length",
    )
