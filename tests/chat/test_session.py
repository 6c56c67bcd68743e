"""What is kept of questions and answers, whatever happens to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from cria.chat.screen import Screen
from cria.chat.session import Session, Stats
from cria.client.api import Api, Usage
from cria.client.target import Target
from tests.client.fake_openai import FakeOpenAI, Reply, answer, refusal, words


@pytest.fixture
def session(fake_api: FakeOpenAI) -> Iterator[Session]:
    with closing(Api(fake_api.url, None)) as api:
        yield Session(Target(lambda: api, None), Screen(), "Short.")


def test_answers_go_into_the_next_request(session: Session, fake_api: FakeOpenAI) -> None:
    fake_api.replies = [answer("a", "b"), answer("c")]
    session.fields["top_k"] = 1
    session.ask("one")
    session.ask("two")
    sent = fake_api.bodies[1]
    assert [each["content"] for each in sent["messages"]] == ["Short.", "one", "ab", "two"]
    assert (sent["top_k"], session.total_tokens) == (1, 3)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (refusal(400, "maximum context length is 9."), "/undo or /clear makes room"),
        (refusal(401, "No key."), "--api-key"),
        (Reply(), "/retry asks again"),
    ],
)
def test_a_question_without_an_answer_is_not_kept(
    session: Session,
    fake_api: FakeOpenAI,
    capfd: pytest.CaptureFixture[str],
    reply: Reply,
    sentence: str,
) -> None:
    fake_api.replies = [reply]
    session.ask("one")
    assert sentence in capfd.readouterr().err
    assert (session.conversation.messages, session.question) == ([], "one")


def test_a_part_of_an_answer_is_kept(
    session: Session, fake_api: FakeOpenAI, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_api.replies = [Reply((words("half"),))]
    session.ask("one")
    assert session.conversation.messages[-1].content == "half"
    assert session.total_tokens == 1
    assert capfd.readouterr().err.endswith("What came is kept; /retry asks again.\n")


def test_numbers() -> None:
    whole = Stats(3, Usage(10, 5), wait=0.5, seconds=2.0)
    assert whole.describe() == "10 tokens asked, 5 answered, 2.0 a second; first after 0.50 s"
    assert Stats(3).describe() == "? tokens asked, about 3 answered; first after 0.00 s"
