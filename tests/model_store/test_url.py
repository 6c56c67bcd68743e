from __future__ import annotations

import hashlib
import logging
import stat
from pathlib import Path

import pytest

from cria.errors import ModelFileError
from cria.legacy import LegacyOptions
from cria.model_store import find, resolve, url
from cria.model_store.specs import parse_url
from cria.model_store.url import fetch_url, find_url, place_of, read_record
from tests.model_file.building import gguf
from tests.model_store.conftest import MODEL
from tests.model_store.file_server import FileServer
from tests.model_store.test_download import ignore

SUM = hashlib.sha256(MODEL).hexdigest()


def test_fetched_once(server: FileServer, cache: Path) -> None:
    spec = f"{server.url}/a/model.gguf"
    assert find(spec) is None
    path = resolve(spec, ignore)
    num_asked = len(server.asked)
    assert path == find(spec) == resolve(spec, ignore)
    assert path.read_bytes() == MODEL and path.is_relative_to(cache)
    assert len(server.asked) == num_asked


def test_equal_names_at_two_addresses(server: FileServer) -> None:
    other = gguf({"general.architecture": "llama", "general.name": "other"})
    server.files["/b/model.gguf"] = other
    first, second = (resolve(f"{server.url}/{place}/model.gguf", ignore) for place in "ab")
    assert first != second and (first.read_bytes(), second.read_bytes()) == (MODEL, other)


def test_a_checksum_in_the_address(server: FileServer) -> None:
    good = parse_url(f"{server.url}/a/model.gguf#sha256={SUM}")
    path = fetch_url(good, ignore)
    record = read_record(path.parent)
    assert record is not None and (record.source, record.sha256) == (good.url, SUM)
    assert stat.S_IMODE((path.parent / url.RECORD).stat().st_mode) == 0o600
    with pytest.raises(ModelFileError, match="another checksum"):
        find_url(parse_url(f"{server.url}/a/model.gguf#sha256={'0' * 64}"))


def test_a_split_set(server: FileServer) -> None:
    for part in range(2):
        server.files[f"/s/m-0000{part + 1}-of-00002.gguf"] = gguf(
            {"general.architecture": "llama", "split.count": 2, "split.no": part}
        )
    spec = parse_url(f"{server.url}/s/m-00001-of-00002.gguf")
    path = fetch_url(spec, ignore)
    assert path.with_name("m-00002-of-00002.gguf").exists() and find_url(spec) == path
    path.with_name("m-00002-of-00002.gguf").unlink()
    assert find_url(spec) is None
    with pytest.raises(ModelFileError, match="give the first"):
        fetch_url(parse_url(f"{server.url}/s/m-00002-of-00002.gguf"), ignore)


def test_a_part_that_is_not_there(server: FileServer) -> None:
    server.files["/s/m-00001-of-00002.gguf"] = gguf({"split.count": 2, "split.no": 0})
    with pytest.raises(ModelFileError, match="m-00002-of-00002.gguf"):
        fetch_url(parse_url(f"{server.url}/s/m-00001-of-00002.gguf"), ignore)


@pytest.mark.parametrize("length", ["", "-5", "1e3"])
def test_a_length_that_is_not_told(server: FileServer, length: str) -> None:
    server.ignores_ranges, server.headers = True, {"Content-Length": length, "Connection": "close"}
    with pytest.raises(ModelFileError):
        fetch_url(parse_url(f"{server.url}/a/model.gguf"), ignore)


def test_no_tls_is_said(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(url, "is_private_line", lambda _: False)
    with caplog.at_level(logging.WARNING):
        fetch_url(parse_url(f"{server.url}/a/model.gguf?key=secret"), ignore)
    assert "without TLS" in caplog.text and "secret" not in caplog.text


def test_places_lie_below_the_models(cache: Path) -> None:
    spec = parse_url("https://example.org/a%2e%2e/model.gguf")
    assert place_of(spec).is_relative_to(cache)


def test_a_server_that_is_busy_when_it_is_asked_first(server: FileServer) -> None:
    server.statuses = [503, 429]
    assert resolve(f"{server.url}/a/model.gguf", ignore).exists()


def test_options_of_old_files_are_not_for_it(server: FileServer) -> None:
    with pytest.raises(ModelFileError, match="only for files from before GGUF"):
        resolve(f"{server.url}/a/model.gguf", ignore, LegacyOptions(n_gqa=8))
