"""The seam of the server's tests: a generation whose runs play a script, without any engine."""

from __future__ import annotations

import itertools
import json
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.embeddings import EmbeddingRequest
from cria.api.events import ChoiceDelta, ChoiceFinished, Event
from cria.api.extras import Extras
from cria.api.models import ModelCard
from cria.api.request_settings import RequestSettings
from cria.api.rerank import RerankRequest
from cria.api.score import ScoreRequest
from cria.api.usage import Usage
from cria.config import ModelSettings, ServerConfig
from cria.errors import ClientGone, EngineUnavailable, ModelNotFound
from cria.generation.adapters import Adapters
from cria.generation.admission import Admission
from cria.generation.engine_guest import EngineGuest
from cria.generation.engine_status import EngineStatus
from cria.generation.text_tools import TextTools
from cria.ipc.messages import EngineStats, Ready
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.loading import TextSide
from cria.prompt.rerank_prompt import RerankPrompt
from cria.prompt.tokenizer import Tokenizer
from tests.prompt.fake_vocab import FakeVocab, no_compiler

SILENCE = "silence"
"""A step of a script: nothing more happens until the run is cancelled."""

Script = Sequence[Event | Exception | str | Callable[[], object]]
"""Events to tell, exceptions to raise, functions to call."""

TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
HELLO: Script = (ChoiceDelta(0, "Hello"), ChoiceDelta(0, " world"), ChoiceFinished(0, "stop"))
READY = Ready(
    num_slots=8,
    context_size=2048,
    num_cells=16384,
    num_parameters=135_000_000,
    model_bytes=98_000_000,
    num_gpu_layers=0,
    device="CPU",
    num_threads=2,
    warnings=[],
)


class FakeRun:
    """Plays its script; `open` until that ends or somebody cancels."""

    created = 1_700_000_000
    model = "fake"
    usage = Usage(3, 2)
    warnings: tuple[str, ...] = ()
    service_tier: str | None = None
    shows_tokens = False
    extras = Extras()
    returns_token_ids = False

    def __init__(self, script: Script, number: int) -> None:
        self.id = f"run-{number}"
        self.num_choices = (
            len({i for e in script if (i := getattr(e, "index", None)) is not None}) or 1
        )
        self.open = True
        self._script = script
        self._wake: queue.Queue[None] = queue.Queue()

    def events(self) -> Iterator[Event]:
        try:
            for step in self._script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    self._wake.get(timeout=30)
                    raise ClientGone("The client closed the connection.")
                if callable(step):
                    step()
                else:
                    yield step
        finally:
            self.open = False

    def num_echoed_tokens(self, index: int) -> int:
        return 0

    def prompt_token_ids(self, index: int) -> list[int] | None:
        return [1, 2, 3] if self.returns_token_ids else None

    def wait_begun(self) -> None:
        """It has, with its first event."""

    def cancel(self) -> None:
        self.open = False
        self._wake.put(None)


class FakeEmbeddingRun:
    """`open` until somebody cancels it."""

    def __init__(self, text: str, warnings: tuple[str, ...] = ()) -> None:
        self.text = text
        self.warnings = warnings
        self.open = True

    def cancel(self) -> None:
        self.open = False


class FakeEmbeddings:
    """Answers with what was asked; `runs` holds all of them."""

    def __init__(self) -> None:
        self.runs: list[FakeEmbeddingRun] = []
        self.failure: Exception | None = None

    def start(self, request: EmbeddingRequest) -> FakeEmbeddingRun:
        warnings = ("dimensions",) if request.dimensions else ()
        self.runs.append(FakeEmbeddingRun(str(request.input), warnings))
        return self.runs[-1]

    def answer(self, run: FakeEmbeddingRun, request: EmbeddingRequest, model: str) -> bytes:
        if self.failure is not None:
            raise self.failure
        return json.dumps({"embeddings": run.text, "model": model}).encode()

    def start_rerank(self, request: RerankRequest) -> FakeEmbeddingRun:
        self.runs.append(FakeEmbeddingRun(request.query))
        return self.runs[-1]

    def answer_rerank(self, run: FakeEmbeddingRun, request: RerankRequest, model: str) -> bytes:
        return json.dumps({"ranking": run.text, "model": model}).encode()


class FakeGeneration:
    """Each request plays the script of its prompt's name, or says hello; `runs` holds them all."""

    model_ids = ("fake", "org/fake:1")
    created = 1_700_000_000
    engine_address = ""
    ledger_fd = -1
    model_path = "/models/fake.gguf"

    def __init__(self, scripts: Mapping[str, Script] | None = None) -> None:
        self.scripts = scripts or {}
        self.refusal: Exception | None = None
        self.engine = EngineStatus("ready", 1.0, READY)
        self.runs: list[FakeRun] = []
        self.settings = RequestSettings(ModelSettings())
        self.text = fake_text()
        self.embeddings = FakeEmbeddings()
        self.adapters = Adapters(EngineGuest("/nowhere"), ServerConfig(aliases=self.model_ids))
        self.adapters.adopt((), applied=True)
        self.admission = Admission(ServerConfig())
        self._numbers = itertools.count()

    def offload(self, function: Callable[..., Any], *args: object) -> Any:
        return function(*args)

    offload_storage = offload

    def start_completion(self, request: CompletionRequest) -> FakeRun:
        return self._start(str(request.prompt_list()[0]))

    def start_chat(self, request: ChatCompletionRequest) -> FakeRun:
        return self._start(str(request.template_messages()[-1]["content"]))

    def start_score(self, request: ScoreRequest) -> FakeRun:
        return self._start(str(request.prompt))

    def require_ready(self, model: str | None = None) -> Ready:
        if self.refusal is not None:
            raise self.refusal
        if model is not None and model not in self.model_ids:
            raise ModelNotFound(model)
        if self.engine.info is None:
            raise EngineUnavailable("loading")
        return self.engine.info

    def count_chat_tokens(self, request: ChatCompletionRequest) -> int:
        self.require_ready(request.model)
        return sum(map(len, self.text.render(request, request.template_messages())))

    def status(self) -> EngineStatus:
        num_open = sum(run.open for run in self.runs)
        return msgspec.structs.replace(
            self.engine, stats=EngineStats(num_open, 2, 3, 0, 4, 5, 6, 7, 8)
        )

    def model_card(self) -> ModelCard:
        return ModelCard("fake", self.created, meta={"n_ctx": 2048})

    def wait_ready(self, timeout: float | None = None) -> None:
        if self.refusal is not None:
            raise self.refusal

    def close(self) -> None:
        for run in self.runs:
            run.cancel()

    def _start(self, prompt: str) -> FakeRun:
        if self.refusal is not None:
            raise self.refusal
        run = FakeRun(self.scripts.get(prompt, HELLO), next(self._numbers))
        self.runs.append(run)
        return run


def fake_text() -> TextTools:
    """The real text side over a vocabulary of bytes, which begins a text with `<s>`."""
    vocab = FakeVocab(add_bos=True)
    tokenizer = Tokenizer(vocab, context_size=READY.context_size)
    template = ChatTemplate(TEMPLATE, "<s>", "</s>", tokenizer.control_texts)
    return TextTools(
        TextSide(tokenizer, template, vocab.pieces, RerankPrompt(vocab), no_compiler),
        lambda f, *args: f(*args),
    )
