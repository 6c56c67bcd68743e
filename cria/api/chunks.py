"""The JSON objects of a stream, assembled from bytes.

One is made for every token of every client, so that all of it but the text is encoded once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

from cria.api.events import CallDelta, CallStarted, ReasoningDelta
from cria.api.extras import NO_EXTRAS, Extras, encode_members
from cria.api.head import ResponseHead
from cria.api.logprobs import ScoredToken
from cria.api.usage import Usage, usage_object

_encode = msgspec.json.Encoder().encode

# JSON allows these line ends in a string; clients that split an event stream by Unicode's idea
# of a line (Python's `str.splitlines`) would cut the object in two.
_LINE_ENDS = tuple((mark.encode(), b"\\u%04x" % ord(mark)) for mark in "\x85\u2028\u2029")


def encode_text(text: str) -> bytes:
    """A JSON string, quotes included, that holds no line end of any kind."""
    data = _encode(text)
    return data if text.isascii() else escape_line_ends(data)


def escape_line_ends(data: bytes) -> bytes:
    """JSON text that is one line to everybody."""
    if not data.isascii():
        for mark, escape in _LINE_ENDS:
            data = data.replace(mark, escape)
    return data


def ids_member(name: bytes, token_ids: Sequence[int] | None) -> bytes:
    """A member with its comma; nothing if these ids were not asked for."""
    return b"" if token_ids is None else b',"%b":%b' % (name, _encode(token_ids))


class Chunks(ABC):
    """One stream: all that its chunks share, and how each is put together.

    The routes differ in how a chunk holds its text, and in what opens a choice.
    """

    OBJECT: ClassVar[str]
    TEXT_MEMBER: ClassVar[bytes]
    """The name of the member of a choice that holds text, quoted, with its colon."""
    NO_TEXT: ClassVar[bytes]

    @staticmethod
    @abstractmethod
    def shape_text(text: bytes) -> bytes:
        """The value of that member; `text` is a JSON string."""

    @staticmethod
    @abstractmethod
    def shape_logprobs(tokens: Sequence[ScoredToken]) -> msgspec.Struct | None:
        """The route's own shape of log probabilities."""

    def __init__(
        self,
        head: ResponseHead,
        include_usage: bool,
        usage_so_far: Callable[[], Usage] | None = None,
    ) -> None:
        """With `usage_so_far` every chunk has a usage, not only the last one."""
        shared = {
            "id": head.id,
            "object": self.OBJECT,
            "created": head.created,
            "model": head.model,
            "system_fingerprint": head.system_fingerprint,
            **({"service_tier": head.service_tier} if head.service_tier else {}),
        }
        self._open = _encode(shared)[:-1] + b',"choices":['
        self._open_choice = self._open + b'{"index":'
        self._close = b'}],"usage":null}' if include_usage else b"}]}"
        self._usage_so_far = usage_so_far

    @abstractmethod
    def start(self, index: int, prompt_token_ids: Sequence[int] | None = None) -> bytes | None:
        """What opens a choice, if anything; it tells the prompt's tokens if they are asked for."""

    def delta(
        self,
        index: int,
        text: str,
        tokens: Sequence[ScoredToken] = (),
        token_ids: Sequence[int] | None = None,
    ) -> bytes:
        """Some new text of one choice, with its tokens, and the ids since its last chunk."""
        return self._more(index, self.shape_text(encode_text(text)), tokens, token_ids)

    def reasoning(self, event: ReasoningDelta) -> bytes | None:
        """Some thinking; None is nothing to tell, as are the two below, on a route of plain text,
        where there are no such events."""
        return None

    def call_started(self, event: CallStarted) -> bytes | None:
        """The beginning of a tool call."""
        return None

    def call_delta(self, event: CallDelta) -> bytes | None:
        """Some more of its arguments."""
        return None

    def finish(
        self,
        index: int,
        finish_reason: str,
        token_ids: Sequence[int] | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> bytes:
        """The last chunk of one choice: no text."""
        end = encode_text(finish_reason) + ids_member(b"token_ids", token_ids)
        return self._chunk(index, self.NO_TEXT, end, encode_members(extras))

    def usage(self, usage: Usage, extras: Extras = NO_EXTRAS) -> bytes:
        """The last chunk of a stream with `include_usage`."""
        encoded = _encode(usage_object(usage))
        return b'%b],"usage":%b%b}' % (self._open, encoded, encode_members(extras))

    def _more(
        self,
        index: int,
        value: bytes,
        tokens: Sequence[ScoredToken],
        token_ids: Sequence[int] | None,
    ) -> bytes:
        """A chunk in the middle, `value` being that of the member that holds text."""
        end = b"null" + ids_member(b"token_ids", token_ids)
        logprobs = _encode(self.shape_logprobs(tokens)) if tokens else b"null"
        return self._chunk(index, value, end, logprobs=logprobs)

    def _chunk(
        self,
        index: int,
        text: bytes,
        finish_reason: bytes,
        members: bytes = b"",
        logprobs: bytes = b"null",
    ) -> bytes:
        """`finish_reason` may have further members of the choice behind it."""
        return b'%b%d,%b%b,"logprobs":%b,"finish_reason":%b%b' % (
            self._open_choice,
            index,
            self.TEXT_MEMBER,
            text,
            logprobs,
            finish_reason,
            self._close_with(members) if members else self._close_choice,
        )

    @property
    def _close_choice(self) -> bytes:
        if self._usage_so_far is None:
            return self._close
        return b'}],"usage":%b}' % _encode(usage_object(self._usage_so_far()))

    def _close_with(self, members: bytes) -> bytes:
        """The end of a chunk of one choice, with further members of the top level."""
        return b"%b%b}" % (self._close_choice[:-1], members)
