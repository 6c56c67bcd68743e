from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cria.api.events import ChoiceDelta, ChoiceFinished, Event, Heartbeat
from cria.api.extras import Extras, Truncated
from cria.api.logprobs import ScoredToken
from cria.config import ServerConfig
from cria.errors import (
    ClientGone,
    EngineDied,
    EngineError,
    EngineUnavailable,
    QueueTimeout,
    RequestError,
)
from cria.generation.admission import Admission, Capacity, Demand
from cria.generation.answer_tokens import Display, TokenTexts
from cria.generation.caller import Caller
from cria.generation.engine_link import Turn
from cria.generation.run import Run, RunHead
from cria.ipc.messages import (
    CacheLimit,
    CacheLimitReason,
    FinishReason,
    SequenceOutput,
    SequenceTimings,
)
from cria.logprobs import TokenLogprobs
from cria.output.processor import OutputProcessor
from cria.sampling_params import SamplingParams
from tests.generation.fake_engine import FakeEngineClient

BYTES = [bytes([value]) for value in range(256)]
"""A vocabulary in which every token is a byte."""


def make_run(num_choices: int = 1, stops: tuple[str, ...] = ()) -> tuple[Run, FakeEngineClient]:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    params = [SamplingParams()] * num_choices
    run.add_prompt([1, 2, 3], params, lambda: OutputProcessor(BYTES, stops))
    return run, client


def test_tokens_become_text_and_a_reason() -> None:
    run, client = make_run()
    client.tell(0, "a")
    client.tell(0, "b", FinishReason.LENGTH, 2)
    assert list(run.events()) == [
        ChoiceDelta(0, "a"),
        ChoiceDelta(0, "b"),
        ChoiceFinished(0, "length"),
    ]
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (3, 2)
    assert client.cancelled == []


def test_an_end_of_generation_token_counts_but_shows_no_text() -> None:
    run, client = make_run()
    client.tell(0, "", FinishReason.STOP, 1)
    assert list(run.events()) == [ChoiceFinished(0, "stop")]
    assert run.usage.completion_tokens == 1


def test_a_code_point_split_over_tokens_arrives_whole() -> None:
    run, client = make_run()
    for byte in "é".encode():
        client.tell(0, [byte])
    client.tell(0, "", FinishReason.STOP, 3)
    assert list(run.events()) == [ChoiceDelta(0, "é"), ChoiceFinished(0, "stop")]


def test_half_a_code_point_at_the_end_is_flushed() -> None:
    run, client = make_run()
    client.tell(0, [0xC3], FinishReason.LENGTH, 1)
    assert list(run.events())[0] == ChoiceDelta(0, "\ufffd")


def test_a_stop_string_ends_the_choice_and_cancels_its_sequence() -> None:
    run, client = make_run(stops=("<end>",))
    for piece in ("he", "y<e", "nd", "> more"):
        client.tell(0, piece)
    events = list(run.events())
    assert "".join(e.text for e in events if isinstance(e, ChoiceDelta)) == "hey"
    assert events[-1] == ChoiceFinished(0, "stop", stop_string="<end>")
    assert client.cancelled == [0]
    assert run.usage.completion_tokens == len("hey<end> more")


def test_text_held_for_a_stop_string_that_never_came_is_flushed() -> None:
    run, client = make_run(stops=("<end>",))
    client.tell(0, "a<en", FinishReason.LENGTH, 4)
    events = list(run.events())
    assert "".join(e.text for e in events if isinstance(e, ChoiceDelta)) == "a<en"


def test_choices_are_independent() -> None:
    run, client = make_run(2)
    client.tell(1, "x")
    client.tell(0, "a", FinishReason.STOP, 2)
    client.tell(1, "y", FinishReason.LENGTH, 2)
    assert list(run.events()) == [
        ChoiceDelta(1, "x"),
        ChoiceDelta(0, "a"),
        ChoiceFinished(0, "stop"),
        ChoiceDelta(1, "y"),
        ChoiceFinished(1, "length"),
    ]
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (3, 4)


