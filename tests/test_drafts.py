from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cria import drafts
from cria.drafts import drafted


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with drafted(target) as draft:
        draft.write_text("whole")
        assert not target.exists() and draft.parent.parent == tmp_path
    assert target.read_text() == "whole" and os.listdir(tmp_path) == ["file"]


def test_one_that_is_there_is_replaced_or_left(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with drafted(target):
        pass
    assert target.read_text() == "old"
    with drafted(target) as draft:
        draft.write_text("new")
    assert target.read_text() == "new"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError), drafted(tmp_path / "file") as draft:
        draft.write_text("half")
        raise ValueError
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from cria.drafts import drafted\n"
        "with drafted(pathlib.Path(sys.argv[1])) as draft:\n"
        "    draft.write_text('half'); (draft.parent / 'more').mkdir()\n"
        "    (draft.parent / 'more' / 'x').write_text('x'); os.kill(os.getpid(), 9)"
    )
    target = tmp_path / "file"
    assert subprocess.run([sys.executable, "-c", program, str(target)]).returncode == -9
    assert not target.exists() and os.listdir(tmp_path) == [".file.draft"]
    with drafted(target) as draft:
        assert os.listdir(draft.parent) == []
        draft.write_text("whole")
    assert os.listdir(tmp_path) == ["file"] and target.read_text() == "whole"


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "POLL_SECONDS", 0.001)
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(10):
            with drafted(tmp_path / "file") as draft:
                inside.append(number)
                most.append(len(inside))
                draft.write_text(str(number))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 40 and os.listdir(tmp_path) == ["file"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError), drafted(tmp_path / "no" / "file"):
        raise AssertionError("there is nowhere to write")
