from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.decoding import decode
from cria.api.embeddings import EmbeddingRequest
from cria.api.events import ChoiceDelta, ChoiceFinished
from cria.api.score import ScoreRequest
from cria.config import EngineConfig, ServerConfig
from cria.constraint.sources import from_choice
from cria.errors import (
    ContextLengthExceeded,
    EngineUnavailable,
    ModelFileError,
    ModelNotFound,
    RequestError,
    SetupError,
)
from cria.generation import limits
from cria.generation.engine_status import EngineStatus
from cria.generation.model_meta import model_name
from cria.generation.pipeline import Generation
from cria.ipc.messages import EmbeddingInfo, FinishReason
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.loading import MakeCompiler, TextSide
from cria.prompt.rerank_prompt import RerankPrompt
from cria.prompt.tokenizer import Tokenizer
from tests.constraint.byte_grammars import make_compiler
from tests.generation.fake_engine import READY, FakeEngineClient
from tests.prompt.fake_vocab import EOS, FIM_IDS, FakeVocab, no_compiler

T = TypeVar("T")
TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"


def request(kind: type[T], **fields: object) -> T:
    return decode(json.dumps({"model": "m", **fields}).encode(), kind)[0]


def completion(**fields: object) -> CompletionRequest:
    return request(CompletionRequest, **{"prompt": "hi", **fields})


def chat(**fields: object) -> ChatCompletionRequest:
    return request(
        ChatCompletionRequest, **{"messages": [{"role": "user", "content": "hi"}], **fields}
    )


class Bench:
    def __init__(
        self,
        template: str | None = TEMPLATE,
        *,
        fim: bool = False,
        make_compiler: MakeCompiler = no_compiler,
    ) -> None:
        vocab = FakeVocab(fim=fim)
        self.client = FakeEngineClient()
        self.offloaded: list[str] = []
        chat_template = ChatTemplate(template, "", "")
        text = TextSide(
            Tokenizer(vocab), chat_template, vocab.pieces, RerankPrompt(vocab), make_compiler
        )
        config = ServerConfig(aliases=("m", "org/other"))
        self.generation = Generation(self.client, text, config, self.offload)  # type: ignore[arg-type]

    def offload(self, function: Callable[..., Any], *args: object) -> Any:
        self.offloaded.append(function.__name__)
        return function(*args)

    @property
    def prompts(self) -> list[list[int]]:
        return [token_ids for token_ids, _ in self.client.submitted]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.generation.close()


def text_of(token_ids: list[int]) -> str:
    vocab = FakeVocab()
    return b"".join(vocab.control_pieces[token] for token in token_ids).decode()


def test_a_text_prompt_is_tokenised_off_the_hub(bench: Bench) -> None:
    run = bench.generation.start_completion(completion(prompt="hello"))
    assert "hello" in text_of(bench.prompts[0])
    assert bench.offloaded == ["encode_text"]
    assert run.id.startswith("cmpl-") and run.model == "m" and run.num_choices == 1


def test_token_ids_go_through_unchanged(bench: Bench) -> None:
    bench.generation.start_completion(completion(prompt=[5, 6]))
    assert bench.prompts == [[5, 6]] and bench.offloaded == []
    with pytest.raises(RequestError, match="no token of this model"):
        bench.generation.start_completion(completion(prompt=[10**6]))


def test_a_shape_is_compiled_off_the_hub_and_sent_with_each_choice() -> None:
    bench = Bench(make_compiler=make_compiler)
    bench.generation.start_completion(completion(n=2, guided_choice=["a"]))
    grammars = {params.grammar for _, params in bench.client.submitted}
    assert grammars == {from_choice(["a"])} and len(bench.client.submitted) == 2
    assert bench.offloaded == ["encode_text", "shape"]
    with pytest.raises(RequestError, match="Invalid 'regex'"):
        bench.generation.start_chat(chat(regex="("))
    lenient = {"name": "x", "schema": {"not": {}}, "strict": False}
    response_format = {"type": "json_schema", "json_schema": lenient}
    run = bench.generation.start_chat(chat(response_format=response_format))
    assert run.warnings == ("response_format.json_schema.schema.not",)
    bench.generation.close()


