"""A process is alive for as long as it is, however it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cria.answer_store.process_mark import ProcessMark

CHILD = (
    "import sys\n"
    "from cria.answer_store.process_mark import ProcessMark\n"
    "sys.stdout.write(ProcessMark(sys.argv[1]).name + '\\n')\n"
    "sys.stdout.flush()\n"
    "sys.stdin.read()\n"
)


def test_marks_know_each_other(tmp_path: Path) -> None:
    path = str(tmp_path / "store")
    first, second = ProcessMark(path), ProcessMark(path)
    assert first.name != second.name
    assert first.is_alive(first.name)
    assert first.is_alive(second.name)
    assert second.is_alive(first.name)
    second.close()
    assert not first.is_alive(second.name)
    first.close()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_is_dead_and_leaves_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "store")
    mark = ProcessMark(path)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert mark.is_alive(name)
        child.kill()
    assert len(list(tmp_path.iterdir())) == 2
    assert not mark.is_alive(name)
    assert len(list(tmp_path.iterdir())) == 1
    mark.close()


def test_a_new_mark_clears_away_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "store.0123456789abcdef.lock").touch()
    (tmp_path / "other.lock").touch()
    mark = ProcessMark(str(tmp_path / "store"))
    assert {each.name for each in tmp_path.iterdir()} == {"other.lock", f"store.{mark.name}.lock"}
    mark.close()
