"""The handler on a real socket: disconnects, lengths, upgrades, keep-alive.

Every case here is a gap of gevent's own handler (see `cria/server/http.py`).
"""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Generator

import gevent
import gevent.socket
import pytest

from cria.server.http import ClientWatch
from tests.server.process import (
    FakeServer,
    fake_server,
    post,
    read_to_end,
    read_until,
    wait_for,
)

LIMIT = 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[FakeServer, None, None]:
    log = tmp_path_factory.mktemp("http") / "log"
    with fake_server(log, max_body_bytes=LIMIT) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(server: FakeServer) -> Generator[None, None, None]:
    """After every test: no open run, no traceback."""
    logged_before = len(server.log.read_text())
    yield
    wait_for(lambda: server.running() == 0)
    assert "Traceback" not in server.log.read_text()[logged_before:]


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def error_of(answer: bytes) -> dict[str, str | None]:
    """The error object; and every answer must have the members that all answers have."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.search(rb"x-request-id: req_[0-9a-f]{32}", head)
    assert b"Content-Type: application/json" in head
    error: dict[str, str | None] = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_is_noticed_in_silence(server: FakeServer, stream: bool) -> None:
    with server.connect() as sock:
        sock.sendall(post("silent", stream=stream))
        wait_for(lambda: server.running() == 1)
    wait_for(lambda: server.running() == 0)


def test_a_client_that_says_more_and_leaves_is_noticed(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(post("silent"))
        wait_for(lambda: server.running() == 1)
        sock.sendall(b"\r\n")
    wait_for(lambda: server.running() == 0)


def test_a_client_that_resets_is_noticed_in_silence(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(post("silent"))
        wait_for(lambda: server.running() == 1)
        # Linger of 0 seconds: closing sends a reset instead of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: server.running() == 0)


def test_a_client_that_leaves_a_silent_stream_is_noticed(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(post("one then silent", stream=True))
        read_until(sock, b"first")
        assert server.running() == 1
    wait_for(lambda: server.running() == 0)


def test_a_client_that_leaves_a_busy_stream_is_noticed(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(post("endless", stream=True))
        read_until(sock, b"xxx")
        assert server.running() == 1
    wait_for(lambda: server.running() == 0)


def test_a_departure_is_logged_as_499(server: FakeServer) -> None:
    before = server.log.read_text().count(" 499 ")
    with server.connect() as sock:
        sock.sendall(post("silent"))
        wait_for(lambda: server.running() == 1)
    wait_for(lambda: server.log.read_text().count(" 499 ") == before + 1)


def test_pipelined_bytes_are_no_departure(server: FakeServer) -> None:
    with server.connect() as sock, server.connect() as other:
        sock.sendall(post("gated", stream=True))
        read_until(sock, b"first")
        sock.sendall(post("hi"))
        other.sendall(post("open the gate"))
        read_until(other, b"}}")
        answers = read_until(sock, b"Hello world")
    assert answers.count(b"[DONE]") == 1
    assert answers.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("is_told_to_end", [False, True])
def test_a_watch_ends_at_once(is_told_to_end: bool) -> None:
    """However busy the loop is: it must not meet a new watcher of what has been closed."""
    ours, theirs = gevent.socket.socketpair()
    news: list[str] = []
    watch = ClientWatch(ours, lambda: news.append("gone"))
    for _ in range(50_000):
        gevent.spawn(int)
    theirs.close()
    if is_told_to_end:
        watch.stop()
        ours._sock.close()  # at once, as gevent's handler does
    gevent.wait()
    assert news == ([] if is_told_to_end else ["gone"])
    watch.stop()
    ours.close()


def test_the_connection_is_used_again_after_a_stream(server: FakeServer) -> None:
    with server.connect() as sock:
        for _ in range(3):
            sock.sendall(post("hi", stream=True))
            answer = read_until(sock, b"0\r\n\r\n")
            assert status_of(answer) == 200
            assert answer.count(b"data: ") == 4


def test_one_event_is_one_chunk(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(post("long", stream=True))
        body = read_until(sock, b"0\r\n\r\n").partition(b"\r\n\r\n")[2]
    chunks = split_chunks(body)
    assert chunks[0] == b": ping\n\n"
    assert len(chunks) == 1 + 2000 + 1 + 1
    assert all(chunk.endswith(b"\n\n") and chunk.count(b"\n\n") == 1 for chunk in chunks)


def split_chunks(body: bytes) -> list[bytes]:
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        if (length := int(size, 16)) == 0:
            break
        chunks.append(rest[:length])
        body = rest[length + 2 :]
    return chunks


@pytest.mark.parametrize(
    "header",
    [
        "Upgrade: websocket",
        "Connection: upgrade",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket",
    ],
)
def test_an_upgrade_is_ignored(server: FakeServer, header: str) -> None:
    with server.connect() as sock:
        for _ in range(2):
            sock.sendall(post("hi", header))
            assert status_of(read_until(sock, b"}}")) == 200


@pytest.mark.parametrize("header", ["Connection: close", "Connection: TE, close"])
def test_a_client_may_ask_to_close(server: FakeServer, header: str) -> None:
    with server.connect() as sock:
        sock.sendall(post("hi", header))
        assert status_of(read_to_end(sock)) == 200


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + body + b"0\r\n\r\n"


def test_a_chunked_body_is_read(server: FakeServer) -> None:
    with server.connect() as sock:
        for _ in range(2):
            sock.sendall(chunked(b'{"model":"fake",', b'"prompt":"hi"}'))
            assert status_of(read_until(sock, b"}}")) == 200


@pytest.mark.parametrize("size", [LIMIT + 1, 100 * LIMIT])
def test_a_chunked_body_over_the_limit_is_a_413(server: FakeServer, size: int) -> None:
    with server.connect() as sock:
        sock.sendall(chunked(b'{"model":"fake","prompt":"', b"x" * size, b'"}'))
        answer = read_until(sock, b"}}")
        assert status_of(answer) == 413
        assert error_of(answer)["code"] == "request_too_large"


def test_a_body_over_the_limit_ends_the_connection(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(chunked(b"x" * (LIMIT + 1)))
        answer = read_to_end(sock)
        assert status_of(answer) == 413
        assert b"Connection: close" in answer


def test_a_small_body_that_nobody_wants_is_skipped(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(post("hi").replace(b"/v1/completions", b"/v1/nope"))
        assert status_of(read_until(sock, b"}}")) == 404
        sock.sendall(post("hi"))
        assert status_of(read_until(sock, b"}}")) == 200


def test_a_refused_body_that_does_not_come_ends_the_connection(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(b"POST /v1/nope HTTP/1.1\r\nHost: t\r\nContent-Length: 900\r\n\r\n")
        assert status_of(read_to_end(sock)) == 404


def test_a_malformed_chunk_is_a_400_and_the_end(server: FakeServer) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as sock:
        sock.sendall(head + b"zz\r\nhello\r\n0\r\n\r\n")
        assert status_of(read_to_end(sock)) == 400


def test_a_client_that_waits_for_100_gets_it(server: FakeServer) -> None:
    request = post("hi", "Expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    with server.connect() as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert status_of(read_until(sock, b"}}")) == 200


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: +5",
        b"Content-Length: 1_0",
        b"Content-Length: -1",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"no colon here\r\nAuthorization: Bearer k",
    ],
)
def test_a_doubtful_length_is_a_400_and_the_end(server: FakeServer, headers: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: t\r\n" + headers + b"\r\n\r\nhello")
        answer = read_to_end(sock)
    assert status_of(answer) == 400
    assert error_of(answer)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("line", "status"), [(b"\x16\x03\x01", 400), (b"GET /" + b"x" * 9000 + b"\r\n", 414)]
)
def test_what_is_no_request_line_is_refused(server: FakeServer, line: bytes, status: int) -> None:
    with server.connect() as sock:
        sock.sendall(line)
        answer = read_to_end(sock)
    assert status_of(answer) == status
    assert error_of(answer)["type"] == "invalid_request_error"


def test_one_log_line_per_request_without_what_a_terminal_would_act_on(
    server: FakeServer,
) -> None:
    with server.connect() as sock:
        sock.sendall(b"GET /%1b[31mred?key=secret HTTP/1.1\r\nHost: t\r\n\r\n")
        assert status_of(read_until(sock, b"}}")) == 404
    wait_for(lambda: "[31mred" in server.log.read_text())
    line = next(line for line in server.log.read_text().splitlines() if "[31mred" in line)
    assert re.search(r"cria.access: GET /%1b\[31mred 404 \d+\.\d ms$", line)