def test_every_prompt_gets_every_choice(bench: Bench) -> None:
    run = bench.generation.start_completion(completion(prompt=[[5], [6]], n=2))
    assert bench.prompts == [[5], [5], [6], [6]]
    assert run.num_choices == 4
    assert run.usage.prompt_tokens == 2


def test_choices_of_one_seed_differ_and_repeat(bench: Bench) -> None:
    bench.generation.start_completion(completion(n=3, seed=2**32 - 2))
    seeds = [params.seed for _, params in bench.client.submitted]
    assert seeds == [2**32 - 2, 0, 1]
    bench.client.submitted.clear()
    bench.generation.start_completion(completion(n=2))
    assert [params.seed for _, params in bench.client.submitted] == [None, None]


def test_a_conversation_goes_through_the_template(bench: Bench) -> None:
    run = bench.generation.start_chat(chat())
    assert text_of(bench.prompts[0]) == "[user]hi"
    assert bench.offloaded == ["_encode_chat"]
    assert run.id.startswith("chatcmpl-")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "[u]hi;[a]Su"),
        ({"continue_final_message": False}, "[u]hi;[a]Su;[a]"),
        ({"continue_final_message": False, "add_generation_prompt": False}, "[u]hi;[a]Su;"),
    ],
)
def test_a_last_answer_is_continued_unless_told_otherwise(
    fields: dict[str, object], text: str
) -> None:
    source = "{% for m in messages %}[{{ m.role[0] }}]{{ m.content }};{% endfor %}"
    bench = Bench(source + "{% if add_generation_prompt %}[a]{% endif %}")
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Su"}]
    bench.generation.start_chat(chat(messages=messages, **fields))
    assert text_of(bench.prompts[0]) == text


def test_options_that_the_template_does_not_know_are_reported() -> None:
    bench = Bench("{{ reasoning_effort }}{{ x }}")
    fields: dict[str, object] = {"reasoning_effort": "low", "verbosity": "high"}
    run = bench.generation.start_chat(chat(**fields, chat_template_kwargs={"x": 1, "y": 2}))
    assert text_of(bench.prompts[0]) == "low1"
    assert run.warnings == ("verbosity", "chat_template_kwargs.y")


@pytest.mark.parametrize(("prompt", "prefix"), [("a", [97]), ([5, 6], [5, 6])])
def test_a_suffix_makes_a_gap_to_fill(prompt: str | list[int], prefix: list[int]) -> None:
    bench = Bench(fim=True)
    bench.generation.start_completion(completion(prompt=prompt, suffix="b"))
    before_prefix, before_suffix, before_middle = FIM_IDS
    assert bench.prompts == [[before_prefix, *prefix, before_suffix, 98, before_middle]]
    assert bench.offloaded == ["encode_infill"]


def test_every_prompt_of_a_list_has_the_suffix() -> None:
    bench = Bench(fim=True)
    bench.generation.start_completion(completion(prompt=["a", "b"], suffix="c"))
    assert [prompt[-2:] for prompt in bench.prompts] == [[99, FIM_IDS[2]]] * 2
    with pytest.raises(RequestError, match="no token of this model"):
        bench.generation.start_completion(completion(prompt=[10**6], suffix="c"))


def test_a_model_that_fills_no_gaps_takes_no_suffix(bench: Bench) -> None:
    bench.generation.start_completion(completion(prompt="a", suffix=""))
    assert bench.offloaded == ["encode_text"]
    with pytest.raises(RequestError) as caught:
        bench.generation.start_completion(completion(suffix="b"))
    assert caught.value.param == "suffix"


@pytest.mark.parametrize(
    ("fields", "priority", "tier"),
    [
        ({}, 0, None),
        ({"priority": 3}, 3, None),
        ({"service_tier": "priority"}, -10, "priority"),
        ({"service_tier": "flex", "priority": -1}, -1, "flex"),
    ],
)
def test_the_priority_reaches_the_engine_on_both_routes(
    bench: Bench, fields: dict[str, object], priority: int, tier: str | None
) -> None:
    runs = [
        bench.generation.start_completion(completion(n=2, **fields)),
        bench.generation.start_chat(chat(**fields)),
    ]
    assert [turn.priority for turn in bench.client.turns] == [priority] * 3
    assert [run.service_tier for run in runs] == [tier] * 2


