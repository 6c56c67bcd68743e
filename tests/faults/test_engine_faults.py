"""What a server does when its engine process ends, hangs or misbehaves."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from cria.native.tiny_model import make_tensors
from tests.faults.fault_server import (
    OPTIONS,
    complete,
    engine_of,
    error_of,
    events,
    faulty,
    first_of,
    health,
    stream,
    wait_until_ready,
)
from tests.real_server import REPOSITORY, RealServer, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.integration]

NUM_KILLS = int(os.environ.get("CRIA_TEST_KILLS", "5"))


def kill_engine(server: RealServer, number: int = signal.SIGKILL) -> None:
    engine = wait_for(lambda: engine_of(server.process.pid), bool, "an engine")
    os.kill(engine.pid, number)


def test_streams_end_with_an_error_and_the_queue_survives_a_kill(tiny_server: RealServer) -> None:
    """F1: four streams run, four requests wait."""
    before = complete(tiny_server, "canary").json()["choices"]
    streams = [stream(tiny_server, f"stream {n}", max_tokens=480) for n in range(4)]
    going = [first_of(response) for response in streams]
    with ThreadPoolExecutor(4) as pool:
        queued = [pool.submit(complete, tiny_server, f"queued {n}") for n in range(4)]
        wait_for(tiny_server.counters, lambda c: c["waiting"] == 4, "four to wait")
        kill_engine(tiny_server)
        for rest in going:
            *_, last = rest
            assert error_of(last)["code"] == "engine_crashed"
        assert [each.result().status_code for each in queued] == [200] * 4
    assert complete(tiny_server, "canary").json()["choices"] == before
    assert tiny_server.wait_until_idle()["restarts"] == 1


def test_what_had_no_output_yet_is_computed_again_after_a_kill(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    """F1: in prefill."""
    with faulty(tiny_gguf, tmp_path, "kill@prefill") as server:
        assert complete(server).status_code == 200
        assert server.counters()["restarts"] == 1


@pytest.mark.parametrize("fault", ["abort@token:5", "segv@token:5", "exit@sample:3"])
def test_a_crash_is_not_to_be_sent_again_and_the_queue_survives(
    tiny_gguf: Path, tmp_path: Path, fault: str
) -> None:
    """F2, and F13: nothing of the engine is left."""
    with faulty(tiny_gguf, tmp_path, fault) as server:
        answer = complete(server, max_tokens=400)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "engine_crashed"
        assert answer.headers["x-should-retry"] == "false"
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
        wait_until_ready(server, 1)
        assert complete(server).status_code == 200
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert len(children) == 1


def test_a_request_that_ends_two_engines_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    """F2: the token 7 is poison; others are served before and afterwards."""
    with faulty(tiny_gguf, tmp_path, "abort@prompt:7", times=3) as server:
        poison = {"model": "tiny", "prompt": [5, 7], "max_tokens": 3}
        for deaths in (1, 2):
            assert server.post("/v1/completions", poison).status_code == 503
            wait_until_ready(server, deaths)
        refused = server.post("/v1/completions", poison)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "request_quarantined"
        assert complete(server).status_code == 200
        assert server.counters()["restarts"] == 2


@pytest.mark.parametrize("fault", ["hang@prefill", "stop@token:3"])
def test_an_engine_that_hangs_is_ended(tiny_gguf: Path, tmp_path: Path, fault: str) -> None:
    """F4: and the front answers all the time."""
    with faulty(tiny_gguf, tmp_path, fault, "--engine-timeout", "2") as server:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(complete, server, max_tokens=50)
            answer = wait_for(lambda: health(server), lambda a: not a.ok, "the silence")
            assert answer.json()["error"]["reason"] == "engine_unresponsive"
            refused = complete(server)
            assert refused.status_code == 503 and refused.elapsed.total_seconds() < 1
            assert refused.json()["error"]["code"] == "engine_unresponsive"
            assert asked.result().status_code == 503
            assert asked.result().headers["x-should-retry"] == "false"
        wait_until_ready(server, 1)
        assert complete(server).status_code == 200
    log = server.log.read_text()
    assert "gave no sign of life for 2 s" in log
    assert ("most recent call first" in log) == (fault == "hang@prefill"), "who is stopped is mute"


def test_a_short_stop_is_no_death(tiny_gguf: Path, tmp_path: Path) -> None:
    """F25: SIGSTOP and SIGCONT of the engine, well within the limit, and of both together."""
    options = (*OPTIONS, "--engine-timeout", "2")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        engine = engine_of(server.process.pid)
        assert engine is not None
        response = first_of(stream(server, max_tokens=300))
        for processes in ([engine], [engine, psutil.Process(server.process.pid)]):
            for process in processes:
                process.suspend()
            threading.Event().wait(0.5 if len(processes) == 1 else 3)
            for process in reversed(processes):
                process.resume()
        *_, last = response
        assert last == "[DONE]"
        assert server.counters()["restarts"] == 0


@pytest.mark.slow
def test_a_crash_loop_ends_a_server_that_was_told_so(tiny_gguf: Path, tmp_path: Path) -> None:
    """F5: with the option."""
    with faulty(tiny_gguf, tmp_path, "abort@prompt:7", "--exit-on-crash-loop", times=9) as server:
        for number in range(5):
            wait_until_ready(server, number)
            server.post("/v1/completions", {"model": "tiny", "prompt": [7, number + 10]})
        assert server.process.wait(30) == 1
    assert "ended too often" in server.log.read_text()


def test_after_a_crash_loop_requests_are_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    """F5: as long as nobody asks it to end."""
    with faulty(tiny_gguf, tmp_path, "abort@prompt:7", times=9) as server:
        for number in range(5):
            wait_until_ready(server, number)
            server.post("/v1/completions", {"model": "tiny", "prompt": [7, number + 10]})
        answer = wait_for(
            lambda: health(server).json(),
            lambda body: body.get("error", {}).get("reason") == "engine_unavailable",
            "the end of the tries",
        )
        assert answer
        refused = complete(server)
        assert refused.json()["error"]["code"] == "engine_unavailable"
        assert int(refused.headers["Retry-After"]) > 60
        assert requests.get(f"{server.url}/livez", timeout=10).status_code == 503


def test_a_crash_at_the_first_load_is_the_end(tiny_gguf: Path, tmp_path: Path) -> None:
    """F5: with the same file and settings the next one would end the same."""
    environment = {
        **os.environ,
        "CRIA_TEST_FAULT": "segv@load",
        "CRIA_TEST_FAULTS_ALLOWED": "1",
    }
    command = [sys.executable, "-m", "cria", "serve", str(tiny_gguf), "--port", "0"]
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert "was ended by SIGSEGV while it loaded the model" in done.stderr


def test_no_memory_has_a_code_of_its_own(tiny_gguf: Path, tmp_path: Path) -> None:
    """F6: the engine ends, not the server; another death is that of the process that is larger."""
    with faulty(tiny_gguf, tmp_path, "oom@token:2") as server:
        found = events(stream(server))
        *_, last = found
        assert error_of(last)["code"] == "out_of_memory"
        wait_until_ready(server, 1)
        engine = engine_of(server.process.pid)
        assert engine is not None
        assert "next engine's cache" not in server.log.read_text(), "its size was asked for"
        score = int(Path(f"/proc/{engine.pid}/oom_score_adj").read_text())
        assert score >= 500 > int(Path(f"/proc/{server.process.pid}/oom_score_adj").read_text())


def test_the_next_plan_is_smaller(tiny_gguf: Path, tmp_path: Path) -> None:
    """F6: where its size is our choice."""
    open_choice = tuple(word for word in OPTIONS if word not in ("--parallel", "4"))
    with faulty(tiny_gguf, tmp_path, "oom@token:2", options=open_choice) as server:
        *_, last = events(stream(server))
        assert error_of(last)["code"] == "out_of_memory"
        wait_until_ready(server, 1)
        assert complete(server).ok
        log = server.log.read_text()
    assert f"the next engine's cache holds {8 * 512 // 2} tokens at most" in log


@pytest.mark.parametrize("code", [1, 2, -1])
def test_a_batch_that_fails_costs_one_request(tiny_gguf: Path, tmp_path: Path, code: int) -> None:
    """F7, F8, F9: the youngest; the other one is computed again, and says the same."""
    with faulty(tiny_gguf, tmp_path, f"decode_rc={code}@token:300") as server:
        with ThreadPoolExecutor(2) as pool:
            first = stream(server, "first", max_tokens=400)
            told = first_of(first)
            second = pool.submit(complete, server, "second", max_tokens=300)
            *_, last = told
        answers = [last == "[DONE]", second.result().status_code == 200]
        assert sorted(answers) == [False, True], "one of them"
        assert answers[0], "the older one goes on"
        assert second.result().json()["error"]["code"] == "server_error"
        assert server.wait_until_idle()["restarts"] == 0
        assert server.counters()["used_cells"] == 0


def test_what_was_computed_again_is_the_same(tiny_gguf: Path, tmp_path: Path) -> None:
    """F7: of two sequences, the older one's text."""
    with faulty(tiny_gguf, tmp_path, "decode_rc=1@token:300") as server:
        with ThreadPoolExecutor(2) as pool:
            older = pool.submit(complete, server, "first", max_tokens=400)
            wait_for(server.counters, lambda c: c["running"] == 1, "the first one")
            complete(server, "second", max_tokens=300)
        told, again = older.result().json(), complete(server, "first", max_tokens=400).json()
        assert told["usage"] == again["usage"]
        # Later a random model's near ties go by who shares a batch.
        texts = [each["choices"][0]["text"] for each in (told, again)]
        assert len(os.path.commonprefix(texts)) > 100