def test_cached_tokens_are_those_of_the_first_choice_of_each_prompt() -> None:
    run, client = make_run(2)
    run.add_prompt([4, 5], [SamplingParams()], lambda: OutputProcessor(BYTES, ()))
    for index, cached in enumerate((1, 2, 1)):
        client.sinks[index](
            SequenceOutput(index, (65,), FinishReason.LENGTH, 1, num_cached_tokens=cached)
        )
    list(run.events())
    assert (run.usage.prompt_tokens, run.usage.cached_tokens) == (5, 2)


def test_the_priority_is_that_of_every_sequence() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client, turn=Turn(-7), service_tier="fast")  # type: ignore[arg-type]  # the fake
    run.add_prompt([1], [SamplingParams()] * 2, lambda: OutputProcessor(BYTES, ()))
    run.add_prompt([2], [SamplingParams()], lambda: OutputProcessor(BYTES, ()))
    assert client.turns == [Turn(-7)] * 3
    assert run.service_tier == "fast"


def test_two_pulses_in_silence_are_a_heartbeat() -> None:
    run, client = make_run()
    events = run.events()
    run.pulse()
    run.pulse()
    assert next(events) == Heartbeat()
    run.pulse()
    client.tell(0, "a")
    assert next(events) == ChoiceDelta(0, "a")
    run.pulse()
    client.tell(0, "b")
    assert next(events) == ChoiceDelta(0, "b"), "one pulse since the last token is no silence"


def test_leaving_early_cancels_what_is_open() -> None:
    run, client = make_run(2)
    client.tell(0, "a", FinishReason.STOP, 1)
    client.tell(1, "b")
    events: Iterator[Event] = run.events()
    for _ in range(3):
        next(events)
    events.close()  # type: ignore[attr-defined]  # a generator
    assert client.cancelled == [1]


def test_cancel_wakes_the_reader_with_client_gone() -> None:
    run, client = make_run()
    caught: list[BaseException] = []

    def read() -> None:
        try:
            list(run.events())
        except ClientGone as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    run.cancel()
    run.cancel()
    thread.join(10)
    assert len(caught) == 1
    assert 0 in client.cancelled


def test_a_dead_engine_is_raised() -> None:
    run, client = make_run()
    client.sinks[0](EngineDied("dead"))
    with pytest.raises(EngineDied, match="dead"):
        list(run.events())


def test_a_failed_sequence_fails_the_run_and_cancels_the_others() -> None:
    run, client = make_run(2)
    client.sinks[0](SequenceOutput(0, (), FinishReason.ERROR, 0, "no memory"))
    with pytest.raises(EngineError, match="no memory"):
        list(run.events())
    assert 1 in client.cancelled


def test_an_answer_that_its_grammar_leaves_no_token_is_the_requests_fault() -> None:
    run, client = make_run(2)
    run.constrained_by = "grammar"
    client.sinks[0](SequenceOutput(0, (), FinishReason.REFUSED, 0, "nothing is left"))
    with pytest.raises(RequestError, match="Invalid 'grammar': .*nothing is left") as caught:
        list(run.events())
    assert caught.value.param == "grammar"
    assert 1 in client.cancelled


def test_ids_are_unique_and_say_what_they_are() -> None:
    one, other = RunHead.new("chatcmpl", "m"), RunHead.new("chatcmpl", "m")
    assert one.id.startswith("chatcmpl-") and one.id != other.id
    assert one.created > 1_700_000_000


def told(token: int, reason: FinishReason | None = None) -> SequenceOutput:
    """One token with its log probability, minus its id."""
    return SequenceOutput(0, (token,), reason, 9, logprobs=TokenLogprobs(-float(token), []))


def test_tokens_are_shown_with_their_text() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    display = Display(TokenTexts(BYTES, BYTES), "12")
    run.add_prompt([1, 2], [SamplingParams()], lambda: OutputProcessor(BYTES, ("!",)), display)
    assert run.shows_tokens and run.num_echoed_tokens(0) == 0
    client.sinks[0](told(97))
    client.sinks[0](told(0xC3, FinishReason.LENGTH))
    first, last, _ = run.events()
    assert first == ChoiceDelta(0, "a", (ScoredToken(b"a", True, -97.0, [], 2),))
    assert last == ChoiceDelta(0, "\ufffd", (ScoredToken(b"\xc3", True, -195.0, [], 3),))