def test_a_model_without_a_template_cannot_chat() -> None:
    bench = Bench(template=None)
    with pytest.raises(RequestError, match="has no chat template"):
        bench.generation.start_chat(chat())
    assert bench.client.submitted == []


def test_only_the_served_names_are_served(bench: Bench) -> None:
    bench.generation.start_completion(completion(model="org/other"))
    with pytest.raises(ModelNotFound):
        bench.generation.start_completion(completion(model="else"))


def test_a_prompt_that_fills_the_context_is_refused(bench: Bench) -> None:
    with pytest.raises(ContextLengthExceeded, match="maximum context length is 32 tokens"):
        bench.generation.start_completion(completion(prompt=[5] * 32))
    bench.generation.start_completion(completion(prompt=[5] * 31))
    with pytest.raises(ContextLengthExceeded) as caught:
        bench.generation.start_chat(chat(messages=[{"role": "user", "content": "x" * 40}]))
    assert caught.value.param == "messages"


def test_one_bad_prompt_of_many_submits_none(bench: Bench) -> None:
    with pytest.raises(ContextLengthExceeded):
        bench.generation.start_completion(completion(prompt=[[5], [5] * 40]))
    assert bench.client.submitted == []


def test_biases_of_unknown_tokens_are_refused(bench: Bench) -> None:
    with pytest.raises(RequestError) as caught:
        bench.generation.start_completion(completion(logit_bias={"99999": 1}))
    assert caught.value.param == "logit_bias"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop_token_ids": [5, 260]}, "stop_token_ids[1]"),
        ({"allowed_token_ids": [5, 260]}, "allowed_token_ids[1]"),
        ({"allowed_token_ids": [5], "logit_bias": {"5": -100}}, "allowed_token_ids"),
        ({"allowed_token_ids": [EOS], "ignore_eos": True}, "allowed_token_ids"),
        ({"allowed_token_ids": [EOS], "min_tokens": 1}, "allowed_token_ids"),
    ],
)
def test_tokens_that_cannot_be_are_refused(
    bench: Bench, fields: dict[str, Any], param: str
) -> None:
    for start in (
        lambda: bench.generation.start_completion(completion(**fields)),
        lambda: bench.generation.start_chat(chat(**fields)),
    ):
        with pytest.raises(RequestError) as caught:
            start()
        assert (caught.value.param, caught.value.code) == (param, "invalid_value")
    assert bench.client.submitted == []


def test_stops_are_looked_for_in_what_the_engine_sends(bench: Bench) -> None:
    fields = {"stop_token_ids": [ord("!")], "stop": "END", "min_tokens": 2, "max_tokens": 20}
    run = bench.generation.start_completion(completion(n=2, **fields))
    assert [params.min_tokens for _, params in bench.client.submitted] == [2, 2]
    for request_id, text in enumerate(("!ab!", "x!END")):
        for letter in text:
            bench.client.tell(request_id, letter)
    events = list(run.events())
    texts = ["", ""]
    for event in events:
        if isinstance(event, ChoiceDelta):
            texts[event.index] += event.text
    assert texts == ["!ab", "x!"]
    assert {e for e in events if isinstance(e, ChoiceFinished)} == {
        ChoiceFinished(0, "stop"),
        ChoiceFinished(1, "stop", stop_string="END"),
    }
    assert bench.client.cancelled == [0, 1]


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"max_tokens": 30}, ()),
        ({"max_tokens": 31}, ("max_tokens",)),
        ({"max_completion_tokens": 31}, ("max_completion_tokens",)),
        ({"min_tokens": 30}, ()),
        ({"min_tokens": 31}, ("min_tokens",)),
        ({}, ()),
    ],
)
def test_a_limit_beyond_the_context_is_reported(
    bench: Bench, fields: dict[str, int], warnings: tuple[str, ...]
) -> None:
    messages = [{"role": "user", "content": ""}]
    bench = Bench(template="ab")
    assert bench.generation.start_chat(chat(messages=messages, **fields)).warnings == warnings