def test_a_model_whose_numbers_end(tiny_gguf: Path, tmp_path: Path) -> None:
    """F10: the embedding of the token 7 is NaN, and so are all logits after it."""
    model = tmp_path / "nan.gguf"
    data = bytearray(tiny_gguf.read_bytes())
    embeddings = next(make_tensors(random.Random(0), layers=2))
    row = 2 * embeddings.shape[0]
    start = data.index(embeddings.data) + 7 * row
    data[start : start + row] = struct.pack("<e", float("nan")) * embeddings.shape[0]
    model.write_bytes(data)
    with RealServer.start(model, *OPTIONS, log=tmp_path / "log") as server:
        before = complete(server).json()["choices"]
        for options in ({}, {"temperature": 1, "top_p": 0.5}, {"logprobs": 1}):
            answer = complete(server, [5, 7], **options)
            assert answer.status_code == 500
            assert answer.json()["error"]["code"] == "model_produced_nan"
        assert complete(server).json()["choices"] == before
        assert server.wait_until_idle()["restarts"] == 0


def test_a_small_address_space_means_a_small_plan() -> None:
    """F6: as with `ulimit -v`; what the user left open shrinks."""
    seen = subprocess.run(
        [sys.executable, "-c", FREE_MEMORY], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert 0 < int(seen.stdout) < 2 << 30, seen.stderr


FREE_MEMORY = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY))
from cria.native.devices import free_main_memory
print(free_main_memory())
"""


def test_an_engine_that_is_not_to_be_trusted_is_replaced(tiny_gguf: Path, tmp_path: Path) -> None:
    """F9."""
    with faulty(tiny_gguf, tmp_path, "decode_rc=-3@token:3") as server:
        answer = complete(server)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
        wait_until_ready(server, 1)
        assert complete(server).status_code == 200


def test_the_end_of_the_server_is_the_end_of_all(tiny_gguf: Path, tmp_path: Path) -> None:
    """F12: SIGKILL, while a step runs; with a worker."""
    options = (*OPTIONS, "--workers", "2")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        main = psutil.Process(server.process.pid)
        wait_for(main.children, lambda children: len(children) == 2, "the worker")
        family = main.children(recursive=True)
        first_of(stream(server))
        main.kill()
        assert len(family) == 2
        wait_for(lambda: any(map(is_running, family)), lambda found: not found, "both ends", 2)
        port = int(server.url.rpartition(":")[2])
        wait_for(lambda: is_free(port), bool, "a free port", patience=2)


def is_free(port: int) -> bool:
    try:
        requests.get(f"http://127.0.0.1:{port}/health", timeout=1)
    except requests.ConnectionError:
        return True
    return False


def test_the_end_of_the_server_while_the_engine_loads(tiny_gguf: Path, tmp_path: Path) -> None:
    """F12: an engine that hangs in its load sees no end of file."""
    environment = {**os.environ, "CRIA_TEST_FAULT": "hang@load", "CRIA_TEST_FAULTS_ALLOWED": "1"}
    command = [sys.executable, "-m", "cria", "serve", str(tiny_gguf), "--port", "0"]
    with subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, stderr=subprocess.DEVNULL
    ) as process:
        try:
            engine = wait_for(lambda: engine_of(process.pid), bool, "the engine")
            score = Path(f"/proc/{engine.pid}/oom_score_adj")
            wait_for(lambda: int(score.read_text()), lambda n: n >= 500, "it to be on its way")
        finally:
            process.kill()
        wait_for(lambda: is_running(engine), lambda found: not found, "its end", 2)


def is_running(process: psutil.Process) -> bool:
    """Who has ended may stay as an entry of the table until somebody asks for its code."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_a_flood_of_log_lines_stops_nobody(tiny_gguf: Path, tmp_path: Path) -> None:
    """F14: a gigabyte on standard error, in the middle of a stream."""
    with faulty(tiny_gguf, tmp_path, "flood@token:5") as server:
        *_, last = events(stream(server, max_tokens=50))
        assert last == "[DONE]"
        assert complete(server).status_code == 200
    assert server.log.stat().st_size < 4_000_000
    assert "lines of the engine were too many" in server.log.read_text()