def test_the_prompt_comes_first_with_its_log_probabilities() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    display = Display(TokenTexts(BYTES, BYTES), "ab", echo=True)
    run.add_prompt([97, 98], [SamplingParams()], lambda: OutputProcessor(BYTES, ()), display)
    client.sinks[0](SequenceOutput(0, (), prompt_logprobs=[TokenLogprobs(-5.0, [])]))
    client.sinks[0](told(99, FinishReason.LENGTH))
    echo, delta, _ = run.events()
    assert echo == ChoiceDelta(
        0, "ab", (ScoredToken(b"a", True, None, [], 0), ScoredToken(b"b", True, -5.0, [], 1))
    )
    assert delta == ChoiceDelta(0, "c", (ScoredToken(b"c", True, -99.0, [], 2),))
    assert run.num_echoed_tokens(0) == 2


def test_a_prompt_without_tokens_can_be_all_of_the_answer() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    display = Display(prompt_text="ab", echo=True)
    run.add_prompt([97, 98], [SamplingParams()], lambda: OutputProcessor(BYTES, ()), display)
    client.tell(0, "", FinishReason.LENGTH)
    assert list(run.events()) == [ChoiceDelta(0, "ab"), ChoiceFinished(0, "length")]
    assert not run.shows_tokens


def test_if_the_engine_goes_while_prompts_are_added_the_first_ones_are_cancelled() -> None:
    run, client = make_run(2)
    with pytest.raises(EngineUnavailable), run.submitting():
        raise EngineUnavailable("gone")
    assert client.cancelled == [0, 1]


TIMINGS = SequenceTimings(0.5, 1.0, 2.0, 9, 4, CacheLimit(CacheLimitReason.DIFFERS_AT, 4))


def make_timed_run(
    num_choices: int = 1, stops: tuple[str, ...] = ()
) -> tuple[Run, FakeEngineClient]:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    params = [SamplingParams(timings=True)] * num_choices
    run.add_prompt([1, 2, 3], params, lambda: OutputProcessor(BYTES, stops))
    return run, client


def last_output(index: int, reason: FinishReason = FinishReason.LENGTH) -> SequenceOutput:
    return SequenceOutput(index, (), reason, 5, timings=TIMINGS)


def test_timings_come_with_the_end_of_a_choice_and_as_a_sum() -> None:
    run, client = make_timed_run(2)
    for index in (0, 1):
        client.sinks[index](last_output(index))
    finished = [event for event in run.events() if isinstance(event, ChoiceFinished)]
    for event in finished:
        assert event.extras.timings is not None
        assert event.extras.timings.predicted_n == 5
        assert event.extras.timings.predicted_per_second == 2.0, "four after the first, in two s"
    timings = run.extras.timings
    assert timings is not None
    assert (timings.queue_ms, timings.prompt_n, timings.cache_n) == (1000.0, 10, 8)
    assert (timings.cache_limit, timings.cache_limit_position) == ("differs_at", 4)


def test_a_stopped_choice_waits_for_its_timings() -> None:
    run, client = make_timed_run(stops=("!",))
    events = run.events()
    client.tell(0, "a!")
    assert next(events) == ChoiceDelta(0, "a")
    client.tell(0, "more")
    client.sinks[0](last_output(0, FinishReason.CANCELLED))
    (finished,) = events
    assert isinstance(finished, ChoiceFinished)
    assert (finished.finish_reason, finished.extras.timings is None) == ("stop", False)
    assert (client.stopped, client.cancelled) == ([0], [])
    assert run.usage.completion_tokens == 2, "what came after the stop string is nobody's"


def test_a_stop_string_in_the_last_output_waits_for_nothing() -> None:
    run, client = make_timed_run(stops=("!",))
    client.sinks[0](SequenceOutput(0, (33,), FinishReason.LENGTH, 5, timings=TIMINGS))
    (finished,) = run.events()
    assert isinstance(finished, ChoiceFinished)
    assert finished.finish_reason == "stop" and finished.extras.timings is not None
    assert client.stopped == []


def test_a_reader_that_leaves_does_not_wait_for_timings() -> None:
    run, client = make_timed_run(stops=("!",))
    events = run.events()
    client.tell(0, "a!")
    next(events)
    run.cancel()
    assert client.cancelled == [0]


