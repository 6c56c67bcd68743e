"""F17: the wall clock jumps while a server works; nothing that it promised ends for that."""

from __future__ import annotations

import http.client
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.fault_server import (
    OPTIONS,
    complete,
    engine_of,
    first_of,
    health,
    stream,
)
from tests.real_server import RealServer, wait_for

pytestmark = [
    pytest.mark.fault,
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="needs a preloaded library"),
]

DAY = 86_400
BEYOND_2038 = 20 * 365 * DAY
SOURCE = Path(__file__).with_name("shifted_clock.c")


class ShiftedServer:
    """A server whose wall clock is `shift` seconds ahead."""

    def __init__(self, server: RealServer, file: Path) -> None:
        self.server = server
        self._file = file

    def shift(self, seconds: int) -> None:
        """It is read where it lies, so the file must stay the same one."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("<q", seconds))


@pytest.fixture(scope="module")
def shifted(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShiftedServer]:
    folder = tmp_path_factory.mktemp("clock")
    library, file = folder / "clock.so", folder / "shift"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    file.write_bytes(bytes(8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("CLOCK_SHIFT_FILE", str(file))
        options = (*OPTIONS, "--rate-limit-requests", "1000", "--engine-timeout", "6")
        with RealServer.start(tiny_gguf, *options, log=folder / "log") as server:
            yield ShiftedServer(server, file)


@pytest.fixture(autouse=True)
def right_again(shifted: ShiftedServer) -> Iterator[None]:
    yield
    shifted.shift(0)


@pytest.mark.parametrize("seconds", [DAY, -DAY, BEYOND_2038], ids=["day", "back", "2038"])
def test_what_is_under_way_goes_on(shifted: ShiftedServer, seconds: int) -> None:
    """Streams, a queue, a connection that is kept, and the engine."""
    server = shifted.server
    kept = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    kept.connect()
    socket, engine = kept.sock, engine_of(server.process.pid)
    assert engine is not None
    going = [first_of(stream(server, f"stream {n}")) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        queued = [pool.submit(complete, server, f"queued {n}") for n in range(4)]
        wait_for(server.counters, lambda c: c["waiting"] == 4, "four to wait")
        shifted.shift(seconds)
        for rest in going:
            assert list(rest)[-1] == "[DONE]"
        assert [each.result().status_code for each in queued] == [200] * 4
    kept.request("GET", "/health")
    assert kept.getresponse().status == 200 and kept.sock is socket
    kept.close()
    assert engine_of(server.process.pid) == engine and server.counters()["restarts"] == 0


@pytest.mark.parametrize("seconds", [DAY, -DAY, BEYOND_2038], ids=["day", "back", "2038"])
def test_answers_after_a_jump(shifted: ShiftedServer, seconds: int) -> None:
    """The same as before, with the time as the clock tells it now."""
    before = complete(shifted.server, "canary").json()
    shifted.shift(seconds)
    answer = complete(shifted.server, "canary")
    assert answer.json()["choices"] == before["choices"]
    assert abs(answer.json()["created"] - before["created"] - seconds) < 60
    assert 0 < int(answer.headers["x-ratelimit-remaining-requests"]) < 1000


def test_kept_responses_outlive_a_day(shifted: ShiftedServer) -> None:
    body = {"model": "tiny", "input": "hello", "max_output_tokens": 4}
    made = shifted.server.post("/v1/responses", body).json()
    for seconds in (DAY, -DAY):
        shifted.shift(seconds)
        more = {**body, "previous_response_id": made["id"]}
        assert shifted.server.post("/v1/responses", more).status_code == 200


def test_an_engine_that_hangs_is_still_found(shifted: ShiftedServer) -> None:
    """The watch on the engine looks at another clock too."""
    shifted.shift(-DAY)
    engine = engine_of(shifted.server.process.pid)
    assert engine is not None
    engine.suspend()
    try:
        wait_for(lambda: health(shifted.server), lambda a: a.status_code == 503, "silence to show")
    finally:
        engine.resume()
    wait_for(lambda: health(shifted.server), lambda a: a.status_code == 200, "it to be back")
