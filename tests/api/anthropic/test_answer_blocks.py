from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.anthropic.answer_blocks import BlockList, BlockSequence, Closed, Grown, Opened, Step
from cria.api.anthropic.message import MessageBlock, MessageText, MessageThinking, MessageToolUse
from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    Event,
    Heartbeat,
    ReasoningDelta,
)

CALLS: list[Event] = [
    ReasoningDelta(0, "h"),
    ReasoningDelta(0, "m"),
    ChoiceDelta(0, "I "),
    Heartbeat(),
    ChoiceDelta(0, "call."),
    CallStarted(0, 0, "call_1", "f"),
    CallDelta(0, 0, '{"a":'),
    CallDelta(0, 0, "1}"),
    CallStarted(0, 1, "call_2", "g"),
    CallDelta(0, 1, "{}"),
    ChoiceFinished(0, "tool_calls"),
]


def blocks_of(events: list[Event], *, hides_thinking: bool = False) -> list[MessageBlock]:
    blocks = BlockList(hides_thinking=hides_thinking)
    for event in events:
        blocks.add(event)
    return blocks.finish()


def test_thinking_text_and_calls() -> None:
    assert blocks_of(CALLS) == [
        MessageThinking("hm"),
        MessageText("I call."),
        MessageToolUse("toolu_1", "f", {"a": 1}),
        MessageToolUse("toolu_2", "g", {}),
    ]


def test_hidden_thinking_leaves_an_empty_block() -> None:
    assert blocks_of(CALLS, hides_thinking=True)[:2] == [
        MessageThinking(""),
        MessageText("I call."),
    ]


@pytest.mark.parametrize("arguments", [[], ['{"a": 1']])
def test_a_call_that_was_cut_has_no_input(arguments: list[str]) -> None:
    deltas = [CallDelta(0, 0, text) for text in arguments]
    events = [CallStarted(0, 0, "call_1", "f"), *deltas, ChoiceFinished(0, "length")]
    assert blocks_of(events) == [MessageToolUse("toolu_1", "f", {})]


def test_text_after_a_call_is_a_block_of_its_own() -> None:
    events = [ChoiceDelta(0, "a"), *CALLS[5:8], ChoiceDelta(0, "b")]
    assert [type(block) for block in blocks_of(events)] == [
        MessageText,
        MessageToolUse,
        MessageText,
    ]


def test_nothing_makes_no_block() -> None:
    nothing = [ChoiceDelta(0, ""), ReasoningDelta(0, ""), Heartbeat(), ChoiceFinished(0, "stop")]
    assert blocks_of(nothing) == []


EVENTS = st.lists(
    st.one_of(
        st.builds(ChoiceDelta, st.just(0), st.text(max_size=2)),
        st.builds(ReasoningDelta, st.just(0), st.text(max_size=2)),
        st.builds(CallStarted, st.just(0), st.just(0), st.just("call_1"), st.just("f")),
        st.just(Heartbeat()),
    )
)


@given(EVENTS)
def test_blocks_never_interleave_and_hold_all_text(events: list[Event]) -> None:
    sequence = BlockSequence()
    steps: list[Step] = [step for event in events for step in sequence.steps(event)]
    steps += sequence.end()
    is_open, texts = False, []
    for step in steps:
        assert is_open is not isinstance(step, Opened)
        is_open = not isinstance(step, Closed)
        texts += [step.text] if isinstance(step, Grown) else []
    assert not is_open
    told = [e.text for e in events if isinstance(e, (ChoiceDelta, ReasoningDelta))]
    assert "".join(texts) == "".join(told)


@given(st.dictionaries(st.text(), st.integers()), st.data())
def test_arguments_come_through_in_any_pieces(value: dict[str, int], data: st.DataObject) -> None:
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text)))
    deltas = [CallDelta(0, 0, text[:at]), CallDelta(0, 0, text[at:])]
    (block,) = blocks_of([CallStarted(0, 0, "call_1", "f"), *deltas])
    assert isinstance(block, MessageToolUse)
    assert block.input == value