def test_a_long_prompt_is_cut_if_the_request_says_so(bench: Bench) -> None:
    run = bench.generation.start_completion(
        completion(prompt=[5] * 40, max_tokens=4, context_overflow="truncate_left")
    )
    assert bench.prompts == [[5] * 28]
    assert run.usage.prompt_tokens == 28
    assert run.warnings == ("context_overflow",)
    run = bench.generation.start_completion(
        completion(prompt=[5] * 40, max_tokens=4, truncate_prompt_tokens=3)
    )
    assert bench.prompts[1] == [5] * 3
    assert run.warnings == ("truncate_prompt_tokens",)


def test_a_prompt_that_is_still_too_long_is_refused(bench: Bench) -> None:
    with pytest.raises(ContextLengthExceeded):
        bench.generation.start_completion(completion(prompt=[5] * 40, truncate_prompt_tokens=32))


def test_a_long_conversation_loses_its_oldest_turns(bench: Bench) -> None:
    messages = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "long long"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": "hi"},
    ]
    run = bench.generation.start_chat(
        chat(messages=messages, max_tokens=4, context_overflow="truncate_left")
    )
    assert text_of(bench.prompts[0]) == "[system]S[user]hi"
    assert run.warnings == ("context_overflow",)
    assert bench.offloaded == ["_encode_chat"]
    messages[-1]["content"] = "x" * 40
    with pytest.raises(ContextLengthExceeded) as caught:
        bench.generation.start_chat(chat(messages=messages, context_overflow="truncate_left"))
    assert caught.value.param == "messages"


def test_a_shift_is_for_the_engine_and_clamps_nothing(bench: Bench) -> None:
    run = bench.generation.start_completion(
        completion(prompt=[[5], [6] * 9], max_tokens=500, context_overflow="shift", n_keep=-1)
    )
    assert [params.num_kept for _, params in bench.client.submitted] == [1, 9]
    assert run.warnings == ()
    bench.generation.start_completion(completion())
    assert bench.client.submitted[-1][1].num_kept is None


def test_what_is_to_be_told_reaches_engine_and_run(bench: Bench) -> None:
    run = bench.generation.start_completion(
        completion(prompt=[5, 6], timings=True, return_token_ids=True)
    )
    assert bench.client.submitted[0][1].timings
    assert run.prompt_token_ids(0) == [5, 6]


@pytest.mark.parametrize(
    ("status", "words"),
    [(EngineStatus("loading", 0.43), "loading .43%"), (EngineStatus("down"), "started again")],
)
def test_no_engine_is_no_answer(bench: Bench, status: EngineStatus, words: str) -> None:
    bench.client.status = status
    with pytest.raises(EngineUnavailable, match=words):
        bench.generation.start_completion(completion())


def test_an_engine_that_goes_away_half_way_leaves_nothing_running(bench: Bench) -> None:
    bench.client.refuse_from = 2
    with pytest.raises(EngineUnavailable):
        bench.generation.start_completion(completion(n=4))
    assert bench.client.cancelled == [0, 1]


def test_the_model_card_tells_what_is_served(bench: Bench) -> None:
    card = bench.generation.model_card()
    assert card.id == "m"
    assert card.meta["n_ctx"] == 32 and card.meta["n_params"] == 10


def test_counting_is_what_a_chat_would_take(bench: Bench) -> None:
    bench.generation.start_chat(chat())
    assert bench.generation.count_chat_tokens(chat()) == len(bench.prompts[0])
    beyond = chat(messages=[{"role": "user", "content": "x" * 40}])
    assert bench.generation.count_chat_tokens(beyond) == 46
    with pytest.raises(ModelNotFound):
        bench.generation.count_chat_tokens(chat(model="else"))


def test_the_text_side_waits_for_the_engine(bench: Bench) -> None:
    assert bench.generation.require_ready("org/other").context_size == 32
    with pytest.raises(ModelNotFound):
        bench.generation.require_ready("else")
    bench.client.status = EngineStatus("loading")
    with pytest.raises(EngineUnavailable):
        bench.generation.require_ready()


