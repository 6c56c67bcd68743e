"""The real runner over a tiny model: both cache layouts, holes, failures."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cria.config import EngineConfig
from cria.engine.batching import MAX_FILLERS, MAX_REPEATS, PaddedBatching
from cria.engine.capacity import CACHE_SHARE
from cria.engine.limits import Limits
from cria.engine.loaded_model import LoadedModel
from cria.engine.model_runner import ModelRunner
from cria.engine.pacing import PrefillPacer
from cria.engine.scheduler import Scheduler
from cria.engine.shifting import without_oldest_half
from cria.engine.slots import Capacity, SlotPool
from cria.errors import ModelFileError, NativeError, SetupError
from cria.ipc.messages import Cancel, FinishReason, SequenceOutput, Submit
from cria.logprobs import TokenLogprobs
from cria.native import devices, library
from cria.native.batch import Batch
from cria.native.context import Context, ContextOptions
from cria.native.model import Model
from cria.sampling_params import Dry, SamplingParams
from tests.engine.fake_runner import unpack
from tests.real_server import REPOSITORY

LAYOUTS = ["unified", "streams", "padded"]
"""Padded streams are what a GPU gets."""


def make_runner(path: Path, kv_layout: str = "auto", **settings: object) -> ModelRunner:
    values: dict[str, object] = {"num_slots": 6, "context_size": 256, "num_threads": 1, **settings}
    layout = "streams" if kv_layout == "padded" else kv_layout
    config = EngineConfig(str(path), kv_layout=layout, **values)  # type: ignore[arg-type]
    return ModelRunner(LoadedModel(config), pads_streams=kv_layout == "padded")


@pytest.fixture(params=LAYOUTS)
def runner(request: pytest.FixtureRequest, tiny_gguf: Path) -> Iterator[ModelRunner]:
    yield make_runner(tiny_gguf, kv_layout=request.param)


class Bench:
    """A scheduler and a runner, stepped by hand."""

    def __init__(
        self,
        runner: ModelRunner,
        prefill_chunk: int = 5,
        min_shared: int = 0,
        num_cells: int | None = None,
    ) -> None:
        self.runner = runner
        runner._batching.free(range(runner.info.num_slots))  # what another bench has left
        runner._samplers.clear()
        info, context_size = runner.info, runner.limits.context_size
        self.pool = SlotPool(
            Capacity(info.num_slots, context_size, num_cells or info.num_cells),
            min_shared=min_shared,
            shares_cells=info.kv_layout == "unified",
        )
        self.scheduler = Scheduler(
            self.pool,
            Limits(context_size, 40, runner.limits.vocab_size),
            runner.end_of_generation,
            PrefillPacer(1.0, prefill_chunk),
        )
        self.tokens: dict[int, list[int]] = {}
        self.logprobs: dict[int, list[TokenLogprobs]] = {}
        self.last: dict[int, SequenceOutput] = {}

    def submit(self, request_id: int, prompt: list[int], **params: object) -> None:
        values: dict[str, object] = {"temperature": 0, "ignore_eos": True, **params}
        self.scheduler.submit(
            Submit(request_id, prompt, SamplingParams(**values))  # type: ignore[arg-type]
        )

    def step(self) -> None:
        batch = self.scheduler.schedule()
        if not batch.is_empty:
            self.runner.start(batch)
            self.scheduler.hold(batch)
            tokens = self.runner.finish(batch)
            self.scheduler.advance(batch, tokens, logprobs=self.runner.logprobs(batch))
        for output in unpack(self.scheduler.take_output()):
            self.logprobs.setdefault(output.request_id, []).extend(output.prompt_logprobs)
            if output.logprobs is not None:
                self.logprobs[output.request_id].append(output.logprobs)
            self.tokens.setdefault(output.request_id, []).extend(output.token_ids)
            if output.finish_reason is not None:
                self.last[output.request_id] = output
        self.pool.check_integrity()

    def run(self) -> dict[int, list[int]]:
        while not self.scheduler.is_idle:
            self.step()
        assert self.runner._batching.lengths.tolist() == self.pool.lengths.tolist()
        for slot in range(self.runner.info.num_slots):
            assert self.runner._context.last_position(slot) == end_of(self.runner, slot) - 1
        return self.tokens


def end_of(runner: ModelRunner, slot: int) -> int:
    """The cells of a slot, fillers included."""
    batching = runner._batching
    ends = batching._ends if isinstance(batching, PaddedBatching) else batching.lengths
    return int(ends[slot])


def alone(runner: ModelRunner, prompt: list[int], **params: object) -> list[int]:
    bench = Bench(runner)
    bench.submit(0, prompt, **params)
    return bench.run()[0]


def test_the_layout_is_what_was_asked_for(tiny_gguf: Path) -> None:
    for layout in ("unified", "streams"):
        assert make_runner(tiny_gguf, kv_layout=layout).info.kv_layout == layout


def test_streams_are_taken_unless_a_pool_holds_more(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = make_runner(tiny_gguf)
    assert roomy.info.kv_layout == "streams"
    assert make_runner(tiny_gguf, num_cells=1000).info.kv_layout == "unified"
    all_but_one = 5 * 256 * roomy._model.kv_bytes_per_token(2, 2) / CACHE_SHARE
    monkeypatch.setattr(devices, "free_main_memory", lambda: int(all_but_one))
    short = make_runner(tiny_gguf, num_slots=None, context_size=512).info
    assert (short.kv_layout, short.num_slots, short.num_cells) == ("unified", 5, 5 * 256)
    short = make_runner(tiny_gguf, num_slots=6, context_size=None).info
    assert (short.kv_layout, short.num_slots, short.num_cells) == ("unified", 6, 5 * 256)


@pytest.mark.parametrize("min_shared", [0, 1])
def test_any_mix_gives_each_sequence_what_it_gets_alone_in_streams(
    tiny_gguf: Path, min_shared: int
) -> None:
    """Sequences come, go and are cancelled, share prefixes, and leave holes between the ids.

    In streams on a CPU the results are exact to the bit, whatever shares the batch.
    """
    runner = make_runner(tiny_gguf, kv_layout="streams")
    rng = random.Random(5)
    starts = [[rng.randrange(300, 500) for _ in range(20)] for _ in range(3)]
    requests = []
    for _ in range(30):
        start = rng.choice(starts)[: rng.randrange(21)]
        end = [rng.randrange(300, 500) for _ in range(rng.randrange(1, 12))]
        requests.append(([*start, *end], rng.randrange(1, 25)))
    bench = Bench(runner, min_shared=min_shared)
    cancelled = set()
    for request_id, (prompt, max_tokens) in enumerate(requests):
        bench.submit(request_id, prompt, max_tokens=max_tokens)
        for _ in range(rng.randrange(3)):
            bench.step()
        if request_id % 5 == 4:
            bench.scheduler.cancel(Cancel(request_id - 2))
            cancelled.add(request_id - 2)
    together = bench.run()
    for request_id, (prompt, max_tokens) in enumerate(requests):
        expected = alone(runner, prompt, max_tokens=max_tokens)
        found = together[request_id]
        assert found == expected[: len(found)] if request_id in cancelled else found == expected
    assert (bench.scheduler.stats().cached_tokens_total > 100) == bool(min_shared)


@pytest.mark.parametrize("source_ends", [True, False])
def test_a_taken_over_prefix_is_as_good_as_a_computed_one(
    runner: ModelRunner, source_ends: bool
) -> None:
    common, first, second = list(range(300, 340)), [400, 401], [410, 411, 412]
    expected = alone(runner, [*common, *second], max_tokens=10)
    bench = Bench(runner, min_shared=1)
    bench.submit(0, [*common, *first], max_tokens=2 if source_ends else 50)
    while not bench.tokens:
        bench.step()
    bench.submit(1, [*common, *second], max_tokens=10)
    assert bench.run()[1] == expected
    assert bench.scheduler.stats().cached_tokens_total == len(common)


@pytest.mark.parametrize("min_shared", [0, 1])
def test_a_shifted_sequence_goes_on_as_a_fresh_one_with_what_is_kept(
    runner: ModelRunner, min_shared: int
) -> None:
    context, num_kept, max_tokens = runner.limits.context_size, 20, 350
    prompt = list(range(300, 400))
    bench = Bench(runner, min_shared=min_shared)
    bench.submit(0, prompt, max_tokens=max_tokens, num_kept=num_kept)
    bench.submit(1, prompt[:50], max_tokens=150)
    found = bench.run()[0]
    assert len(found) == max_tokens
    assert bench.scheduler.stats().preemptions_total == 0
    held, expected = prompt, found[: context - len(prompt)]
    while len(expected) < max_tokens:
        held = without_oldest_half(np.array([*held, *expected[-(context - len(held)) :]]), num_kept)
        held = held.tolist()
        count = min(context - len(held), max_tokens - len(expected))
        expected = expected + alone(runner, held, max_tokens=count)
        assert found[: len(expected)] == expected


def test_the_draws_of_a_shifted_sequence_go_on(runner: ModelRunner) -> None:
    bench = Bench(runner)
    values = {"temperature": 1.0, "seed": 5, "repeat_penalty": 1.1, "repeat_last_n": -1}
    bench.submit(0, [300] * 100, max_tokens=600, num_kept=0, **values)
    tokens = bench.run()[0]
    assert len(tokens) == 600
    # 156 tokens until the context is full, and 128 after each shift.
    parts = [tokens[at : at + 20] for at in (0, 156, 284, 412)]
    assert len(set(map(tuple, parts))) == 4, "a sampler that begins anew repeats its numbers"


def test_a_hole_costs_no_forward_pass(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, kv_layout="padded")
    bench = Bench(runner)
    for request_id in range(5):
        bench.submit(request_id, [300 + request_id], max_tokens=120)
    bench.step()
    held = runner._context.last_position(1)
    for request_id in (1, 3):
        bench.scheduler.cancel(Cancel(request_id))
    bench.step()
    batch = runner._batching.batch
    assert list(batch.sequence_id[: batch.num_tokens]) == [0, 1, 2, 3, 4]
    for _ in range(100):
        bench.step()
        assert runner._context.last_position(1) <= held + MAX_FILLERS + MAX_REPEATS, (
            "fillers pile up"
        )
    bench.run()


def test_prompts_of_nearly_one_length_are_padded_to_one(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, kv_layout="padded")
    prompts = [list(range(300, 300 + length)) for length in (5, 7, 6)]
    expected = [alone(runner, prompt, max_tokens=4) for prompt in prompts]
    bench = Bench(runner)
    for request_id, prompt in enumerate(prompts):
        bench.submit(request_id, prompt, max_tokens=4)
    bench.step()
    batch = runner._batching.batch
    ids = batch.sequence_id[: batch.num_tokens].tolist()
    assert {ids.count(slot) for slot in set(ids)} == {7}
    assert list(bench.run().values()) == expected


def test_a_batch_has_room_for_prompts_beside_all_decodes(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, kv_layout="padded", batch_size=2)
    assert runner.limits.batch_size >= runner.info.num_slots


def test_sequences_that_do_not_fit_together_take_turns(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, kv_layout="unified", num_cells=256, num_slots=3)
    prompts = [[300 + number] * 20 for number in range(3)]
    bench = Bench(runner, min_shared=4)
    for request_id, prompt in enumerate(prompts):
        bench.submit(request_id, prompt, max_tokens=200, temperature=1.0, seed=request_id)
    together = bench.run()
    assert bench.scheduler.stats().preemptions_total > 0
    assert [len(tokens) for tokens in together.values()] == [200] * 3
    # The numbers of a preempted sequence go on, so its draws differ from its first ones.
    assert all(tokens[:20] != tokens[-20:] for tokens in together.values())


@pytest.mark.parametrize("params", [{"temperature": 0}, {"seed": 1}, {"dry": Dry(1.0)}])
def test_the_count_of_a_preempted_sequence_goes_on(
    tiny_gguf: Path, params: dict[str, object]
) -> None:
    runner = make_runner(tiny_gguf, kv_layout="unified", num_cells=256, num_slots=3)
    bench = Bench(runner)
    bias = tuple((token, 100.0) for token in runner.end_of_generation)
    for request_id in range(3):
        bench.submit(
            request_id,
            [300 + request_id] * 20,
            logit_bias=bias,
            min_tokens=150,
            ignore_eos=False,
            **params,
        )
    together = bench.run()
    assert bench.scheduler.stats().preemptions_total > 0
    assert [len(tokens) for tokens in together.values()] == [150] * 3
    assert {output.finish_reason for output in bench.last.values()} == {FinishReason.STOP}


def test_the_books_know_exactly_what_fits(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, kv_layout="unified", num_cells=256, num_slots=2)
    bench = Bench(runner)
    bench.submit(0, [300] * 100, max_tokens=150)
    for _ in range(40):
        bench.step()
    check_free_cells(bench, slot=1)


def check_free_cells(bench: Bench, slot: int) -> None:
    """By filling them all, in a slot that holds nothing."""
    context, batch = bench.runner._context, bench.runner._batching.batch
    free = bench.pool.cells.num_free
    for count, fits in ((free + 1, False), (free, True)):
        batch.clear()
        batch.append([301] * count, 0, slot, False)
        if fits:
            context.decode(batch)
        else:
            with pytest.raises(NativeError, match="no room"):
                context.decode(batch)


@pytest.mark.parametrize("seed", range(4))
def test_the_books_stay_right_whatever_happens(tiny_gguf: Path, seed: int) -> None:
    """Prefixes are shared, sequences preempted, cancelled and lost, in too few cells for all."""
    rng = random.Random(seed)
    runner = make_runner(tiny_gguf, kv_layout="unified", num_cells=256, num_slots=5)
    bench = Bench(runner, prefill_chunk=20, min_shared=4)
    starts = [[rng.randrange(300, 500) for _ in range(60)] for _ in range(3)]
    for request_id in range(40):
        prompt = [*rng.choice(starts)[: rng.randrange(61)], rng.randrange(300, 500)]
        bench.submit(request_id, prompt, max_tokens=rng.randrange(1, 250))
        for _ in range(rng.randrange(25)):
            bench.step()
        if rng.random() < 0.2:
            bench.scheduler.cancel(Cancel(rng.randrange(request_id + 1)))
        if rng.random() < 0.1:
            lose_step(bench)
    bench.run()
    assert bench.last.keys() == set(range(40))
    assert bench.scheduler.stats().preemptions_total > 0
    assert bench.scheduler.stats().cached_tokens_total > 0
    bench.pool.cut(0, 0)
    runner._batching.free([0])
    check_free_cells(bench, slot=0)


def lose_step(bench: Bench) -> None:
    """The computation fails, and with it the sequences of the step."""
    batch = bench.scheduler.schedule()
    if not batch.is_empty:
        bench.runner.start(batch)
        bench.runner.lose(batch)
        bench.scheduler.fail(batch, "failed")
    bench.step()


def test_seeded_sampling_repeats(runner: ModelRunner) -> None:
    options = {"temperature": 1.0, "seed": 11, "max_tokens": 12}
    assert alone(runner, [300, 301], **options) == alone(runner, [300, 301], **options)


def test_a_prompt_in_chunks_is_the_whole_prompt(runner: ModelRunner) -> None:
    prompt = list(range(300, 390))
    bench = Bench(runner, prefill_chunk=7)
    bench.submit(0, [310], max_tokens=60)
    bench.step()
    bench.submit(1, prompt, max_tokens=8)
    assert bench.run()[1] == alone(runner, prompt, max_tokens=8)


def direct_logprobs(path: Path, token_ids: list[int]) -> list[npt.NDArray[np.float64]]:
    """After each token but the last, the log probability of every token that could follow."""
    native = library.load()
    model = Model(native, str(path))
    context = Context(model, ContextOptions(256, 1, 64, 64, 1))
    batch, rows = Batch(64), []
    for position, token in enumerate(token_ids[:-1]):
        batch.clear()
        batch.append([token], position, 0, True)
        context.decode(batch)
        row = context.logits(1)[0].astype(np.float64)
        rows.append(row - row.max() - np.log(np.exp(row - row.max()).sum()))
    return rows


def test_log_probabilities_are_the_models_own(runner: ModelRunner, tiny_gguf: Path) -> None:
    prompts = [[5, 6, 7, 8, 9, 10, 11], [20, 21], [5, 6, 7, 8, 30, 31, 32, 33]]
    bench = Bench(runner, min_shared=1)
    for request_id, prompt in enumerate(prompts):
        bench.submit(request_id, prompt, max_tokens=6, logprobs=3, prompt_logprobs_from=1)
    bench.submit(3, [9, 8, 7], max_tokens=6, temperature=1.0, seed=3)
    bench.run()
    for request_id, prompt in enumerate(prompts):
        sequence = [*prompt, *bench.tokens[request_id]]
        rows = direct_logprobs(tiny_gguf, sequence)
        told = bench.logprobs[request_id]
        assert len(told) == len(rows)
        for entry, row, token in zip(told, rows, sequence[1:], strict=True):
            assert entry.logprob == pytest.approx(row[token], abs=1e-3)
            best = [value for _, value in entry.top]
            assert best == pytest.approx(np.sort(row)[::-1][:3], abs=1e-3)


def test_scoring_changes_nothing_for_the_others(runner: ModelRunner) -> None:
    expected = alone(runner, [9, 8, 7], max_tokens=20, temperature=1.0, seed=3)
    bench = Bench(runner)
    bench.submit(0, [9, 8, 7], max_tokens=20, temperature=1.0, seed=3)
    bench.step()
    bench.submit(1, list(range(5, 60)), max_tokens=0, logprobs=1, prompt_logprobs_from=20)
    bench.run()
    assert bench.tokens[0] == expected
    assert len(bench.logprobs[1]) == 35


def test_a_sequence_for_which_nothing_can_be_chosen_fails_alone(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf)
    bench = Bench(runner)
    bench.submit(0, [300], max_tokens=3)
    bench.submit(1, [301], max_tokens=3)
    batch = bench.scheduler.schedule()
    runner.start(batch)
    bench.scheduler.hold(batch)
    tokens = runner.finish(batch)
    tokens[1] = -1
    bench.scheduler.advance(batch, tokens)
    outputs = {output.request_id: output for output in unpack(bench.scheduler.take_output())}
    assert outputs[1].finish_reason is FinishReason.ERROR
    assert outputs[1].error == "no token can be chosen"
    assert outputs[0].finish_reason is None
    assert len(bench.run()[0]) == 2


def test_a_failed_step_frees_its_sequences(
    runner: ModelRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(runner)
    bench.submit(0, [300, 301], max_tokens=5)
    bench.step()
    with monkeypatch.context() as patch:
        patch.setattr(runner._context, "submit", _raise)
        batch = bench.scheduler.schedule()
        with pytest.raises(NativeError):
            runner.start(batch)
            runner.finish(batch)
    runner.lose(batch)
    bench.scheduler.fail(batch, "failed")
    bench.submit(1, [300, 301], max_tokens=5)
    assert bench.run()[1] == alone(runner, [300, 301], max_tokens=5)


def test_a_failed_step_leaves_no_filler_in_an_empty_slot(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, kv_layout="padded", num_slots=4)
    expected = alone(runner, [300, 301], max_tokens=5)
    bench = Bench(runner)
    for request_id in range(4):
        bench.submit(request_id, [300 + request_id], max_tokens=20)
    bench.step()
    batching = runner._batching
    assert isinstance(batching, PaddedBatching)
    bench.scheduler.cancel(Cancel(2))
    bench.pool.cut(2, 0)
    batching.free([2])
    bench.step()
    assert (batching.lengths[2], runner._context.last_position(2)) == (0, 0), "a filler"
    batching.free([1])
    assert runner._context.last_position(2) == -1
    bench.submit(4, [300, 301], max_tokens=5)
    batch = bench.scheduler.schedule()
    bench.scheduler.fail(batch, "failed")
    batching.free([slot for slot in range(4) if slot != 2])
    assert alone(runner, [300, 301], max_tokens=5) == expected


def test_a_small_context_in_streams_leaves_room_for_prompts(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, kv_layout="streams", num_slots=4, context_size=16)
    assert runner.limits.batch_size >= 16
    bench = Bench(runner)
    bench.submit(0, [300] * 10, max_tokens=3)
    assert len(bench.run()[0]) == 3


def _raise(*_: object) -> None:
    raise NativeError("told to fail")


def test_what_cannot_be_loaded_is_one_sentence(tmp_path: Path, tiny_gguf: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.gguf"):
        make_runner(tmp_path / "none.gguf")
    with pytest.raises(SetupError, match="are free: choose a smaller"):
        make_runner(tiny_gguf, num_slots=200, context_size=10**8)


def test_a_gpu_that_is_not_there_is_a_warning(tiny_gguf: Path) -> None:
    runner = make_runner(tiny_gguf, require_gpu=True)
    if runner.info.device == "CPU":
        assert runner.warnings == [
            "No GPU can be used by this build on this machine: the CPU computes everything."
        ]


LESS_MEMORY = """
import logging, resource, sys
from pathlib import Path
from cria.config import EngineConfig
from cria.engine.loaded_model import LoadedModel
from cria.engine.model_runner import ModelRunner
logging.basicConfig(format="%(message)s")
loaded = LoadedModel(EngineConfig(sys.argv[1], num_threads=1))
loaded.free_bytes = lambda: 64 << 30  # as if another program had taken it since
used = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line)
most = int(used.split()[1]) * 1024 + (800 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(ModelRunner(loaded).info.num_cells)
"""


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory")
def test_a_cache_that_does_not_fit_after_all_is_made_smaller(default_model: Path) -> None:
    """64 Ki cells of this model take 1.5 GB."""
    command = [sys.executable, "-c", LESS_MEMORY, str(default_model)]
    seen = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert 0 < int(seen.stdout) < 8 * 8192, seen.stderr
    assert "Trying half of that" in seen.stderr
