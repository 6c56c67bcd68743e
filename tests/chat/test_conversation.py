"""Questions, answers, and the file that keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cria.chat.conversation import Conversation
from cria.errors import SetupError


def test_a_question_is_kept_with_its_answer() -> None:
    talk = Conversation("Be short.")
    talk.add("a", "b")
    assert [each["role"] for each in talk.asking("c")] == ["system", "user", "assistant", "user"]
    assert talk.undo() == "a"
    assert talk.asking("c")[-1] == {"role": "user", "content": "c"}
    assert len(talk.asking("c")) == 2
    assert talk.undo() is None


def test_clearing_keeps_the_system_message() -> None:
    talk = Conversation("Be short.")
    talk.add("a", "b")
    talk.clear()
    assert (talk.system, talk.messages) == ("Be short.", [])


def test_a_file_has_what_a_request_has(tmp_path: Path) -> None:
    talk, other = Conversation("Be short."), Conversation()
    talk.add("a", "ü\n")
    talk.save(tmp_path / "talk.json")
    assert json.loads((tmp_path / "talk.json").read_text())[1] == {"role": "user", "content": "a"}
    other.load(tmp_path / "talk.json")
    assert (other.system, other.messages) == (talk.system, talk.messages)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'[{"role": "x", "content": ""}]', b"\xff"]
)
def test_a_file_without_messages_changes_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    talk = Conversation("s")
    with pytest.raises(SetupError, match="is no JSON array of messages"):
        talk.load(tmp_path / "f")
    assert talk.system == "s"


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="Cannot read"):
        Conversation().load(tmp_path / "none")
    with pytest.raises(SetupError, match="Cannot write"):
        Conversation().save(tmp_path / "none" / "f")