def test_the_model_card_tells_what_the_model_can_do(bench: Bench) -> None:
    assert bench.generation.model_card().meta["capabilities"] == ["completion", "embedding"]
    for embedding, capabilities in (
        (EmbeddingInfo(384, 512, "mean"), ["embedding"]),
        (EmbeddingInfo(1, 512, "rank"), ["rerank"]),
        (None, []),
    ):
        info = msgspec.structs.replace(READY, can_generate=False, embedding=embedding)
        bench.client.status = EngineStatus("ready", 1.0, info)
        meta = bench.generation.model_card().meta
        assert meta["capabilities"] == capabilities
        assert meta.get("n_ctx") == (embedding and 512)
        assert "n_slots" not in meta


def test_a_model_that_only_embeds_generates_nothing(bench: Bench) -> None:
    info = msgspec.structs.replace(READY, can_generate=False, context_size=0)
    bench.client.status = EngineStatus("ready", 1.0, info)
    for start in (
        lambda: bench.generation.start_completion(completion()),
        lambda: bench.generation.start_chat(chat()),
    ):
        with pytest.raises(RequestError, match="cannot generate text.*/v1/embeddings") as caught:
            start()
        assert caught.value.param == "model"
    assert bench.client.submitted == []


def test_embeddings_are_for_the_served_names_and_a_ready_engine(bench: Bench) -> None:
    bench.generation.embeddings.start(request(EmbeddingRequest, input="hi", model="org/other"))
    assert len(bench.client.embedded) == 1
    with pytest.raises(ModelNotFound):
        bench.generation.embeddings.start(request(EmbeddingRequest, input="hi", model="else"))
    bench.client.status = EngineStatus("loading", 0.43)
    with pytest.raises(EngineUnavailable, match=r"loading .43%"):
        bench.generation.embeddings.start(request(EmbeddingRequest, input="hi"))


def test_waiting_for_a_model_that_cannot_be_loaded(bench: Bench) -> None:
    bench.generation.wait_ready()
    bench.client.status = EngineStatus("down", reason="It is broken.")
    with pytest.raises(SetupError, match="It is broken"):
        bench.generation.wait_ready()
    bench.client.status = EngineStatus("loading")
    with pytest.raises(SetupError, match="within 0 seconds"):
        bench.generation.wait_ready(timeout=0)
    bench.generation.close()
    assert bench.client.closed


def test_a_model_is_called_by_its_file_unless_told_otherwise() -> None:
    assert model_name("/models/tiny.Q4_1.gguf") == "tiny.Q4_1"


def test_two_generations_over_one_engine(tiny_gguf: Path) -> None:
    def direct(function: Callable[..., Any], *args: object) -> Any:
        return function(*args)

    config = ServerConfig(num_workers=2)
    engine_config = EngineConfig(str(tiny_gguf), num_slots=2, context_size=256)
    wanted = msgspec.structs.replace(completion(), model="tiny")
    first = Generation.open(engine_config, config, offload=direct)
    second = Generation.join(str(tiny_gguf), first.engine_address, config, offload=direct)
    try:
        first.wait_ready(timeout=60)
        second.wait_ready(timeout=60)
        assert second.model_ids == first.model_ids
        assert second.model_path == first.model_path == str(tiny_gguf)
        for generation in (first, second, first):
            assert list(generation.start_completion(wanted).events())
        assert second.status().info == first.status().info
    finally:
        second.close()
        first.close()


def test_opening_a_real_file_and_a_broken_one(tiny_gguf: Path, tmp_path: Path) -> None:
    def direct(function: Callable[..., Any], *args: object) -> Any:
        return function(*args)

    config = EngineConfig(str(tiny_gguf), num_slots=1, context_size=256)
    generation = Generation.open(config, ServerConfig(), offload=direct)
    try:
        generation.wait_ready(timeout=60)
        assert generation.model_ids == ("tiny",)
        assert generation.model_path == str(tiny_gguf)
        wanted = msgspec.structs.replace(completion(), model="tiny")
        events = list(generation.start_completion(wanted).events())
        assert events[-1].finish_reason in (  # type: ignore[union-attr]  # the last one ends it
            FinishReason.STOP.value,
            FinishReason.LENGTH.value,
        )
    finally:
        generation.close()
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError):
        Generation.open(EngineConfig(str(tmp_path / "broken.gguf")), ServerConfig(), offload=direct)


