from __future__ import annotations

import hmac
import logging
from pathlib import Path

import pytest

from cria.access_key import hashed
from cria.config import ServerConfig
from cria.errors import SetupError
from cria.server.key_ring import KeyRing, needs_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("one name=alice\n")
    path.chmod(0o600)
    return path


def test_keys_of_both_places(file: Path) -> None:
    ring = KeyRing(ServerConfig(keys=(hashed("fixed"),), key_file=str(file)))
    alice = ring.find("one")
    assert alice is not None and alice.name == "alice"
    assert ring.find("fixed") == hashed("fixed") and ring.find("other") is None


def test_who_needs_one(file: Path) -> None:
    assert not needs_key(ServerConfig()) and not KeyRing(ServerConfig()).is_needed
    file.write_text("")
    empty = KeyRing(ServerConfig(key_file=str(file)))
    assert empty.is_needed and empty.find("") is None


def test_all_keys_are_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(one: str, _: str) -> bool:
        compared.append(one)
        return one == hashed("a").sha256

    monkeypatch.setattr(hmac, "compare_digest", compare)
    keys = tuple(map(hashed, "abc"))
    assert KeyRing(ServerConfig(keys=keys)).find("a") == keys[0]
    assert compared == [key.sha256 for key in keys]


def test_an_expired_key_is_unknown() -> None:
    now = 100.0
    ring = KeyRing(ServerConfig(keys=(hashed("k", expires=150.0),)), clock=lambda: now)
    assert ring.find("k") is not None
    now = 150.0
    assert ring.find("k") is None


def test_the_file_can_be_read_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing(ServerConfig(key_file=str(file)))
    file.write_text("two\n")
    ring.reload()
    assert ring.find("two") is not None and ring.find("one") is None
    file.write_text("three nonsense\n")
    with caplog.at_level(logging.ERROR):
        ring.reload()
    assert ring.find("two") is not None and ring.find("three") is None
    assert "stay as they were" in caplog.text and "three" not in caplog.text


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        KeyRing(ServerConfig(key_file=str(tmp_path / "no")))
