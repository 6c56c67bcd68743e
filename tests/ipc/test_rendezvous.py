from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from cria.errors import SetupError
from cria.ipc.rendezvous import Rendezvous, connect, remove
from cria.ipc.transport import Transport


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def accept(rendezvous: Rendezvous) -> Transport:
    return Transport(rendezvous.listener.accept()[0])


def test_whoever_connects_is_accepted_by_the_next_engine() -> None:
    rendezvous = Rendezvous()
    guest = connect(rendezvous.address)
    guest.send(b"hello")  # nobody accepts yet
    engine = accept(rendezvous)
    assert engine.receive() == [b"hello"]
    guest.close()
    engine.close()
    rendezvous.close()


def test_nobody_else_may_enter_and_nothing_stays(folder: Path) -> None:
    rendezvous = Rendezvous()
    mode = os.stat(os.path.dirname(rendezvous.address)).st_mode
    assert stat.S_IMODE(mode) == 0o700
    rendezvous.close()
    rendezvous.close()
    assert list(folder.iterdir()) == []
    with pytest.raises(OSError):
        connect(rendezvous.address)


def test_removing_what_is_gone_or_not_ours_is_harmless(folder: Path) -> None:
    remove(str(folder / "none" / "engine"))
    (folder / "file").touch()
    remove(str(folder / "engine"))
    assert (folder / "file").exists()


def test_a_folder_that_cannot_hold_a_socket_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = folder / ("x" * 120)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(SetupError, match="TMPDIR"):
        Rendezvous()
    deep.mkdir()
    with pytest.raises(SetupError, match="too long"):
        Rendezvous()
    assert list(deep.iterdir()) == []


def test_a_connection_waits_for_no_process_that_listens_no_more(folder: Path) -> None:
    address = str(folder / "left")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(address)
    with pytest.raises(ConnectionRefusedError):
        connect(address)
