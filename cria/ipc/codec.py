"""Messages to bytes and back: MessagePack, typed in each direction, never pickle."""

from __future__ import annotations

import msgspec

from cria.ipc.messages import ToEngine, ToServer

encode = msgspec.msgpack.Encoder().encode
decode_to_engine = msgspec.msgpack.Decoder(ToEngine).decode
decode_to_server = msgspec.msgpack.Decoder(ToServer).decode