def test_nobody_hears_what_was_not_asked_for() -> None:
    run, client = make_run()
    client.tell(0, "a", FinishReason.LENGTH, 1)
    assert list(run.events()) == [ChoiceDelta(0, "a"), ChoiceFinished(0, "length")]
    assert run.extras == Extras()
    assert run.prompt_token_ids(0) is None


def test_every_token_id_is_told_once_and_in_order() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    run.returns_token_ids = True
    run.add_prompt([1, 2, 3], [SamplingParams()], lambda: OutputProcessor(BYTES, ("<end>",)))
    for token in b"h<e\xc3\xa9<end>":
        client.tell(0, [token])
    events = list(run.events())
    assert events == [
        ChoiceDelta(0, "h", (), (104,)),
        ChoiceDelta(0, "<e\u00e9", (), (60, 101, 0xC3, 0xA9)),
        ChoiceFinished(0, "stop", tuple(b"<end>"), stop_string="<end>"),
    ]
    assert run.prompt_token_ids(0) == [1, 2, 3]


def test_the_ids_of_each_prompt_are_those_of_its_choices() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    run.returns_token_ids = True
    for prompt in ([1, 2], [3]):
        run.add_prompt(prompt, [SamplingParams()] * 2, lambda: OutputProcessor(BYTES, ()))
    assert [run.prompt_token_ids(index) for index in range(4)] == [[1, 2], [1, 2], [3], [3]]


def test_shifts_of_all_choices_are_counted() -> None:
    run, client = make_run(2)
    run.truncated = Truncated("shift", 3, 3)
    client.sinks[0](SequenceOutput(0, (65,), num_shifts=1))
    client.sinks[0](SequenceOutput(0, (65,), num_shifts=2))
    client.sinks[1](SequenceOutput(1, (65,), num_shifts=1))
    for index in (0, 1):
        client.tell(index, "", FinishReason.STOP, 2)
    assert run.extras.truncated is None, "nothing has happened yet"
    list(run.events())
    assert run.extras.truncated == Truncated("shift", 3, 3, shifts=3)


def make_echo(num_choices: int) -> tuple[Run, FakeEngineClient]:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    display = Display(TokenTexts(BYTES, BYTES), "ab", echo=True)
    params = [SamplingParams(prompt_logprobs_from=1, logprobs=0)] * num_choices
    run.add_prompt([97, 98], params, lambda: OutputProcessor(BYTES, ()), display)
    return run, client


def test_a_prompt_is_scored_once_for_all_its_choices() -> None:
    run, client = make_echo(3)
    wanted = [params.prompt_logprobs_from for _, params in client.submitted]
    assert wanted == [1, None, None]
    entry = TokenLogprobs(-1.0, [])
    for index in (2, 1):
        client.sinks[index](SequenceOutput(index, (100,), logprobs=entry))
    client.sinks[0](SequenceOutput(0, (), prompt_logprobs=[TokenLogprobs(-5.0, [])]))
    client.sinks[0](SequenceOutput(0, (99,), FinishReason.LENGTH, 1, logprobs=entry))
    for index in (1, 2):
        client.sinks[index](SequenceOutput(index, (), FinishReason.STOP, 2))
    deltas = [event for event in run.events() if isinstance(event, ChoiceDelta)]
    assert [(delta.index, delta.text) for delta in deltas] == [
        (0, "ab"),
        (1, "ab"),
        (1, "d"),
        (2, "ab"),
        (2, "d"),
        (0, "c"),
    ]
    assert deltas[0].tokens is deltas[1].tokens is deltas[3].tokens, "made once"
    assert [token.logprob for token in deltas[0].tokens] == [None, -5.0]
    assert run.usage.completion_tokens == 5


def test_choices_of_a_prompt_that_is_not_scored_wait_for_nobody() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client)  # type: ignore[arg-type]  # the fake
    display = Display(prompt_text="ab", echo=True)
    params = [SamplingParams()] * 2
    run.add_prompt([97, 98], params, lambda: OutputProcessor(BYTES, ()), display)
    client.tell(1, "x", FinishReason.LENGTH, 1)
    events = run.events()
    assert [next(events), next(events)] == [ChoiceDelta(1, "ab"), ChoiceDelta(1, "x")]