def test_the_engine_holds_no_socket_but_its_own(tiny_server: RealServer) -> None:
    """F16."""
    engine = engine_of(tiny_server.process.pid)
    assert engine is not None
    links = [os.readlink(path) for path in Path(f"/proc/{engine.pid}/fd").iterdir()]
    assert sum(link.startswith("socket:") for link in links) == 1
    assert not engine.net_connections("inet")


def test_what_the_log_says_of_a_death(tiny_gguf: Path, tmp_path: Path) -> None:
    """The operator reads why; the client only that."""
    with faulty(tiny_gguf, tmp_path, "abort@token:2") as server:
        message = complete(server).json()["error"]["message"]
        assert message == "The engine process was ended by SIGABRT while it worked on this request."
        wait_until_ready(server, 1)
    assert re.search(
        r"the engine process was ended by SIGABRT; its last words: .*Fatal Python error: Aborted",
        server.log.read_text(),
    )


def test_a_model_file_that_is_cut_while_it_is_mapped(tiny_gguf: Path, tmp_path: Path) -> None:
    """F21: the server stays, and says what is wrong; a whole file brings it back."""
    model = tmp_path / "model.gguf"
    whole = tiny_gguf.read_bytes()
    model.write_bytes(whole)
    with RealServer.start(model, *OPTIONS, log=tmp_path / "log") as server:
        os.truncate(model, 4096)
        answer = complete(server, max_tokens=20)
        assert answer.status_code == 503
        told = wait_for(
            lambda: health(server).json().get("error", {}).get("message", ""),
            lambda message: "model.gguf" in message,
            "the reason",
        )
        assert told
        model.write_bytes(whole)
        wait_until_ready(server, 1)
        assert complete(server).status_code == 200


