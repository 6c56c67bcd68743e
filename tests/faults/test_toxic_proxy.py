"""Streams behind a bad proxy: whole, or an error; and the server's slot is free again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
import requests
import sseclient

from tests.faults.same_state import same_state
from tests.faults.toxic_proxy import Toxic, toxic_proxy
from tests.real_server import RealServer, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.fault]

ASK = {
    "model": "tiny",
    "prompt": "hello",
    "max_tokens": 24,
    "temperature": 0,
    "ignore_eos": True,
    "stream": True,
}
ENDLESS = {**ASK, "max_tokens": 500, "ignore_eos": True}
SLOW = [
    Toxic(latency_seconds=0.01),
    Toxic(bytes_per_second=40_000),
    Toxic(slice_bytes=1),
    Toxic(slice_bytes=7, latency_seconds=0.005),
]
CUT = [Toxic(limit_bytes=3000, end="fin"), Toxic(limit_bytes=3000, end="reset")]
IN_THE_HEAD = [Toxic(limit_bytes=40, end="fin"), Toxic(limit_bytes=0, end="reset")]


@pytest.fixture(scope="module")
def shared(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    options = ("--alias", "tiny", "--parallel", "2", "--context-size", "512")
    log = tmp_path_factory.mktemp("toxic") / "log"
    with RealServer.start(tiny_gguf, *options, log=log) as running:
        yield running
        assert "Traceback" not in log.read_text()


@pytest.fixture(autouse=True)
def as_before(shared: RealServer) -> Iterator[None]:
    """Whatever the proxy did: the server frees the slot."""
    with same_state(shared):
        yield


class Incomplete(Exception):
    """The last event of a stream is not `[DONE]`: all there is to see where HTTP says nothing."""


def read_events(url: str, body: dict[str, object]) -> list[str]:
    """With a plain SSE client; what the connection's end raises goes on to the caller."""
    with requests.post(f"{url}/v1/completions", json=body, stream=True, timeout=60) as answer:
        assert answer.status_code == 200
        events = [event.data for event in sseclient.SSEClient(answer).events()]
    if events[-1:] != ["[DONE]"]:
        raise Incomplete(events[-1:])
    return events


def texts_of(events: list[str]) -> list[str]:
    return [c["text"] for e in events[:-1] for c in json.loads(e)["choices"]]


def client_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def read_with_openai(url: str, body: dict[str, object]) -> list[str]:
    with client_of(url) as client:
        stream = client.completions.create(
            model="tiny",
            prompt="hello",
            max_tokens=body["max_tokens"],  # type: ignore[arg-type]
            temperature=0,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        return [choice.text for chunk in stream for choice in chunk.choices]


@pytest.mark.parametrize("toxic", SLOW, ids=str)
def test_a_slow_or_sliced_stream_is_whole(shared: RealServer, toxic: Toxic) -> None:
    expected = "".join(texts_of(read_events(shared.url, ASK)))
    with toxic_proxy(shared.url, toxic) as proxy:
        assert "".join(texts_of(read_events(proxy.url, ASK))) == expected
        assert "".join(read_with_openai(proxy.url, ASK)) == expected


@pytest.mark.parametrize("toxic", CUT, ids=str)
def test_a_stream_that_is_cut_is_an_error(shared: RealServer, toxic: Toxic) -> None:
    """There is no closing chunk: HTTP itself says that something is missing."""
    with toxic_proxy(shared.url, toxic) as proxy:
        with pytest.raises(requests.RequestException):
            read_events(proxy.url, ENDLESS)
        with pytest.raises(openai.APIConnectionError):
            read_with_openai(proxy.url, ENDLESS)


@pytest.mark.parametrize("toxic", IN_THE_HEAD, ids=str)
def test_an_answer_that_is_cut_in_its_head_is_an_error(shared: RealServer, toxic: Toxic) -> None:
    with toxic_proxy(shared.url, toxic) as proxy:
        # Python's own client takes half a head for a whole one, and what follows for nothing.
        with pytest.raises((requests.RequestException, Incomplete)):
            read_events(proxy.url, ENDLESS)
        with pytest.raises(openai.APIConnectionError):
            read_with_openai(proxy.url, ENDLESS)


def test_a_client_behind_a_black_hole_gives_up_by_itself(shared: RealServer) -> None:
    """Nobody tells the server: it notices when the proxy ends."""
    with toxic_proxy(shared.url, Toxic(limit_bytes=2000, end="silence")) as proxy:
        body = {**ENDLESS, "stream": True}
        with (
            requests.post(
                f"{proxy.url}/v1/completions", json=body, stream=True, timeout=(60, 0.5)
            ) as answer,
            pytest.raises(requests.RequestException),
        ):
            list(answer.iter_content(None))


def test_a_half_closed_connection_counts_as_gone(shared: RealServer) -> None:
    """A client that has ended its half, and one that is gone, look the same to a server."""
    with toxic_proxy(shared.url, Toxic(half_closes=True)) as proxy:
        with pytest.raises((requests.RequestException, Incomplete)):
            read_events(proxy.url, ENDLESS)
        wait_for(shared.counters, lambda c: not c["running"], "a free slot")


def test_a_client_that_leaves_behind_the_proxy_frees_its_slot(shared: RealServer) -> None:
    with toxic_proxy(shared.url, Toxic(latency_seconds=0.02)) as proxy:
        with requests.post(
            f"{proxy.url}/v1/completions", json=ENDLESS, stream=True, timeout=60
        ) as answer:
            next(answer.iter_content(100))
        shared.wait_until_idle()


def test_several_streams_behind_one_proxy_do_not_mix(shared: RealServer) -> None:
    prompts = ["hello", "the cat", "one two", "who are you"]

    def ask(url: str, prompt: str) -> str:
        return "".join(texts_of(read_events(url, {**ASK, "prompt": prompt, "max_tokens": 4})))

    alone = [ask(shared.url, prompt) for prompt in prompts]
    together: dict[str, str] = {}
    with toxic_proxy(shared.url, Toxic(slice_bytes=3)) as proxy:
        threads = [
            threading.Thread(target=lambda p=p: together.update({p: ask(proxy.url, p)}))
            for p in prompts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert proxy.num_connections == len(prompts)
    assert [together[prompt] for prompt in prompts] == alone
