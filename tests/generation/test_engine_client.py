"""The client with real engine processes of a tiny model, and with processes that end badly."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.config import EngineConfig
from cria.engine_environment import engine_environment
from cria.errors import EngineError, EngineUnavailable, ServerStopping
from cria.generation import engine_client
from cria.generation.engine_client import EngineClient
from cria.generation.engine_guest import EngineGuest
from cria.generation.engine_link import EngineLink
from cria.ipc.messages import FinishReason, SequenceOutput
from cria.ipc.rendezvous import Rendezvous
from cria.sampling_params import SamplingParams
from tests.generation.link_engine import Heard
from tests.real_server import wait_for

Outputs = queue.Queue[SequenceOutput | EngineError]
FOREVER = SamplingParams(max_tokens=10**6, ignore_eos=True, temperature=0)


@pytest.fixture
def client(tiny_gguf: Path) -> Iterator[EngineClient]:
    config = EngineConfig(str(tiny_gguf), num_slots=2, context_size=512, num_threads=1)
    client = EngineClient(config, engine_environment())
    client.start()
    assert client.wait_settled(60)
    yield client
    client.close()


def wait_until_ready_again(client: EngineLink, restarts: int) -> None:
    wait_for(
        lambda: client.status,
        lambda status: status.state == "ready" and status.restarts == restarts,
        "the engine to be back",
    )


def read_to_end(outputs: Outputs) -> tuple[list[int], SequenceOutput]:
    tokens: list[int] = []
    while True:
        output = outputs.get(timeout=30)
        assert isinstance(output, SequenceOutput), output
        tokens += output.token_ids
        if output.finish_reason is not None:
            return tokens, output


def test_a_sequence_from_submit_to_end(client: EngineClient) -> None:
    outputs: Outputs = Heard()
    params = SamplingParams(max_tokens=5, ignore_eos=True, temperature=0)
    client.submit([1, 20, 30], params, outputs.put)
    tokens, last = read_to_end(outputs)
    assert len(tokens) == 5
    assert (last.finish_reason, last.num_generated_tokens) == (FinishReason.LENGTH, 5)
    assert client.status.info is not None and client.status.info.num_slots == 2


def test_a_cancelled_sequence_is_heard_no_more_and_its_slot_is_free(client: EngineClient) -> None:
    outputs: Outputs = Heard()
    request_id = client.submit([1], FOREVER, outputs.put)
    outputs.get(timeout=30)
    client.cancel(request_id)
    client.cancel(request_id)
    wait_for(lambda: client.status.stats, lambda s: s.num_running == 0, "a free slot")
    heard = outputs.qsize()
    done: Outputs = Heard()
    client.submit([1], SamplingParams(max_tokens=1), done.put)
    read_to_end(done)
    assert outputs.qsize() == heard


def test_a_killed_engine_fails_its_requests_and_comes_back(client: EngineClient) -> None:
    outputs: Outputs = Heard()
    client.submit([1], FOREVER, outputs.put)
    outputs.get(timeout=30)
    os.kill(client.status.pid, signal.SIGKILL)
    while isinstance(last := outputs.get(timeout=30), SequenceOutput):
        pass
    assert "was ended by SIGKILL" in str(last)
    wait_until_ready_again(client, restarts=1)
    again: Outputs = Heard()
    client.submit([1], SamplingParams(max_tokens=1, ignore_eos=True), again.put)
    assert len(read_to_end(again)[0]) == 1


def test_a_killed_engine_fails_its_guests_requests_too_and_comes_back(tiny_gguf: Path) -> None:
    config = EngineConfig(str(tiny_gguf), num_slots=2, context_size=512, num_threads=1)
    rendezvous = Rendezvous()
    client = EngineClient(config, engine_environment(), rendezvous)
    guest = EngineGuest(rendezvous.address)
    client.start()
    guest.start()
    assert client.wait_settled(60) and guest.wait_settled(60)
    outputs: Outputs = Heard()
    guest.submit([1], FOREVER, outputs.put)
    outputs.get(timeout=30)
    os.kill(client.status.pid, signal.SIGKILL)
    while isinstance(last := outputs.get(timeout=30), SequenceOutput):
        pass
    assert "ended by SIGKILL while it worked" in str(last)
    for link in (client, guest):
        wait_until_ready_again(link, restarts=1)
    guest.close()
    client.close()
    assert not os.path.exists(rendezvous.address)


def test_submitting_without_an_engine_is_unavailable(tiny_gguf: Path) -> None:
    client = EngineClient(EngineConfig(str(tiny_gguf)), engine_environment())
    with pytest.raises(EngineUnavailable):
        client.submit([1], SamplingParams(), lambda _: None)


def test_a_file_that_cannot_be_loaded_is_given_up_with_a_reason(tmp_path: Path) -> None:
    config = EngineConfig(str(tmp_path / "none.gguf"))
    client = EngineClient(config, engine_environment())
    client.start()
    assert client.wait_settled(60)
    assert client.status.state == "down"
    assert "none.gguf" in (client.status.reason or "")
    client.close()


def test_a_load_that_fails_after_a_crash_is_tried_again(tiny_gguf: Path, tmp_path: Path) -> None:
    model, away = tmp_path / "model.gguf", tmp_path / "away"
    model.write_bytes(tiny_gguf.read_bytes())
    client = EngineClient(EngineConfig(str(model), num_slots=1), engine_environment())
    client.start()
    assert client.wait_settled(60)
    model.rename(away)
    os.kill(client.status.pid, signal.SIGKILL)
    wait_for(lambda: client.status, lambda status: status.reason, "the load to fail")
    assert "model.gguf" in (client.status.reason or "")
    away.rename(model)
    wait_for(lambda: client.status, lambda status: status.state == "ready", "a later load")
    assert client.status.reason is None
    client.close()


def test_an_engine_that_dies_while_it_loads_is_given_up_with_a_reason(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_client.sys, "executable", "/bin/false")
    client = EngineClient(EngineConfig(str(tiny_gguf)), engine_environment())
    client.start()
    assert client.wait_settled(60)
    assert "ended with code 1 while it loaded the model" in (client.status.reason or "")
    client.close()


def test_a_process_that_cannot_be_started_is_a_reason_and_not_a_hang(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_client.sys, "executable", "/no/such/program")
    client = EngineClient(EngineConfig(str(tiny_gguf)), engine_environment())
    client.start()
    assert client.wait_settled(60)
    assert "cannot be started" in (client.status.reason or "")
    client.close()


def test_a_path_that_no_message_can_carry_is_a_reason_and_not_a_hang() -> None:
    client = EngineClient(EngineConfig("/tmp/\udcff.gguf"), engine_environment())
    client.start()
    assert client.wait_settled(60)
    assert "cannot be started" in (client.status.reason or "")
    client.close()


def test_stopping_is_no_crash(client: EngineClient) -> None:
    outputs: Outputs = Heard()
    client.submit([1], FOREVER, outputs.put)
    outputs.get(timeout=30)
    client.close()
    while isinstance(last := outputs.get(timeout=30), SequenceOutput):
        pass
    assert isinstance(last, ServerStopping)
