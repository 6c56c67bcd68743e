"""`Api`: what `cria run` and `cria chat` ask of a server, and what can go wrong with it.

1. Every failure is a `ClientError` with a sentence; nothing that the HTTP library raises gets out.
2. An answer is a generator of `Piece`s. Closing it closes the connection, which is how a server
   hears that nobody wants the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import msgspec
import requests
from requests.auth import AuthBase

from cria.client.address import headers_for
from cria.client.event_stream import EventStream, StreamError, error_message, shown
from cria.errors import SetupError

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 600.0
"""Without a byte from the server; long prompts take their time."""
ASK_SECONDS = 30.0
PATIENCE_SECONDS = 600.0
"""For a model that loads."""
MAX_ERROR_BYTES = 64 * 1024
MAX_WAIT = 60.0

Say = Callable[[str], None]


class ClientError(SetupError):
    """The server gave no answer, or only a part; the message is a sentence."""


class Unreachable(ClientError):
    """Nobody listens there, or whoever did has gone."""


class Refused(ClientError):
    """An answer with an error status."""

    def __init__(self, message: str, status: int, wait: float | None = None) -> None:
        """`wait`: seconds after which the same may be asked again."""
        super().__init__(message)
        self.status, self.wait = status, wait


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as the server counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Delta(msgspec.Struct):
    """New text of a chat; thinking has one of two names."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(msgspec.Struct):
    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice] = []
    usage: Usage | None = None
    model: str | None = None
    error: Any = None


class Piece(NamedTuple):
    """What one event adds; most have one of these."""

    text: str = ""
    thinking: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None


class _ModelCard(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_ModelCard]


class _Key(AuthBase):
    """The key, also where a .netrc has another opinion."""

    def __init__(self, key: str | None) -> None:
        self._headers = headers_for(key)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class Api:
    """One server."""

    def __init__(self, root: str, key: str | None, *, is_own: bool = False) -> None:
        """`root` is as `root_of` makes it; proxies of the environment are not for our own."""
        self.root = root
        self._session = requests.Session()
        self._session.auth = _Key(key)
        self._session.trust_env = not is_own

    def close(self) -> None:
        self._session.close()

    def models(self) -> list[str]:
        """The names that the server lists; at least one."""
        with self._answer("GET", "/v1/models", timeout=(CONNECT_SECONDS, ASK_SECONDS)) as answer:
            body = answer.content
        try:
            names = [card.id for card in msgspec.json.decode(body, type=_Models).data]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            names = []
        if not names:
            raise ClientError(f"{self.root}/v1/models lists no model as an OpenAI server does.")
        return names

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[Piece]:
        """The answer to a request, as it comes; only a whole one ends without a ClientError."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        timeout = (CONNECT_SECONDS, SILENCE_SECONDS)
        with self._answer("POST", path, json=asked, stream=True, timeout=timeout) as answer:
            events = EventStream()
            for data in answer.iter_content(chunk_size=None):
                for payload in _payloads(events, data):
                    yield _piece(payload)
                if events.done:
                    return
            raise Unreachable("The server ended the answer before it was whole.")

    @contextmanager
    def _answer(self, method: str, path: str, **options: Any) -> Iterator[requests.Response]:
        """An answer that is no error, for as long as the block takes."""
        try:
            answer = self._session.request(
                method, self.root + path, allow_redirects=False, **options
            )
            with closing(answer):
                if answer.status_code != 200:
                    raise _refusal(answer)
                yield answer
        except requests.RequestException as error:
            raise Unreachable(f"{self.root} {_reason(error)}.") from None


def patiently(call: Callable[[], Iterator[Piece]], say: Say) -> Iterator[Piece]:
    """What `call` streams; while it is refused because a model loads, wait and ask again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    told = ""
    while True:
        try:
            yield from call()
            return
        except Refused as refused:
            if refused.wait is None or time.monotonic() + refused.wait > deadline:
                raise
            # A percentage in it may change each time; how often it says so, does not matter.
            sentence = str(refused).partition(" (")[0]
            if sentence != told:
                say(f"{refused} Waiting for it; Ctrl-C ends that.")
            told = sentence
            time.sleep(refused.wait)


def _payloads(events: EventStream, data: bytes) -> list[bytes]:
    try:
        return events.feed(data)
    except StreamError as error:
        raise ClientError(f"The answer makes no sense: {error}.") from None


def _piece(payload: bytes) -> Piece:
    try:
        chunk = msgspec.json.decode(payload, type=Chunk)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ClientError(f"The answer makes no sense: {shown(payload)}") from None
    if chunk.error is not None:
        raise ClientError(error_message(payload))
    if not chunk.choices:
        return Piece(usage=chunk.usage, model=chunk.model)
    choice = chunk.choices[0]
    delta = choice.delta or Delta()
    return Piece(
        choice.text or delta.content or "",
        delta.reasoning_content or delta.reasoning or "",
        choice.finish_reason,
        chunk.usage,
        chunk.model,
    )


def _refusal(answer: requests.Response) -> Refused:
    """In the server's own words, with what may be done about it."""
    body = next(answer.iter_content(MAX_ERROR_BYTES), b"")
    sentence = error_message(body) or f"{answer.status_code} {answer.reason}"
    if not sentence.endswith((".", "!", "?", ")", "...")):
        sentence += "."
    if answer.status_code == 401:
        sentence += " Give the key with --api-key or CRIA_API_KEY."
    elif answer.is_redirect:
        sentence = f"The server sends us elsewhere: {answer.headers.get('Location', '')[:200]}."
    wait = _seconds(answer.headers) if answer.status_code == 503 else None
    return Refused(sentence, answer.status_code, wait)


def _seconds(headers: Mapping[str, str]) -> float | None:
    """When to ask again; None if the server does not say, or better not."""
    if headers.get("x-should-retry") == "false":
        return None
    after = headers.get("Retry-After", "")
    return min(float(after), MAX_WAIT) if after.isascii() and after.isdigit() else None


def _reason(error: requests.RequestException) -> str:
    """Behind the server's URL."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"has no certificate that is trusted here: {_innermost(error)}"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"cannot be reached: no answer within {CONNECT_SECONDS:g} s"
    if isinstance(error, requests.exceptions.Timeout):
        return "says nothing for too long"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "has hung up before the answer was whole"
    return f"cannot be reached: {_innermost(error)}"


def _innermost(error: BaseException) -> str:
    """The words of the system behind the library's: `Connection refused`."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror and seen is not error:
            return seen.strerror
        reason = getattr(seen, "reason", None) or next(iter(seen.args), None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__
    return type(error).__name__
