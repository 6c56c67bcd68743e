"""One request: what arrives, and every way in which it can fail."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cria.bench.client import request
from cria.bench.messages import Job, Trace
from tests.bench.fake_server import DONE, GOOD, FakeServer, text


def ask(url: str, timeout: float = 30.0) -> Trace:
    return request(Job(url, {"X-Key": "k"}, [], timeout=timeout), "{}", time.monotonic())


def test_a_good_answer(fake: FakeServer) -> None:
    trace = ask(fake.url)
    assert trace.error is None
    assert (trace.prompt_tokens, trace.generated_tokens, trace.counted) == (7, 5, True)
    assert len(trace.arrivals) == 3
    times = [trace.start, *trace.arrivals, trace.end]
    assert times == sorted(times)
    assert fake.headers[0]["X-Key"] == "k"


def test_text_is_told_once(fake: FakeServer) -> None:
    told: list[int] = []
    request(Job(fake.url, {}, []), "{}", time.monotonic(), lambda: told.append(1))
    assert told == [1]


def test_without_usage_pieces_are_counted(fake: FakeServer) -> None:
    fake.answer = (text("a"), text("b"), DONE)
    trace = ask(fake.url)
    assert (trace.generated_tokens, trace.counted, trace.error) == (2, False, None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (GOOD[:-1], "the stream ended without [DONE]"),
        ((), "the stream ended without [DONE]"),
        ((text("a"), b'data: {"error": {"message": "died"}}\n\n'), "died"),
        ((b"data: {nonsense\n\n",), "an event cannot be read"),
    ],
)
def test_a_bad_stream_is_a_failure(fake: FakeServer, answer: tuple[bytes, ...], error: str) -> None:
    fake.answer = answer
    assert error in str(ask(fake.url).error)


def test_a_status_is_a_failure(fake: FakeServer) -> None:
    fake.status = 503
    assert ask(fake.url).error == "HTTP 503: no such luck"


def test_silence_is_a_failure(fake: FakeServer) -> None:
    gate = threading.Event()
    fake.hold = gate.wait
    assert ask(fake.url, timeout=0.1).error == "no end within 0.1 s"
    gate.set()


def test_a_stream_that_never_ends_is_a_failure(fake: FakeServer) -> None:
    fake.answer = (text("a"),) * 10
    assert ask(fake.url, timeout=1e-9).error == "no end within 1e-09 s"


def test_nobody_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}").error == "ConnectionRefusedError: Connection refused"


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\n\r\nzz"])
def test_something_else_there_is_a_failure(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_once, args=(server, answer))
        thread.start()
        trace = ask(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert trace.error


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


HEAD = b"HTTP/1.1 200 OK\r\n"
PIECES = [
    HEAD,
    b"\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 9\r\n",
    b"Content-Length: -9\r\n",
    b"5\r\n",
    b"-5\r\n",
    b"ffffffffffffffffff\r\n",
    b"0\r\n\r\n",
    text("a"),
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"\xff\x00",
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20)).map(b"".join))
def test_any_bytes_are_a_failure_and_no_exception(answer: bytes) -> None:
    assume(b"[DONE]" not in answer)
    check_failure(answer)


@pytest.mark.parametrize("events", [b"", b"data: {}\n\n", b'data: {"choices": []}\n\n'])
def test_a_stream_without_a_token_is_a_failure(events: bytes) -> None:
    check_failure(events + b"data: [DONE]\n\n")


def check_failure(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_once, args=(server, HEAD + answer))
        thread.start()
        trace = ask(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert trace.error