def test_many_kills(tiny_server: RealServer) -> None:
    """F1: after each, the next engine answers as the first one did."""
    canary = complete(tiny_server, "canary").json()["choices"]
    threads = psutil.Process(tiny_server.process.pid).num_threads()
    for number in range(1, NUM_KILLS + 1):
        kill_engine(tiny_server)
        wait_until_ready(tiny_server, number)
        assert complete(tiny_server, "canary").json()["choices"] == canary
    process = psutil.Process(tiny_server.process.pid)
    assert process.num_threads() <= threads + 2
    assert len(process.children(recursive=True)) == 1


def test_a_worker_that_is_stopped_stops_nobody(tiny_gguf: Path, tmp_path: Path) -> None:
    """The engine waits for no front process that does not read."""
    options = (*OPTIONS, "--workers", "2")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        main = psutil.Process(server.process.pid)
        children = wait_for(main.children, lambda found: len(found) == 2, "the worker")
        engine = engine_of(server.process.pid)
        worker = next(child for child in children if child != engine)
        worker.suspend()
        try:
            start = time.monotonic()
            answers = [try_to_complete(server) for _ in range(12)]
            assert 200 in answers
            assert time.monotonic() - start < 40
        finally:
            worker.resume()


def try_to_complete(server: RealServer) -> int:
    """0 if the kernel gave the connection to the process that is stopped."""
    body = {"model": "tiny", "prompt": "hello", "max_tokens": 50}
    try:
        return requests.post(f"{server.url}/v1/completions", json=body, timeout=2).status_code
    except requests.Timeout:
        return 0


def test_no_descriptor_is_left_for_the_next_engine(tiny_server: RealServer) -> None:
    """F18: it is started as soon as there are some again."""
    pid = tiny_server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with requests.Session() as session:
        assert session.get(f"{tiny_server.url}/health", timeout=10).ok
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (2, before[1]))
        kill_engine(tiny_server)
        body = {"model": "tiny", "prompt": "hello"}
        answer = wait_for(
            lambda: session.post(f"{tiny_server.url}/v1/completions", json=body, timeout=30),
            lambda answer: answer.status_code == 503,
            "a refusal",
        )
        assert "Retry-After" in answer.headers and answer.json()["error"]["message"]
        wait_for(tiny_server.log.read_text, lambda log: "cannot be started" in log, "a try")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    wait_until_ready(tiny_server, restarts=1)
    assert complete(tiny_server).ok
    assert "Traceback" not in tiny_server.log.read_text()
