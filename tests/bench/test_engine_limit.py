"""The raw limit beside the servers, with a model that loads in no time."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria.bench.engine_limit import EngineLimit, summarize_limit, traces
from cria.bench.messages import Outcome
from cria.bench.pool import WorkerPool
from cria.bench.settings import Load, Settings
from cria.config import EngineConfig
from cria.errors import SetupError


def test_in_the_terms_of_a_server() -> None:
    timing = {"prompt_tokens": 100, "prefill": 2.0, "steps": [0.5, 0.5, 1.0]}
    summary = summarize_limit(Outcome(traces(8, timing)), timing)
    assert (summary.prompt_tokens, summary.generated_tokens, summary.wall_s) == (800, 32, 4.0)
    assert (summary.generated_per_s, summary.tokens_per_s) == (8.0, 208.0)
    assert (summary.prefill_per_s, summary.decode_per_s) == (400.0, 12.0)
    assert (summary.ttft_p50_ms, summary.itl_p50_ms) == (2000.0, 500.0)
    assert summary.longest_pause_ms == 1000.0


def test_a_single_token_has_no_steps() -> None:
    timing = {"prompt_tokens": 100, "prefill": 2.0, "steps": []}
    summary = summarize_limit(Outcome(traces(1, timing)), timing)
    assert (summary.generated_tokens, summary.decode_per_s) == (1, None)


def test_a_model(tiny_gguf: Path) -> None:
    settings = Settings(prompt_words=20, max_tokens=4)
    with EngineLimit(EngineConfig(str(tiny_gguf), num_threads=1)) as limit:
        limit.check(settings)
        limit.warm_up(WorkerPool(), settings, Load(clients=3))
        (run,) = limit.measure(WorkerPool(), settings, Load(clients=3), 1)
    assert (run.subject, run.round, run.summary.generated_tokens) == ("limit", 1, 12)
    assert run.summary.prompt_tokens >= 3 * 20
    assert run.summary.decode_per_s


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with EngineLimit(EngineConfig(str(tmp_path / "bad.gguf"))) as limit:
        with pytest.raises(SetupError, match="^The raw limit cannot be measured: .*bad.gguf"):
            limit.check(Settings())
