from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cria.config import ServerConfig
from cria.errors import SetupError
from cria.server.tls import Certificate
from tests.server.certificates import make_certificate


def test_without_tls() -> None:
    assert Certificate.of(ServerConfig()) is None


def test_a_pair_of_files(tmp_path: Path) -> None:
    cert, key = map(str, make_certificate(tmp_path))
    found = Certificate.of(ServerConfig(tls_cert=cert, tls_key=key))
    assert found is not None and found.context.minimum_version.name == "TLSv1_2"


def test_both_in_one_file(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    cert.write_bytes(cert.read_bytes() + key.read_bytes())
    Certificate(str(cert), None)


@pytest.mark.parametrize("broken", ["cert", "key", "other", "missing"])
def test_what_cannot_be_used(tmp_path: Path, broken: str) -> None:
    cert, key = make_certificate(tmp_path)
    if broken == "other":
        key = make_certificate(tmp_path, "two")[1]
    elif broken == "missing":
        key.unlink()
    else:
        {"cert": cert, "key": key}[broken].write_text("nonsense")
    with pytest.raises(SetupError, match=f"--tls-cert {cert}, --tls-key {key} cannot be used"):
        Certificate(str(cert), str(key))


def test_reading_it_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = make_certificate(tmp_path)
    found = Certificate(str(cert), str(key))
    cert.write_text("nonsense")
    with caplog.at_level(logging.ERROR):
        found.reload()
    assert "stays as it was" in caplog.text
    caplog.clear()
    new_cert, new_key = make_certificate(tmp_path, "two")
    new_cert.replace(cert)
    new_key.replace(key)
    found.reload()
    assert not caplog.records
