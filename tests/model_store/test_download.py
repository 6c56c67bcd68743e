"""Files from servers that break off, lie, or have changed meanwhile."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from cria.errors import ModelFileError
from cria.model_store import download
from cria.model_store.download import Remote, content_range, fetch_files, length_of, validator_of
from tests.model_store.conftest import MODEL
from tests.model_store.file_server import FileServer


def remote(server: FileServer, path: str = "/a/model.gguf", **more: str) -> Remote:
    size = len(server.files[path])
    return Remote(server.url + path, path.rpartition("/")[2], size, **more)  # type: ignore[arg-type]


def ignore(_done: int, _total: int) -> None:
    pass


def test_a_file_comes_whole(server: FileServer, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    target = tmp_path / "new" / "model.gguf"
    fetch_files([remote(server)], target, lambda *seen: reports.append(seen))
    assert target.read_bytes() == MODEL
    assert [path.name for path in target.parent.iterdir()] == ["model.gguf"]
    assert reports[-1] == (len(MODEL), len(MODEL))
    assert all(done < total for done, total in reports[:-1])


def test_what_breaks_off_goes_on_where_it_was(server: FileServer, tmp_path: Path) -> None:
    server.breaks_after = [1000, 2000]
    fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert (tmp_path / "model.gguf").read_bytes() == MODEL
    assert server.ranges() == ["", "bytes=1000-", "bytes=3000-"]


def test_a_later_command_goes_on_too(server: FileServer, tmp_path: Path) -> None:
    server.breaks_after = [1000] + [0] * 10
    with pytest.raises(ModelFileError, match="the same command goes on"):
        fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert not (tmp_path / "model.gguf").exists()
    server.breaks_after.clear()
    fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert (tmp_path / "model.gguf").read_bytes() == MODEL
    assert server.ranges()[-1] == "bytes=1000-"


def test_a_file_that_has_changed_begins_anew(server: FileServer, tmp_path: Path) -> None:
    server.breaks_after = [1000] + [0] * 10
    with pytest.raises(ModelFileError):
        fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    changed = MODEL.replace(b"xxxx", b"yyyy")
    server.breaks_after.clear()
    server.files["/a/model.gguf"] = changed
    fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert (tmp_path / "model.gguf").read_bytes() == changed


def test_a_server_without_ranges_begins_anew(server: FileServer, tmp_path: Path) -> None:
    server.breaks_after, server.ignores_ranges = [1000], True
    fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert (tmp_path / "model.gguf").read_bytes() == MODEL


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(
    server: FileServer, tmp_path: Path, status: int
) -> None:
    server.statuses = [status, status]
    fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize(("status", "words"), [(401, "not for everybody"), (404, "There is no")])
def test_a_server_that_refuses(server: FileServer, tmp_path: Path, status: int, words: str) -> None:
    server.statuses = [status]
    with pytest.raises(ModelFileError, match=words):
        fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert len(server.ranges()) == 1


def test_another_size_than_announced(server: FileServer, tmp_path: Path) -> None:
    wrong = Remote(f"{server.url}/a/model.gguf", "model.gguf", 99)
    with pytest.raises(ModelFileError, match="another size"):
        fetch_files([wrong], tmp_path / "model.gguf", ignore)


def test_a_wrong_checksum_is_not_kept(server: FileServer, tmp_path: Path) -> None:
    right = hashlib.sha256(MODEL).hexdigest()
    with pytest.raises(ModelFileError, match="wrong checksum"):
        fetch_files([remote(server, sha256="0" * 64)], tmp_path / "model.gguf", ignore)
    assert list(tmp_path.iterdir()) == []
    fetch_files([remote(server, sha256=right)], tmp_path / "model.gguf", ignore)


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"GGUF" + b"\0" * 40])
def test_what_is_no_model_is_not_kept(server: FileServer, tmp_path: Path, body: bytes) -> None:
    server.files["/a/model.gguf"] = body
    with pytest.raises(ModelFileError):
        fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_said_before(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelFileError, match="are free"):
        fetch_files([remote(server)], tmp_path / "model.gguf", ignore)
    assert server.asked == []


def test_redirects(server: FileServer, tmp_path: Path) -> None:
    server.redirects = {"/r/model.gguf": "/a/model.gguf", "/x/model.gguf": "/x/model.gguf"}
    server.files["/r/model.gguf"] = server.files["/x/model.gguf"] = MODEL
    fetch_files([remote(server, "/r/model.gguf")], tmp_path / "model.gguf", ignore)
    with pytest.raises(ModelFileError, match="one address to the next"):
        fetch_files([remote(server, "/x/model.gguf")], tmp_path / "other.gguf", ignore)


def test_no_way_from_tls_to_none() -> None:
    response = requests.Response()
    response.status_code, response.url = 200, "http://example.org/model.gguf"
    with pytest.raises(ModelFileError, match="without TLS"):
        download.check_answer(response, "https://example.org/model.gguf")


def test_a_key_goes_to_its_host_alone(server: FileServer, tmp_path: Path) -> None:
    server.redirects = {"/a/model.gguf": server.url.replace("127.0.0.1", "localhost") + "/b"}
    server.files["/b"] = MODEL
    wanted = remote(server, headers={"Authorization": "Bearer x"})  # type: ignore[arg-type]
    fetch_files([wanted], tmp_path / "model.gguf", ignore)
    given = {path: "authorization" in headers for path, headers in server.asked}
    assert given == {"/a/model.gguf": True, "/b": False}


def test_nobody_listens(tmp_path: Path) -> None:
    nowhere = Remote("http://127.0.0.1:1/model.gguf", "model.gguf", 10)
    with pytest.raises(ModelFileError, match="the connection failed"):
        fetch_files([nowhere], tmp_path / "model.gguf", ignore)


@given(st.text(), st.text())
def test_headers_of_any_kind(length: str, span: str) -> None:
    found = length_of({"Content-Length": length})
    assert found is None or found >= 0
    part = content_range({"Content-Range": span})
    assert part is None or part[0] <= part[1] < part[2]


def test_what_tells_states_of_a_file_apart() -> None:
    assert validator_of({"ETag": '"a"', "Last-Modified": "x"}) == '"a"'
    assert validator_of({"ETag": 'W/"a"', "Last-Modified": "x"}) == "x"
    assert validator_of({}) == ""
