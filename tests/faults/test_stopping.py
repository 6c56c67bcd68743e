"""A server that is told to stop: who is finished, who is told, and what is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import openai
import psutil
import pytest
import requests

from tests.real_server import PATIENCE_SECONDS, REPOSITORY, RealServer, wait_for
from tests.server.process import fake_server, post, read_to_end, read_until

pytestmark = pytest.mark.fault

BETWEEN_SIGNALS = 0.15
"""Signals that come closer together count as one."""
TINY = ("--alias", "tiny", "--parallel", "16", "--context-size", "4096")
NUM_STREAMS = 16


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))


def status_of(url: str) -> int:
    return requests.get(url, timeout=PATIENCE_SECONDS).status_code


def seconds_to_end(process: subprocess.Popen[str]) -> float:
    """From now to its end, which has to be a good one."""
    began = time.monotonic()
    assert process.wait(PATIENCE_SECONDS) == 0
    return time.monotonic() - began


@contextmanager
def nothing_left(process: psutil.Process) -> Iterator[None]:
    """No child of the process survives the block, nor what it has in the folder for such files."""
    children = process.children(recursive=True)
    yield
    assert psutil.wait_procs(children, 2)[1] == []
    assert os.listdir(os.environ["TMPDIR"]) == []


def test_health_fails_at_once_while_requests_are_served(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log", drain_delay_seconds=30) as server:
        server.process.terminate()
        wait_for(lambda: status_of(f"{server.url}/readyz"), lambda code: code == 503, "the drain")
        assert status_of(f"{server.url}/health") == 503
        assert status_of(f"{server.url}/livez") == 200
        answer = requests.post(
            f"{server.url}/v1/completions", json={"model": "fake", "prompt": "hello"}, timeout=5
        )
        assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
        time.sleep(BETWEEN_SIGNALS)
        server.process.terminate()
        assert seconds_to_end(server.process) < 1.5


def test_a_kept_connection_is_told_and_an_idle_one_ended(tmp_path: Path) -> None:
    with (
        fake_server(tmp_path / "log", drain_delay_seconds=1.0) as server,
        server.connect() as idle,
        server.connect() as kept,
    ):
        ask = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
        kept.sendall(ask)
        assert b"Connection: close" not in read_until(kept, b"]}")
        server.process.terminate()
        wait_for(lambda: status_of(f"{server.url}/readyz"), lambda code: code == 503, "the drain")
        kept.sendall(ask)
        assert b"Connection: close" in read_to_end(kept)
        assert read_to_end(idle) == b""
        assert seconds_to_end(server.process) < 5


def test_what_is_asked_too_late_is_refused(
    tmp_path: Path,
) -> None:
    with (
        fake_server(tmp_path / "log", drain_timeout_seconds=30) as server,
        server.connect() as waiting,
        server.connect() as late,
    ):
        late.sendall(b"POST /v1/completions HTTP/1.1\r\n")
        waiting.sendall(post("one then silent", stream=True))
        read_until(waiting, b"first")
        server.process.terminate()
        wait_for(lambda: refuses(server.port), lambda refused: refused, "the listener to close")
        late.sendall(post("hello").partition(b"\r\n")[2])
        answer = read_to_end(late)
        assert answer.startswith(b"HTTP/1.1 503") and b"server_shutting_down" in answer
        time.sleep(BETWEEN_SIGNALS)
        server.process.terminate()
        assert b"[DONE]" not in read_to_end(waiting)
        assert seconds_to_end(server.process) < 1.5


def refuses(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_third_signal_ends_a_server_that_does_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Its main thread stands in a native call: of Python's handlers none can run."""
    program = (
        "from cria.server import serve\nimport ctypes, sys\nserve.prepare('info')\n"
        "serve.stopping.begin(60, 60)\nprint('ready', flush=True)\n"
        "while True: ctypes.CDLL(None).usleep(900000)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        for _ in range(3):
            process.send_signal(number)
            time.sleep(BETWEEN_SIGNALS)
        assert process.wait(1) == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fetch_that_takes_long_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """A model of which nothing comes, as from a share that hangs: a pipe without a writer."""
    pipe = tmp_path / "model.gguf"
    os.mkfifo(pipe)
    program = (
        "from cria.server import serve\nserve.prepare('info')\nprint('ready', flush=True)\n"
        f"open({str(pipe)!r}, 'rb').read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(number)
        assert seconds_to_end(process) < 2


def test_signals_that_mean_no_end(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log") as server:
        for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1):
            server.process.send_signal(number)
        for _ in range(200):
            server.process.send_signal(signal.SIGCHLD)
        assert status_of(f"{server.url}/readyz") == 200
        wait_for(server.log.read_text, lambda text: "SIGHUP" in text and "SIGUSR1" in text, "both")
        assert "Hub" in server.log.read_text()


def test_one_that_was_stopped_goes_on(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log") as server, server.connect() as sock:
        server.process.send_signal(signal.SIGSTOP)
        sock.sendall(post("hello"))
        wait_for(
            psutil.Process(server.process.pid).status,
            lambda status: status == psutil.STATUS_STOPPED,
            "its stop",
        )
        server.process.send_signal(signal.SIGCONT)
        assert b"200 OK" in read_until(sock, b"\r\n")


def test_a_full_disk_takes_no_log_and_ends_nothing(tmp_path: Path) -> None:
    settings = json.dumps({"port": free_port()})
    port = json.loads(settings)["port"]
    command = [sys.executable, "-m", "tests.server.fake_server", settings]
    with (
        open("/dev/full", "w") as full,
        subprocess.Popen(command, cwd=REPOSITORY, stdout=full, stderr=full, text=True) as process,
    ):
        try:
            wait_for(lambda: refuses(port), lambda refused: not refused, "the server")
            url = f"http://127.0.0.1:{port}/readyz"
            wait_for(lambda: status_of(url), lambda code: code == 200, "the server")
            process.terminate()
            assert seconds_to_end(process) < 5
        finally:
            process.kill()


def test_a_reader_that_goes_ends_nothing(tmp_path: Path) -> None:
    with fake_server(tmp_path / "log") as server:
        assert server.process.stdout is not None
        server.process.stdout.close()
        assert status_of(f"{server.url}/readyz") == 200
        server.process.terminate()
        assert seconds_to_end(server.process) < 5


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_a_port_in_use_shows_before_the_model(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "cria", "serve", "/no/such/model", "--port", str(port)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    assert done.returncode == 1
    assert f"127.0.0.1 port {port}" in done.stderr and "another program" in done.stderr


def streams(server: RealServer, max_tokens: int) -> tuple[ThreadPoolExecutor, list[object]]:
    """Start so many of the official client; a result is what ended it: None or its error."""
    pool, started = ThreadPoolExecutor(NUM_STREAMS), threading.Barrier(NUM_STREAMS + 1)
    client = server.client()

    def read() -> Exception | None:
        stream = client.completions.create(
            model="tiny",
            prompt="Once",
            max_tokens=max_tokens,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        events = iter(stream)
        next(events)
        started.wait()
        try:
            assert list(events)[-1].choices[0].finish_reason == "length"
        except openai.APIError as error:
            return error
        return None

    running: list[object] = [pool.submit(read) for _ in range(NUM_STREAMS)]
    started.wait(PATIENCE_SECONDS)
    return pool, running


@pytest.mark.integration
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("timeout", "max_tokens"), [("30", 150), ("0.2", 4000)])
def test_streams_end_well_or_are_told(
    tiny_gguf: Path, tmp_path: Path, timeout: str, max_tokens: int, workers: str
) -> None:
    options = (*TINY, "--drain-timeout", timeout, "--workers", workers)
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        pool, running = streams(server, max_tokens)
        with nothing_left(psutil.Process(server.process.pid)):
            server.process.terminate()
            ends = [future.result(PATIENCE_SECONDS) for future in running]  # type: ignore[attr-defined]
            assert server.process.wait(PATIENCE_SECONDS) == 0
        pool.shutdown()
        if timeout == "30":
            assert ends == [None] * NUM_STREAMS
        else:
            assert {getattr(end, "code", end) for end in ends} == {"server_shutting_down"}
        assert "Traceback" not in server.log.read_text()


@pytest.mark.integration
def test_the_second_signal_ends_streams_now(tiny_gguf: Path, tmp_path: Path) -> None:
    with RealServer.start(tiny_gguf, *TINY, log=tmp_path / "log") as server:
        pool, running = streams(server, 4000)
        with nothing_left(psutil.Process(server.process.pid)):
            server.process.terminate()
            wait_for(lambda: refuses(int(server.url.rpartition(":")[2])), bool, "the drain")
            time.sleep(BETWEEN_SIGNALS)
            server.process.terminate()
            assert seconds_to_end(server.process) < 2  # on cores that others use too
        ends = [future.result(PATIENCE_SECONDS) for future in running]  # type: ignore[attr-defined]
        pool.shutdown()
        assert {getattr(end, "code", end) for end in ends} == {"server_shutting_down"}


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_the_engine_is_started_again(
    tiny_gguf: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with RealServer.start(tiny_gguf, *TINY, log=tmp_path / "log") as server:
        (engine,) = psutil.Process(server.process.pid).children()
        engine.kill()
        wait_for(lambda: status_of(f"{server.url}/readyz"), lambda code: code == 503, "the fault")
        assert status_of(f"{server.url}/livez") == 200
        with nothing_left(psutil.Process(server.process.pid)):
            server.process.send_signal(number)
            assert seconds_to_end(server.process) < 2


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_the_model_loads(tiny_gguf: Path, tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    command = [sys.executable, "-m", "cria", "serve", str(tiny_gguf), "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, text=True
        )
    with process:
        wait_for(psutil.Process(process.pid).children, bool, "the engine")
        with nothing_left(psutil.Process(process.pid)):
            process.send_signal(number)
            assert seconds_to_end(process) < 2


@pytest.mark.integration
@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="no limits of another process")
def test_a_store_that_may_not_grow(tiny_gguf: Path, tmp_path: Path) -> None:
    """What is asked for gets a 507; what runs in the background ends when there is room."""
    with RealServer.start(tiny_gguf, *TINY, log=tmp_path / "log") as server:
        process, client = psutil.Process(server.process.pid), server.client()
        made = client.responses.create(
            model="tiny", input="Hi", background=True, max_output_tokens=400
        )
        before = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (1, before[1]))
        with pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(model="tiny", input="Hi", max_output_tokens=4)
        assert (caught.value.status_code, caught.value.code) == (507, "storage_full")
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "Hi"}], max_tokens=4
        ).choices
        server.wait_until_idle()
        process.rlimit(psutil.RLIMIT_FSIZE, before)
        status = wait_for(
            lambda: client.responses.retrieve(made.id).status,
            lambda status: status not in ("queued", "in_progress"),
            "its end",
        )
        assert status in ("completed", "incomplete", "failed")
