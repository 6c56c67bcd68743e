"""Who is let in: every route, every odd key, other names, foreign pages, and TLS."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
import requests
from flask import Flask

from cria.access_key import digest_of, hashed
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from cria.server.response_service import detach
from tests.fakes import FakeGeneration
from tests.faults.test_model_files import serve
from tests.real_server import PATIENCE_SECONDS, RealServer, wait_for
from tests.server.certificates import make_certificate

pytestmark = pytest.mark.hostile

KEY = "sk-of-the-tests"
OPEN = {f"{prefix}/{name}" for prefix in ("", "/v1") for name in ("health", "livez", "readyz")}


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    config = ServerConfig(keys=(hashed(KEY),), response_store=None)
    made = create_app(ModelPool.of(FakeGeneration()), config)  # type: ignore[arg-type]
    yield made
    detach(made)


def test_every_route_needs_a_key(app: Flask) -> None:
    client, answers = app.test_client(), set()
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<path:", "<").split("<")[0] + ("x" if "<" in rule.rule else "")
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"):
            answer = client.open(path, method=method)
            if path.rstrip("/") not in OPEN:
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                answers.add(answer.get_json()["error"]["message"] if answer.data else "")
    answers.discard("")
    assert len(answers) == 1  # what is there and what is not look the same


@pytest.mark.parametrize(
    "path",
    [
        *("//v1/models", "/v1//models", "/v1/../v1/models", "/v1/.%2e/v1/models"),
        *("/health/../v1/models", "/v1/models/", "/v1/models?key=" + KEY, "/nothing", "/V1/MODELS"),
    ],
)
def test_no_way_around(app: Flask, path: str) -> None:
    # The test client would take the name behind two slashes for a host.
    given, query = path.partition("?")[::2]
    answer = app.test_client().get(
        "/", environ_overrides={"PATH_INFO": given, "QUERY_STRING": query}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "value",
    [
        *("", "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer x{KEY}"),
        *(f"Bearer {KEY}, Bearer {KEY}", "Bearer " + "x" * 1_000_000, "Bearer \xe9"),
    ],
)
def test_what_is_no_key(app: Flask, value: str) -> None:
    answer = app.test_client().get("/v1/models", headers={"Authorization": value})
    assert answer.status_code == 401 and KEY not in answer.text and "xxx" not in answer.text


@pytest.mark.parametrize("value", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER   {KEY} "])
def test_what_is_one(app: Flask, value: str) -> None:
    assert app.test_client().get("/v1/models", headers={"Authorization": value}).status_code == 200


def test_the_body_is_not_read_before(app: Flask) -> None:
    class Unreadable:
        def read(self, *_: object) -> bytes:
            raise AssertionError("a stranger's body was read")

    environ = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": "10"}
    answer = app.test_client().post("/v1/completions", environ_overrides=environ)
    assert answer.status_code == 401


def test_a_key_for_some_models() -> None:
    generation = FakeGeneration()
    name = generation.model_ids[0]
    keys = hashed("other", models=("other",)), hashed("this", models=(name,))
    made = create_app(ModelPool.of(generation), ServerConfig(keys=keys, response_store=None))  # type: ignore[arg-type]
    client = made.test_client()
    body = {"model": name, "prompt": "a"}
    statuses = {}
    for key in ("other", "this"):
        headers = {"x-api-key": key}
        listed = client.get("/v1/models", headers=headers).get_json()["data"]
        asked = client.post("/v1/completions", json=body, headers=headers)
        shown = client.get(f"/v1/models/{name}", headers=headers)
        props = client.get("/props", headers=headers)
        found = (asked, shown, props)
        statuses[key] = (len(listed), *(answer.status_code for answer in found))
    assert statuses == {"other": (0, 404, 404, 404), "this": (1, 200, 200, 200)}
    detach(made)


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.com", 403), ("127.0.0.1.evil.com:80", 403), ("localhost.", 200), ("[::1]:8", 200)],
)
def test_other_names(app: Flask, host: str, status: int) -> None:
    answer = app.test_client().get("/health", headers={"Host": host})
    assert answer.status_code == status
    if status == 403:
        assert answer.get_json()["error"]["code"] == "host_not_allowed"


def test_foreign_pages(app: Flask) -> None:
    headers = {"Origin": "https://evil.com", "Authorization": f"Bearer {KEY}"}
    preflight = {**headers, "Access-Control-Request-Method": "POST"}
    for method, given in (("POST", headers), ("OPTIONS", preflight)):
        answer = app.test_client().open("/v1/completions", method=method, headers=given)
        assert answer.status_code == 403 and "Access-Control-Allow-Origin" not in answer.headers


def test_listed_pages() -> None:
    config = ServerConfig(keys=(hashed(KEY),), cors_origins=("https://a.org",), response_store=None)
    made = create_app(ModelPool.of(FakeGeneration()), config)  # type: ignore[arg-type]
    asked = {"Origin": "https://a.org", "Access-Control-Request-Method": "POST"}
    before = made.test_client().options("/v1/completions", headers=asked)
    assert before.status_code == 204
    assert before.headers["Access-Control-Allow-Origin"] == "https://a.org"
    refused = made.test_client().get("/v1/models", headers={"Origin": "https://a.org"})
    assert refused.status_code == 401  # and the page may read why
    assert refused.headers["Access-Control-Allow-Origin"] == "https://a.org"
    detach(made)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tls-key", "key.pem"], "--tls-cert"),
        (["--tls-cert", "nothing.pem"], "--tls-cert nothing.pem cannot be used: No such file"),
        (["--api-key-file", "nothing.txt"], "--api-key-file nothing.txt cannot be read: No such"),
    ],
)
def test_what_cannot_be_used_is_said_before_the_model_is_looked_at(
    tmp_path: Path, options: list[str], words: str
) -> None:
    done = serve(tmp_path / "nothing.gguf", *options)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.integration
def test_a_server_for_all_needs_a_key(tmp_path: Path) -> None:
    path = tmp_path / "nothing.gguf"
    done = serve(path, "--host", "0.0.0.0")
    assert done.returncode == 1 and "--no-auth" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    keys = folder / "keys"
    keys.touch(0o600)
    keys.write_text(f"sha256:{digest_of(KEY)} name=alice\n")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RealServer]:
    from cria.native.tiny_model import write_tiny_model

    write_tiny_model(folder / "m.gguf")
    options = ["--tls-cert", folder / "one.crt", "--tls-key", folder / "one.key"]
    options += ["--api-key-file", folder / "keys", "--workers", "2"]
    log = folder / "log"
    with RealServer.start(folder / "m.gguf", *map(str, options), log=log) as server:
        yield server


@pytest.mark.integration
class TestRealServer:
    """One with TLS, a file of keys, and two processes."""

    def test_the_official_client(self, server: RealServer, folder: Path) -> None:
        context = ssl.create_default_context(cafile=folder / "one.crt")
        trusting = openai.DefaultHttpx2Client(verify=context)
        with trusting, server.client(api_key=KEY, http_client=trusting) as client:
            assert client.completions.create(model="m", prompt="a", max_tokens=2).choices
            stream = client.completions.create(model="m", prompt="a", max_tokens=2, stream=True)
            assert list(stream)[-1].choices[0].finish_reason == "length"
            with pytest.raises(openai.AuthenticationError):
                client.with_options(api_key="wrong").models.list()

    def test_a_client_that_hangs_up(self, server: RealServer, folder: Path) -> None:
        body = {"model": "m", "prompt": "a", "max_tokens": 2000, "stream": True, "ignore_eos": True}
        before = self.engine(server, folder)["decode_tokens_total"]
        answer = self.ask(server, folder, "POST", "/v1/completions", json=body, stream=True)
        next(answer.iter_lines())
        answer.close()
        after = wait_for(
            lambda: self.engine(server, folder),
            lambda counters: not counters["running"],
            "the sequence to end",
        )
        assert 0 < after["decode_tokens_total"] - before < body["max_tokens"] - 1

    def test_those_who_speak_no_tls(self, server: RealServer, folder: Path) -> None:
        address = server.url.removeprefix("https://").split(":")
        for data in (
            b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"\x16\x03\x01\x00\x05nope!",
        ):
            with socket.create_connection((address[0], int(address[1])), PATIENCE_SECONDS) as sock:
                sock.sendall(data)
                with contextlib.suppress(ConnectionResetError):
                    while sock.recv(1000):
                        pass
        assert self.ask(server, folder, "GET", "/health").status_code == 200
        assert "Traceback" not in server.log.read_text()

    def test_keys_and_certificate_are_read_again(self, server: RealServer, folder: Path) -> None:
        (folder / "keys").write_text("second-key\n")
        cert, key = make_certificate(folder, "two")
        cert.replace(folder / "one.crt")
        key.replace(folder / "one.key")
        os.kill(server.process.pid, signal.SIGHUP)
        for given, status in (("second-key", 200), (KEY, 401)):  # of both processes
            for _ in range(10):
                wait_for(
                    lambda given=given: self.status(server, folder, given),
                    lambda found, status=status: found == status,
                    "the new keys",
                )
        assert KEY not in server.log.read_text() and "second-key" not in server.log.read_text()

    def engine(self, server: RealServer, folder: Path) -> dict[str, int]:
        counters: dict[str, int] = self.ask(server, folder, "GET", "/health").json()["engine"]
        return counters

    def ask(
        self,
        server: RealServer,
        folder: Path,
        method: str,
        path: str,
        key: str = KEY,
        **more: object,
    ) -> requests.Response:
        return requests.request(
            method,
            server.url + path,
            headers={"Authorization": f"Bearer {key}"},
            verify=str(folder / "one.crt"),
            timeout=PATIENCE_SECONDS,
            **more,  # type: ignore[arg-type]
        )

    def status(self, server: RealServer, folder: Path, key: str) -> int:
        try:
            return self.ask(server, folder, "GET", "/v1/models", key).status_code
        except requests.exceptions.SSLError:
            return 0  # still with the old certificate