def admitted(num_choices: int = 1) -> tuple[Run, FakeEngineClient, Admission]:
    """A run that is counted."""
    run, client = make_run(num_choices, stops=("!",))
    admission = Admission(ServerConfig())
    caller = Caller(1, tokens_per_minute=100)
    run.ticket = admission.enter(caller, Capacity(2, 32), Demand([10] * num_choices, 20))
    return run, client, admission


def tokens_left(admission: Admission) -> int:
    told = admission.headers(Caller(1, tokens_per_minute=100))
    return int(told["x-ratelimit-remaining-tokens"])


def test_a_sequence_is_counted_until_its_end_and_paid_for() -> None:
    run, client, admission = admitted(2)
    client.tell(0)
    client.tell(0, "ab", FinishReason.LENGTH, 2)
    assert admission.num_open() == 1, "before anybody has read of its end"
    client.tell(1, "c", FinishReason.LENGTH, 1)
    assert len(list(run.events())) == 4
    assert admission.num_open() == 0
    assert tokens_left(admission) >= 100 - 3 - 3


def test_what_a_stop_string_ends_is_given_back_at_once() -> None:
    run, client, admission = admitted(2)
    client.tell(0, "a!")
    events = run.events()
    while not isinstance(next(events), ChoiceFinished):
        pass
    assert admission.num_open() == 1
    run.cancel()
    assert admission.num_open() == 0


@pytest.mark.parametrize("how", ["cancelled", "dead", "refused", "never read"])
def test_whatever_happens_it_is_given_back(how: str) -> None:
    run, client, admission = admitted(2)
    if how == "dead":
        client.sinks[0](EngineDied("dead"))
        with pytest.raises(EngineDied):
            list(run.events())
    elif how == "refused":
        client.sinks[0](SequenceOutput(0, (), FinishReason.REFUSED, 0, "nothing is left"))
        with pytest.raises(RequestError):
            list(run.events())
    else:
        run.cancel()
        if how == "cancelled":
            with pytest.raises(ClientGone):
                list(run.events())
    assert admission.num_open() == 0
    assert tokens_left(admission) == 100, "nothing was computed for it"


def test_the_beginning_is_waited_for_and_tells_nothing() -> None:
    run, client, _ = admitted()
    client.tell(0)
    run.wait_begun()
    client.tell(0, "a", FinishReason.LENGTH, 1)
    assert list(run.events()) == [ChoiceDelta(0, "a"), ChoiceFinished(0, "length")]


def test_what_came_first_is_not_lost_by_waiting_for_it() -> None:
    run, client, _ = admitted()
    client.tell(0, "a", FinishReason.LENGTH, 1)
    run.wait_begun()
    run.wait_begun()
    assert list(run.events()) == [ChoiceDelta(0, "a"), ChoiceFinished(0, "length")]


def test_a_heartbeat_ends_the_wait_too() -> None:
    run, client, _ = admitted()
    run.pulse()
    run.pulse()
    run.wait_begun()
    assert next(run.events()) == Heartbeat()


def test_a_run_that_fails_before_it_has_begun_says_so_at_once() -> None:
    run, client, admission = admitted(2)
    run._turn = Turn(max_wait=7.5)
    client.sinks[0](SequenceOutput(0, (), FinishReason.EXPIRED))
    with pytest.raises(QueueTimeout, match=r"7\.5 seconds") as caught:
        run.wait_begun()
    assert caught.value.retry_after == 5
    assert admission.num_open() == 0
    assert client.cancelled == [0, 1]


def test_what_is_the_requests_fault_is_left_for_the_events() -> None:
    run, client, _ = admitted()
    client.sinks[0](SequenceOutput(0, (), FinishReason.REFUSED, 0, "nothing is left"))
    run.wait_begun()
    with pytest.raises(RequestError):
        list(run.events())


def test_only_the_first_sequence_may_wait_too_long() -> None:
    client = FakeEngineClient()
    run = Run(RunHead.new("cmpl", "m"), client, turn=Turn(1, 2, 3.0))  # type: ignore[arg-type]  # the fake
    for prompt in ([1], [2]):
        run.add_prompt(prompt, [SamplingParams()] * 2, lambda: OutputProcessor(BYTES, ()))
    assert client.turns == [Turn(1, 2, 3.0), *[Turn(1, 2, None)] * 3]
