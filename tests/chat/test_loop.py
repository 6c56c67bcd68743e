"""The chat in a terminal: keys in, screen out."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.client.fake_openai import FakeOpenAI, Reply, answer, refusal, words
from tests.terminal import Terminal, terminal


@contextmanager
def chat(fake: FakeOpenAI, state: Path, **environment: str) -> Iterator[Terminal]:
    settings = {"XDG_STATE_HOME": str(state), "TERM": "dumb", **environment}
    with terminal("cria", "chat", "--url", fake.url, **settings) as screen:
        screen.wait_for("/help lists the commands.")
        screen.wait_for("> ")
        yield screen


def test_a_conversation(fake_api: FakeOpenAI, tmp_path: Path) -> None:
    fake_api.replies = [answer("Hel", "lo"), answer("again")]
    with chat(fake_api, tmp_path) as screen:
        screen.type("/system Short.\r")
        screen.wait_for("> ")
        screen.type("one\\\r")
        screen.wait_for("... ")
        screen.type("two\r")
        screen.wait_for("Hello")
        screen.wait_for("> ")
        screen.type('"""\r')
        screen.wait_for("... ")
        screen.type("three\r")
        screen.wait_for("... ")
        screen.type('"""\r')
        screen.wait_for("again")
        screen.wait_for("> ")
        screen.type(f"/save {tmp_path}/talk.json\r")
        screen.wait_for("Saved 4 messages")
        screen.type("\x04")
        assert screen.process.wait(20) == 0
    saved = [m["content"] for m in json.loads((tmp_path / "talk.json").read_text())]
    assert saved == ["Short.", "one\ntwo", "Hello", "three", "again"]
    history = tmp_path / "cria" / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "/system Short." in history.read_text()


def test_pasted_lines_are_one_message(fake_api: FakeOpenAI, tmp_path: Path) -> None:
    fake_api.replies = [answer("yes")]
    with chat(fake_api, tmp_path) as screen:
        screen.type("one\rtwo\rthree\r")
        screen.wait_for("yes")
    assert fake_api.bodies[0]["messages"][0]["content"] == "one\ntwo\nthree"


def test_ctrl_c_stops_an_answer_and_keeps_what_came(fake_api: FakeOpenAI, tmp_path: Path) -> None:
    fake_api.replies = [Reply((words("half an answer"),), stalls=True), answer("next")]
    with chat(fake_api, tmp_path) as screen:
        screen.type("one\r")
        screen.wait_for("half an answer")
        screen.type("\x03")
        screen.wait_for("(stopped)")
        assert fake_api.gone.wait(10)
        screen.wait_for("> ")
        screen.type("two\r")
        screen.wait_for("next")
        contents = [m["content"] for m in fake_api.bodies[1]["messages"]]
        assert contents == ["one", "half an answer", "two"]


def test_ctrl_c_at_the_prompt(fake_api: FakeOpenAI, tmp_path: Path) -> None:
    fake_api.replies = [answer("yes")]
    with chat(fake_api, tmp_path) as screen:
        screen.type("wrong")
        screen.wait_for("wrong")
        screen.interrupt_until(lambda: screen.has_shown("once more"))
        screen.wait_for("once more")
        screen.wait_for("> ")
        screen.type("right\r")
        screen.wait_for("yes")
        screen.wait_for("> ")
        screen.interrupt_until(lambda: screen.has_shown("once more"))
        screen.wait_for("once more")
        screen.wait_for("> ")
        screen.interrupt_until(lambda: screen.process.poll() is not None)
        assert screen.process.returncode == 0
    assert fake_api.bodies[0]["messages"][0]["content"] == "right"


def test_no_escape_sequence_of_the_model_gets_through(fake_api: FakeOpenAI, tmp_path: Path) -> None:
    fake_api.replies = [answer("a\x1b[31m", "b\x9b2J", "\x07end")]
    with chat(fake_api, tmp_path) as screen:
        screen.type("one\r")
        shown = screen.wait_for("end")
    assert "\\x1b[31mb\\x9b2J\\x07" in shown and "\x1b[31m" not in shown


def test_thinking_is_dim_on_a_terminal(fake_api: FakeOpenAI, tmp_path: Path) -> None:
    thinking = Reply((words(reasoning_content="hm"), *answer("Yes").pieces))
    fake_api.replies = [thinking]
    with chat(fake_api, tmp_path, TERM="xterm") as screen:
        screen.type("one\r")
        assert "\x1b[2mhm\x1b[0m" in screen.wait_for("Yes")


def test_the_chat_goes_on(fake_api: FakeOpenAI, tmp_path: Path) -> None:
    loading = refusal(503, "The model is loading.", **{"Retry-After": "0"})
    fake_api.replies = [refusal(401, "No key."), Reply(), loading, answer("Yes")]
    with chat(fake_api, tmp_path) as screen:
        screen.type("one\r")
        screen.wait_for("--api-key")
        screen.wait_for("> ")
        screen.type("/retry\r")
        screen.wait_for("/retry asks again.")
        screen.wait_for("> ")
        screen.type("/retry\r")
        screen.wait_for("The model is loading. Waiting for it")
        screen.wait_for("Yes")
        screen.type("/nope\r")
        screen.wait_for("There is no /nope")
        screen.type("/quit\r")
        assert screen.process.wait(20) == 0
