from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.access_key import AccessKey, digest_of
from cria.errors import SetupError
from cria.server.key_file import read_keys

HASH = digest_of("secret")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(0o600)
    return path


def read(file: Path, text: str) -> list[AccessKey]:
    file.write_text(text)
    return read_keys(str(file))


def test_all_that_can_be_said_of_a_key(file: Path) -> None:
    text = (
        "# ours\n\n"
        "plain\n"
        f"  sha256:{HASH.upper()}  name=alice  models=a,b requests_per_minute=60 "
        "tokens_per_minute=100000 max_concurrent=4 expires=2027-01-31\n"
    )
    plain, alice = read(file, text)
    assert plain == AccessKey(digest_of("plain"))
    assert alice == AccessKey(HASH, "alice", 1801440000.0, ("a", "b"), 60, 100000, 4)


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("2027-01-31", 1801440000),
        ("2027-01-31T00:00:00", 1801353600),
        ("2027-01-31T01:00:00+01:00", 1801353600),
    ],
)
def test_ends(file: Path, moment: str, seconds: float) -> None:
    assert read(file, f"k expires={moment}")[0].expires == seconds


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("secret word", "after the key come settings"),
        ("secret name=a name=b", "each once"),
        ("alice secret=", "something else than name, expires"),
        ("x name=sec/secret", "name cannot have this value"),
        ("secret max_concurrent=0", "max_concurrent cannot have"),
        ("secret tokens_per_minute=1.5", "tokens_per_minute cannot have"),
        ("secret models=a,,b", "models cannot have"),
        ("x expires=secret", "no date such as"),
        ("secret expires=9999-12-31", "no date such as"),
        ("secret expires=soon", "no date such as"),
        ("sha256:abc", "64 hexadecimal digits"),
        ("secret\nsecret", "line 2: it has the key of a line before"),
    ],
)
def test_lines_that_make_no_sense(file: Path, line: str, words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        read(file, line)
    assert "secret" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path, file: Path) -> None:
    with pytest.raises(SetupError, match="Is a directory"):
        read_keys(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SetupError, match="no file of text"):
        read_keys(str(tmp_path / "pipe"))
    file.write_bytes("\ufeffk".encode())
    assert read_keys(str(file)) == [AccessKey(digest_of("k"))]
    file.write_bytes(b"\xff")
    with pytest.raises(SetupError, match="no file of text"):
        read_keys(str(file))


def test_others_should_not_read_it(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(file, "k")
        assert not caplog.records
        for mode in (0o644, 0o602):
            file.chmod(mode)
            read(file, "k")
            assert len(caplog.records) == 1
            caplog.clear()
        read(file, "k")
    assert "chmod 600" in caplog.text


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.touch(0o600)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        keys = read_keys(str(path))
    except SetupError:
        return
    assert all(len(key.sha256) == 64 for key in keys)
