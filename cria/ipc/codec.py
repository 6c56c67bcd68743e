"""Messages to bytes and back: MessagePack, typed in each direction, never pickle."""

from __future__ import annotations

import msgspec

from cria.ipc.messages import ToEngine, ToServer

encode = msgspec.msgpack.Encoder().encode
_to_engine = msgspec.msgpack.Decoder(ToEngine).decode
_to_server = msgspec.msgpack.Decoder(ToServer).decode

# msgspec passes Python's own errors on for text that is no UTF-8 and for deep nesting.
_FAILURES = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class BadFrame(Exception):
    """The bytes are no message of this direction."""


def decode_to_engine(frame: bytes) -> ToEngine:
    """What the engine receives; BadFrame if it is nothing of the kind."""
    try:
        message: ToEngine = _to_engine(frame)
    except _FAILURES as error:
        raise BadFrame(str(error)) from None
    return message


def decode_to_server(frame: bytes) -> ToServer:
    """What the server receives; BadFrame if it is nothing of the kind."""
    try:
        message: ToServer = _to_server(frame)
    except _FAILURES as error:
        raise BadFrame(str(error)) from None
    return message