def test_echo_shows_text_as_it_was_sent_and_token_ids_as_text(bench: Bench) -> None:
    run = bench.generation.start_completion(completion(prompt="hi", echo=True, max_tokens=0))
    bench.client.tell(0, "", FinishReason.LENGTH)
    assert next(run.events()) == ChoiceDelta(0, "hi")
    run = bench.generation.start_completion(completion(prompt=[104, 105], echo=True))
    bench.client.tell(1, "", FinishReason.LENGTH)
    assert next(run.events()) == ChoiceDelta(0, "hi")


def test_candidates_are_generated_for_best_of(bench: Bench) -> None:
    run = bench.generation.start_completion(completion(prompt=[[5], [6]], best_of=3))
    assert run.num_choices == 6 and run.shows_tokens
    assert [params.logprobs for _, params in bench.client.submitted] == [0] * 6


def test_log_probabilities_are_asked_for_on_both_routes(bench: Bench) -> None:
    assert bench.generation.start_chat(chat(logprobs=True, top_logprobs=2)).shows_tokens
    assert bench.generation.start_completion(completion(logprobs=0)).shows_tokens
    assert not bench.generation.start_completion(completion()).shows_tokens
    assert [params.logprobs for _, params in bench.client.submitted] == [2, 0, None]


def test_a_prompt_that_is_only_shown_may_fill_the_context(bench: Bench) -> None:
    bench.generation.start_completion(completion(prompt=[5] * 32, echo=True, max_tokens=0))
    with pytest.raises(ContextLengthExceeded):
        bench.generation.start_completion(completion(prompt=[5] * 32, max_tokens=1))
    with pytest.raises(ContextLengthExceeded):
        bench.generation.start_completion(completion(prompt=[5] * 33, echo=True, max_tokens=0))


def test_each_continuation_is_scored_after_the_prompt(bench: Bench) -> None:
    fields = {"prompt": [5, 6], "continuations": [[7], [8, 9]], "priority": 3}
    run = bench.generation.start_score(request(ScoreRequest, **fields))
    assert bench.prompts == [[5, 6, 7], [5, 6, 8, 9]]
    assert {params.prompt_logprobs_from for _, params in bench.client.submitted} == {2}
    assert {params.max_tokens for _, params in bench.client.submitted} == {0}
    assert [turn.priority for turn in bench.client.turns] == [3, 3]
    assert [run.num_echoed_tokens(index) for index in (0, 1)] == [1, 2]
    with pytest.raises(ModelNotFound):
        bench.generation.start_score(request(ScoreRequest, **fields, model="nope"))


def test_an_answer_has_only_so_many_log_probabilities(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_SHOWN_LOGPROBS", 100)
    small = {"logprobs": 1, "max_tokens": 10}
    bench.generation.start_completion(completion(**small, n=5))
    bench.generation.start_completion(completion(max_tokens=10, n=20))
    ids = [[5] * 20, [6] * 20]
    for start, param in (
        (lambda: bench.generation.start_completion(completion(**small, n=6)), "logprobs"),
        (lambda: bench.generation.start_completion(completion(**small, best_of=6)), "logprobs"),
        (
            lambda: bench.generation.start_completion(
                completion(prompt=ids, echo=True, logprobs=1, max_tokens=10)
            ),
            "logprobs",
        ),
        (lambda: bench.generation.start_chat(chat(logprobs=True, top_logprobs=5)), "top_logprobs"),
    ):
        with pytest.raises(RequestError, match="log probabilities, and 100 are") as caught:
            start()
        assert caught.value.param == param
    fields = {"prompt": [5], "continuations": [[6] * 20] * 3}
    with pytest.raises(RequestError) as caught:
        bench.generation.start_score(request(ScoreRequest, **fields))
    assert caught.value.param == "continuations"
