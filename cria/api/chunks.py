"""The JSON objects of a stream, assembled from bytes.

One is made for every token of every client, so that all of it but the text is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

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
    if not text.isascii():
        for mark, escape in _LINE_ENDS:
            data = data.replace(mark, escape)
    return data


def ids_member(name: bytes, token_ids: Sequence[int] | None) -> bytes:
    """A member with its comma; nothing if these ids were not asked for."""
    return b"" if token_ids is None else b',"%b":%b' % (name, _encode(token_ids))


class Chunks:
    """What all chunks of one stream share, and the chunk that carries the usage."""

    OBJECT: ClassVar[str]

    @staticmethod
    def shape_logprobs(tokens: Sequence[ScoredToken]) -> msgspec.Struct | None:
        """The route's own shape of log probabilities."""
        raise NotImplementedError

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

    @property
    def _close_choice(self) -> bytes:
        if self._usage_so_far is None:
            return self._close
        return b'}],"usage":%b}' % _encode(usage_object(self._usage_so_far()))

    def _logprobs(self, tokens: Sequence[ScoredToken]) -> bytes:
        """The member `logprobs` of a chunk whose text these tokens make."""
        return _encode(self.shape_logprobs(tokens)) if tokens else b"null"

    def usage(self, usage: Usage, extras: Extras = NO_EXTRAS) -> bytes:
        """The last chunk of a stream with `include_usage`."""
        encoded = _encode(usage_object(usage))
        return b'%b],"usage":%b%b}' % (self._open, encoded, encode_members(extras))

    def _close_with(self, members: bytes) -> bytes:
        """The end of a chunk of one choice, with further members of the top level."""
        return b"%b%b}" % (self._close_choice[:-1], members)
