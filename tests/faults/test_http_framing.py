"""Hostile requests against a server: each is refused, alone, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Generator

import pytest

from tests.faults.hostile_requests import CUT_SHORT, EVERY, Hostile, chunks, lines
from tests.server.process import FakeServer, fake_server, post, read_to_end, read_until, wait_for

pytestmark = [pytest.mark.hostile]

LIMIT = 500_000
KEY = "secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[FakeServer, None, None]:
    log = tmp_path_factory.mktemp("framing") / "log"
    with fake_server(log, max_body_bytes=LIMIT) as running:
        yield running
        assert "Traceback" not in log.read_text()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def send(sock: socket.socket, data: bytes) -> None:
    """As much as the server takes: it may have said no in the middle."""
    try:
        sock.sendall(data)
    except OSError:
        pass


def num_logged(server: FakeServer) -> int:
    return server.log.read_text().count("cria.access")


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_it_is_refused_with_an_error_object_and_the_end(server: FakeServer, case: Hostile) -> None:
    before = num_logged(server)
    with server.connect() as sock:
        started = time.monotonic()
        send(sock, case.data + post("hi"))
        answer = read_to_end(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status_of(answer) == case.status
    assert b"connection: close" in head.lower()
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    assert time.monotonic() - started < 5
    wait_for(lambda: num_logged(server) > before)
    assert num_logged(server) == before + 1


@pytest.mark.parametrize("data", CUT_SHORT)
def test_a_body_that_is_cut_off_is_a_400(server: FakeServer, data: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert status_of(read_to_end(sock)) == 400


@pytest.mark.parametrize(
    ("first", "host", "status"),
    [
        (b"GET http://localhost/health HTTP/1.1", b"Host: evil.example", 200),
        (b"GET HTTP://LOCALHOST:80/health?a HTTP/1.1", b"Host: evil.example", 200),
        (b"GET http://evil.example/health HTTP/1.1", b"Host: localhost", 403),
    ],
)
def test_a_url_is_a_path_with_its_own_host(
    server: FakeServer, first: bytes, host: bytes, status: int
) -> None:
    with server.connect() as sock:
        sock.sendall(lines(host, first=first))
        assert status_of(read_until(sock, b"}")) == status


def test_an_old_health_check_names_no_host(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(lines(first=b"GET /health HTTP/1.0"))
        assert status_of(read_to_end(sock)) == 200


def test_extensions_and_harmless_trailers_are_passed_over(server: FakeServer) -> None:
    body = b'{"model":"fake","prompt":"hi"}'
    chunked = b"%x;a=b;c\r\n%b\r\n00;d\r\nX-Sum: 1\r\nOther: 2\r\n\r\n" % (len(body), body)
    with server.connect() as sock:
        for _ in range(2):
            sock.sendall(chunks(chunked))
            assert status_of(read_until(sock, b"}}")) == 200


def test_pipelined_requests_are_answered_in_order(server: FakeServer) -> None:
    get = lines(b"Host: t", first=b"GET /health HTTP/1.1")
    other = lines(b"Host: t", b"Connection: close", first=b"GET /v1/models HTTP/1.1")
    with server.connect() as sock:
        sock.sendall(get + post("hi") + b"\r\n" + post("hi", stream=True) + other)
        answers = read_to_end(sock)
    found = re.findall(rb'"status":"ok"|text_completion|\[DONE\]|"object":"list"', answers)
    assert answers.count(b"HTTP/1.1 200 ") == 4
    assert list(dict.fromkeys(found)) == [
        b'"status":"ok"',
        b"text_completion",
        b"[DONE]",
        b'"object":"list"',
    ]


class TestContinue:
    def ask(self, server: FakeServer, *headers: str, length: int | None = None) -> bytes:
        """What comes before any body is sent."""
        request = post("hi", *headers).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        if length is not None:
            request = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % length, request)
        with server.connect() as sock:
            sock.sendall(request)
            return read_until(sock, b"\r\n\r\n")

    @pytest.mark.parametrize("word", ["100-continue", "100-Continue", "100-CONTINUE"])
    def test_it_is_sent_when_the_body_is_wanted(self, server: FakeServer, word: str) -> None:
        assert status_of(self.ask(server, f"Expect: {word}")) == 100

    def test_it_is_not_sent_for_a_body_that_is_too_large(self, server: FakeServer) -> None:
        assert status_of(self.ask(server, "Expect: 100-continue", length=LIMIT + 1)) == 413

    def test_it_is_not_sent_to_a_stranger(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        log = tmp_path_factory.mktemp("keys") / "log"
        with fake_server(log, api_keys=[KEY]) as server:
            answer = self.ask(server, "Expect: 100-continue")
            assert status_of(answer) == 401
            assert b"Connection: close" in answer
            allowed = self.ask(server, "Expect: 100-continue", f"Authorization: Bearer {KEY}")
            assert status_of(allowed) == 100


class TestMethods:
    def ask(self, server: FakeServer, first: bytes) -> bytes:
        with server.connect() as sock:
            sock.sendall(lines(b"Host: t", b"Connection: close", first=first + b" HTTP/1.1"))
            return read_to_end(sock)

    @pytest.mark.parametrize("path", [b"/health", b"/v1/models", b"/v1/nope"])
    def test_head_is_get_without_a_body(self, server: FakeServer, path: bytes) -> None:
        head = self.ask(server, b"HEAD " + path)
        get = self.ask(server, b"GET " + path)
        assert status_of(head) == status_of(get)
        assert head.endswith(b"\r\n\r\n")

    def test_head_of_a_generation_makes_nothing(self, server: FakeServer) -> None:
        answer = self.ask(server, b"HEAD /v1/completions")
        assert status_of(answer) == 405
        assert answer.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("method", [b"PUT", b"PATCH", b"DELETE", b"TRACE", b"GET"])
    def test_another_method_is_a_405_that_says_which_are_allowed(
        self, server: FakeServer, method: bytes
    ) -> None:
        answer = self.ask(server, method + b" /v1/completions")
        assert status_of(answer) == 405
        assert re.search(rb"\r\nAllow: [A-Z, ]*POST", answer)

    def test_options_is_answered(self, server: FakeServer) -> None:
        assert status_of(self.ask(server, b"OPTIONS /health")) == 200
        assert status_of(self.ask(server, b"OPTIONS *")) == 404


class TestTooLarge:
    def upload(self, server: FakeServer, head: bytes, piece: bytes) -> tuple[bytes, int, float]:
        """Send for ever; the answer, bytes sent, and seconds until the connection had ended."""
        sent = 0
        with server.connect() as sock:
            sock.sendall(head)
            started = time.monotonic()
            try:
                while time.monotonic() - started < 10:
                    sent += sock.send(piece)
            except OSError:
                pass
            ended = time.monotonic() - started
        return b"", sent, ended

    @pytest.mark.parametrize("is_chunked", [False, True])
    def test_an_upload_that_goes_on_is_cut_off(self, server: FakeServer, is_chunked: bool) -> None:
        header = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 1000000000000"
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        _, sent, seconds = self.upload(server, lines(b"Host: t", header), piece)
        assert seconds < 3
        assert sent < 32_000_000  # what the two kernels hold, and no more

    @pytest.mark.parametrize("is_chunked", [False, True])
    def test_the_client_can_read_why(self, server: FakeServer, is_chunked: bool) -> None:
        size = LIMIT + 100_000
        request = lines(b"Host: t", b"Content-Length: %d" % size) + b"x" * size
        if is_chunked:
            request = chunks(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
        with server.connect() as sock:
            send(sock, request)
            answer = read_to_end(sock)
        assert status_of(answer) == 413
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_too_large"


def test_bytes_beyond_the_length_are_the_next_request(server: FakeServer) -> None:
    with server.connect() as sock:
        sock.sendall(post("hi") + b"more")
        assert status_of(read_until(sock, b"}}")) == 200
        sock.sendall(b"\x00")
        assert status_of(read_to_end(sock)) == 400


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [(b"my-id_1.a", True), (b"a b", False), (b"x" * 129, False), (b"\xe2\x98\x83", False)],
)
def test_a_request_id_comes_back_if_it_is_harmless(
    server: FakeServer, sent: bytes, is_kept: bool
) -> None:
    with server.connect() as sock:
        sock.sendall(lines(b"Host: t", b"X-Request-ID: " + sent, first=b"GET /health HTTP/1.1"))
        answer = read_until(sock, b"}")
    assert (b"x-request-id: " + sent + b"\r\n" in answer) == is_kept
    assert is_kept or re.search(rb"x-request-id: req_[0-9a-f]{32}\r\n", answer)
