"""One model of a pool: what is told of it, and what a place says."""

from __future__ import annotations

from cria.config import EngineConfig, ModelEntry, ServerConfig
from cria.generation.hosted_model import HostedModel, Residence
from tests.generation.pool_fakes import Bench, entry


def test_its_name_is_its_files_as_long_as_nobody_gives_another() -> None:
    assert HostedModel(ModelEntry(EngineConfig("/m/x.gguf"), ServerConfig()), 0.0).names == ("x",)


def test_what_is_told() -> None:
    model = HostedModel(entry("a"), 0.0)
    assert (model.value, model.status().state, model.progress) == ("unloaded", "unloaded", 0.0)
    model.residence, model.is_leaving = Residence.LOADED, True
    assert model.value == "unloading"
    model.residence, model.failure = Residence.FAILED, ValueError("broken")
    assert model.status().reason == "broken"
    assert "broken" in str(model.refusal())


def test_a_place_tells_what_happens() -> None:
    bench = Bench(entry("a"), entry("b"), places=1).started()
    held = bench.pool.enter("a")
    place = bench.pool.enter("b")
    assert place.told() == "waiting for b"
    assert not place.wait(0.0)
    held.leave()
    bench.jobs.pop(0)()
    assert place.told() == "loading b 0%"
    bench.work()
    assert place.wait()
