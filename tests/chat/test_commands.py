"""Each command, and what is said when it cannot be done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cria.chat.commands import COMMANDS, Leave, run_command
from cria.chat.screen import Screen
from cria.chat.session import Session
from cria.client.api import Api
from cria.client.target import Target
from cria.errors import SetupError
from tests.client.fake_openai import FakeOpenAI, answer


@pytest.fixture
def session(fake_api: FakeOpenAI) -> Iterator[Session]:
    with closing(Api(fake_api.url, None)) as api:
        yield Session(Target(lambda: api, None), Screen(), None)


def test_retry_replaces_the_last_answer(session: Session, fake_api: FakeOpenAI) -> None:
    fake_api.replies = [answer("a"), answer("b")]
    session.ask("one")
    run_command(session, "/retry")
    assert [m.content for m in session.conversation.messages] == ["one", "b"]
    assert len(fake_api.bodies[1]["messages"]) == 1
    run_command(session, "/undo")
    assert session.conversation.messages == []


def test_a_file_of_messages(session: Session, tmp_path: Path) -> None:
    session.conversation.add("a", "b")
    path = tmp_path / "talk.json"
    run_command(session, "/system Be short.")
    run_command(session, f"/save {path}")
    assert [m["role"] for m in json.loads(path.read_text())] == ["system", "user", "assistant"]
    with pytest.raises(SetupError, match="exists"):
        run_command(session, f"/save {path}")
    run_command(session, '/system ""')
    run_command(session, "/clear")
    assert (session.conversation.system, session.conversation.messages) == (None, [])
    run_command(session, f"/load {path}")
    assert session.conversation.system == "Be short."


def test_settings(session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    run_command(session, "/set temperature 0.2")
    run_command(session, "/set top_k=3")
    run_command(session, "/set")
    assert capfd.readouterr().out == "temperature 0.2\ntop_k 3\n"
    run_command(session, "/set top_k")
    assert session.fields == {"temperature": 0.2}


def test_what_is_shown(session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    run_command(session, "/model second")
    run_command(session, "/model")
    run_command(session, "/system")
    assert capfd.readouterr().out == "  first\n* second\nThere is no system message.\n"
    run_command(session, "/help")
    assert set(COMMANDS) <= set(capfd.readouterr().out.replace("/", " ").split())


def test_leaving(session: Session) -> None:
    with pytest.raises(Leave):
        run_command(session, "/quit")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/nope", "There is no /nope"),
        ("/undo 3", "takes nothing"),
        ("/undo", "nothing to undo"),
        ("/retry", "no question yet"),
        ("/stats", "no answer yet"),
        ("/save", "Which file"),
        ("/set top_k", "is not set"),
        ("/set temperature 9", "<= 2.0"),
        ("/model third", "has no model third"),
    ],
)
def test_mistakes(session: Session, line: str, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        run_command(session, line)
