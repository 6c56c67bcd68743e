"""Length-prefixed frames over a Unix socket pair.

A frame is a 32-bit little-endian length and that many bytes. Whatever is wrong with the other
side (closed, killed, a length beyond the limit) is the same news: `PeerGone`.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterable

RECEIVE_BYTES = 256 * 1024
MAX_FRAME_BYTES = 256 * 1024 * 1024
"""A prompt of a million tokens takes 5 MB; more than this is no message of ours."""

_LENGTH = struct.Struct("<I")


def pack(frames: Iterable[bytes]) -> bytes:
    """Each frame behind its length."""
    return b"".join(part for frame in frames for part in (_LENGTH.pack(len(frame)), frame))


class PeerGone(Exception):
    """The other process closed its end, died, or sends garbage."""


class Transport:
    """One end of the connection. One thread may send while another one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = bytearray()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def fileno(self) -> int:
        """For those who wait for several connections at once."""
        return self._socket.fileno()

    def send(self, *frames: bytes) -> None:
        """Send the frames in one write; blocks while the other side does not read."""
        try:
            self._socket.sendall(pack(frames))
        except OSError as error:
            raise PeerGone(str(error)) from None

    def send_now(self, data: bytes) -> int:
        """How many of these packed bytes the other side's buffer takes now; 0 if it is full."""
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PeerGone(str(error)) from None

    def receive(self, *, block: bool = True) -> list[bytes]:
        """All whole frames that have arrived; waits for the first one if `block`."""
        while True:
            frames = self._take_frames()
            if frames or not self._read(block):
                return frames

    def close(self) -> None:
        """Close this end; the other side's `receive` raises PeerGone, as does ours if it waits."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster
        self._socket.close()

    def _read(self, block: bool) -> bool:
        """Whether new bytes came."""
        if not block and not self._poll.poll(0):
            return False  # cheaper than to make room for what is not there
        try:
            data = self._socket.recv(RECEIVE_BYTES, 0 if block else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            raise PeerGone(str(error)) from None
        if not data:
            raise PeerGone("end of file")
        self._received += data
        return True

    def _take_frames(self) -> list[bytes]:
        frames, start, data = [], 0, self._received
        while len(data) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, start)
            if length > MAX_FRAME_BYTES:
                raise PeerGone(f"a frame of {length} bytes")
            end = start + _LENGTH.size + length
            if end > len(data):
                break
            frames.append(bytes(data[start + _LENGTH.size : end]))
            start = end
        del data[:start]
        return frames
