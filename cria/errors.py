"""Every exception that Cria raises on purpose.

CriaError
+-- RequestError               the client's mistake: a 4xx that names the parameter
|   +-- ContextLengthExceeded  prompt does not fit into the context
|   +-- ModelNotFound          no such model here
|   +-- StoredNotFound         nothing is stored under this id
|   +-- AuthenticationFailed   key missing or wrong
|   +-- AccessDenied           asked for under a foreign name, or by a foreign web page
|   +-- RequestQuarantined     the same request has ended the engine twice
|   +-- Overloaded             the request was fine, and there is too much to do
|       +-- RateLimited        more than the caller's key may ask for
|       +-- QueueFull          too many requests wait already
+-- EngineError                ours: the request was fine and got no answer
|   +-- EngineUnavailable      loading, or being started again: try later
|   +-- EngineDied             the engine process ended while it worked on the request
|   +-- QueueTimeout           its turn did not come in time
|   +-- ServerStopping         the operator stops the server
|   +-- StoreUnwritable        the answer is there, and cannot be kept
|   +-- ModelProducedNan       the model computed no numbers
|   +-- NativeError            a call into llama.cpp failed
|       +-- BrokenContext      and nobody knows what state it left
+-- ClientGone                 the client closed its connection; nobody waits for an answer
+-- SetupError                 the operator's mistake: one sentence, exit code 1
    +-- ModelFileError         no such file, or nothing that can be served: exit code 3
    +-- NativeLibraryError     libllama is missing, or not the one that these bindings describe

`server/errors.py` maps the classes to statuses; nothing else does.
"""

from __future__ import annotations

MAX_SHOWN_NAME = 200


def shown_name(name: str) -> str:
    """What a client calls something, for a message: short, and nothing in it acts on a terminal."""
    cut = name if len(name) <= MAX_SHOWN_NAME else name[:MAX_SHOWN_NAME] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


class CriaError(Exception):
    """Base of all of them; the message is one sentence for a human."""


class RequestError(CriaError):
    """A request that cannot be honoured as sent.

    `param` is the path of the offending field (`messages[0].content`), `code` OpenAI's machine
    readable reason (`invalid_type`, `missing_required_parameter`, ...); both may be None.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class ContextLengthExceeded(RequestError):
    """The prompt alone fills the context; clients match the words of this message.

    `made_of` says in words what the prompt is, if that is more than the field `param`; `what` is
    too small for it.
    """

    def __init__(
        self,
        num_prompt_tokens: int,
        context_size: int,
        *,
        param: str,
        made_of: str = "",
        what: str = "context",
    ) -> None:
        made_of = made_of or param
        self.num_prompt_tokens, self.context_size = num_prompt_tokens, context_size
        super().__init__(
            f"This model's maximum {what} length is {context_size} tokens. However, your "
            f"{made_of} resulted in {num_prompt_tokens} tokens. Please reduce the length of the "
            f"{made_of}. (context_length_exceeded: prompt is too long)",
            param=param,
            code="context_length_exceeded",
        )


class ModelNotFound(RequestError):
    """The request names a model that this server does not serve."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The model `{shown_name(model)}` does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )


class StoredNotFound(RequestError):
    """The request names a stored response or item that is not there, or is another caller's."""

    def __init__(self, kind: str, stored_id: str, *, param: str | None = None) -> None:
        super().__init__(f"{kind} with id '{shown_name(stored_id)}' not found.", param=param)


class AuthenticationFailed(RequestError):
    """The API key is missing (no code) or wrong (`invalid_api_key`)."""


class AccessDenied(RequestError):
    """The request comes from where none may come from, whatever key it has."""


class RequestQuarantined(RequestError):
    """Not tried again for some time: each time the engine ended while it worked on this."""


class Overloaded(RequestError):
    """Try later: `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class RateLimited(Overloaded):
    """The caller's key has used up what it may."""


class QueueFull(Overloaded):
    """No more requests may wait."""


class EngineError(CriaError):
    """The engine could not do what it was asked, through no fault of the client."""


class EngineUnavailable(EngineError):
    """No engine is ready: it loads its model, starts again after a crash, or does not answer.

    `code` says which, if not loading; `retry_after` is in seconds.
    """

    def __init__(self, message: str, *, code: str | None = None, retry_after: float = 1) -> None:
        super().__init__(message)
        self.code, self.retry_after = code, retry_after


class EngineDied(EngineError):
    """The engine process ended while the request was in flight.

    `may_retry`: the request is surely not what ended it.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        may_retry: bool = False,
        retry_after: float = 1,
    ) -> None:
        super().__init__(message)
        self.code, self.may_retry, self.retry_after = code, may_retry, retry_after


class QueueTimeout(EngineError):
    """The request has waited as long as it may; nothing of it was computed."""

    def __init__(self, message: str, *, retry_after: float = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServerStopping(EngineError):
    """The server is told to stop before the answer is complete."""


class StoreUnwritable(EngineError):
    """What had to be kept could not be written: the disk is full, or the file may not grow.

    Nothing that the client could do again would help.
    """

    may_retry = False


class NativeError(EngineError):
    """A native function returned what its prototype calls failure."""

    is_for_batch = False
    """A batch was not computed; smaller ones, or others, can be."""


class BrokenContext(NativeError):
    """After this the engine process cannot be trusted: it has to be started again."""

    def __init__(self, message: str, *, is_for_memory: bool = False) -> None:
        super().__init__(message)
        self.is_for_memory = is_for_memory


class ModelProducedNan(EngineError):
    """The model's output for this request is not numbers; others are not concerned."""


class ClientGone(CriaError):
    """The client hung up; whatever was computed for it is dropped."""


class SetupError(CriaError):
    """Something the operator has to change before Cria can start."""


class ModelFileError(SetupError):
    """The model file cannot be served."""


class NativeLibraryError(SetupError):
    """The shared libraries are missing or do not match these bindings."""
