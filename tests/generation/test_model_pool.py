"""The pool over fake generations: who is loaded, who leaves, who waits; nothing sleeps."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cria.errors import (
    ClientGone,
    ModelFileError,
    ModelNotFound,
    QueueFull,
    QueueTimeout,
    RequestError,
    ServerStopping,
    SetupError,
)
from cria.generation.hosted_model import ModelFailed, Place
from tests.generation.pool_fakes import Bench, entry


def bench(names: str = "abc", places: int = 1, **config: object) -> Bench:
    return Bench(*map(entry, names), places=places, **config).started()


def test_what_fits_is_loaded_at_the_start_in_order() -> None:
    assert bench(places=2).loaded() == {"a", "b"}


def test_pinned_models_are_loaded_whether_they_fit_or_not() -> None:
    made = Bench(entry("a"), entry("b"), entry("c", pinned=True), places=1).started()
    assert made.loaded() == {"a", "c"}


def test_pinned_ones_have_their_places_under_a_cap() -> None:
    models = entry("a"), entry("b"), entry("c", pinned=True)
    assert Bench(*models, max_loaded_models=2).started().loaded() == {"a", "c"}


def test_many_requests_are_one_load_and_one_eviction() -> None:
    made = bench(places=2)
    made.now = 1.0
    made.pool.enter("a").leave()
    places = [made.pool.enter("c") for _ in range(5)]
    made.work()
    assert [place.take().model_ids[0] for place in places] == ["c"] * 5
    assert made.loaded() == {"a", "c"}
    assert [model.name for model in made.opened] == ["a", "b", "c"]


@pytest.mark.parametrize("by", ["lease", "sequence"])
def test_a_busy_model_is_never_evicted(by: str) -> None:
    made = bench()
    held = made.pool.enter("a")
    if by == "sequence":
        made.opened[0].admission.open = 1
        held.leave()
    waiting = made.pool.enter("b")
    made.now = 1.0
    made.pool.look_at(waiting)
    made.work()
    assert (made.loaded(), waiting.is_settled) == ({"a"}, False)
    if by == "sequence":
        made.opened[0].admission.end()
    else:
        held.leave()
    made.work()
    assert (made.loaded(), waiting.is_settled) == ({"b"}, True)


def test_the_line_is_first_come_first_served() -> None:
    made = bench()
    held = made.pool.enter("a")
    first, second = made.pool.enter("b"), made.pool.enter("c")
    held.leave()
    while not first.is_settled:
        made.jobs.pop(0)()
    assert not second.is_settled
    first.leave()
    made.work()
    assert second.take().model_ids[0] == "c"


def test_a_client_that_leaves_costs_nobody_its_model() -> None:
    made = bench()
    held = made.pool.enter("a")
    waiting = made.pool.enter("b")
    waiting.cancel()
    held.leave()
    made.work()
    assert made.loaded() == {"a"}
    with pytest.raises(ClientGone):
        waiting.take()


def test_a_model_that_is_always_busy_gives_way_in_the_end() -> None:
    made = bench()
    held, waiting = made.pool.enter("a"), made.pool.enter("b")
    assert made.pool.enter("a").is_settled
    made.now = 6.0
    made.pool.look_at(waiting)
    late = made.pool.enter("a")
    assert not late.is_settled
    for model in made.pool.models[:1]:
        assert model.value == "unloading"
    held.leave()
    made.pool.models[0].num_leases = 0
    made.pool.look_at(waiting)
    made.work()
    assert waiting.is_settled
    waiting.leave()
    made.work()
    assert late.take().model_ids[0] == "a"


def test_limits_of_the_line() -> None:
    made = bench(max_queue=1, queue_timeout=10.0)
    held, waiting = made.pool.enter("a"), made.pool.enter("b")
    with pytest.raises(QueueFull):
        made.pool.enter("b")
    assert not made.pool.enter("c").is_settled
    made.now = 10.0
    made.pool.look_at(waiting)
    with pytest.raises(QueueTimeout):
        waiting.take()
    held.leave()


def test_a_bad_model_says_why_and_is_loaded_again_on_order() -> None:
    made = Bench(entry("a"), entry("b"))
    made.failures["b"] = ModelFileError("It is broken.")
    made.started()
    made.pool.wait_settled()
    with pytest.raises(ModelFailed, match="It is broken"):
        made.pool.enter("b")
    made.failures.clear()
    made.pool.load("b")
    made.work()
    assert made.loaded() == {"a", "b"}


def test_if_all_models_are_bad_the_server_does_not_start() -> None:
    made = Bench(entry("a"), entry("b"))
    made.failures = {name: ModelFileError("It is broken.") for name in "ab"}
    made.started()
    with pytest.raises(ModelFileError):
        made.pool.wait_settled()


def test_a_single_model_answers_while_it_is_loaded() -> None:
    made = Bench(entry("a"))
    made.pool.start()
    assert made.pool.enter("a").is_settled
    made.work()
    made.pool.wait_settled()


def test_unload_under_load_loses_no_request() -> None:
    made = bench("a")
    made.opened[0].admission.open = 1
    made.pool.unload("a")
    waiting = made.pool.enter("a")
    made.work()
    assert not made.opened[0].is_closed
    made.opened[0].admission.end()
    made.work()
    assert made.opened[0].is_closed
    assert waiting.take() is made.opened[1]


def test_orders_that_make_no_sense() -> None:
    made = bench("ab")
    for order, name in ((made.pool.load, "a"), (made.pool.unload, "b")):
        with pytest.raises(RequestError):
            order(name)
    with pytest.raises(ModelNotFound):
        made.pool.load("nope")


def test_unloading_ends_a_load() -> None:
    made = bench("ab")
    made.pool.load("b")
    made.jobs.pop(0)()  # a is closed
    assert made.states()["b"] == "loading"
    made.pool.unload("b")
    made.failures["b"] = ModelFileError("The engine process ended.")
    made.work()
    assert made.states() == {"a": "unloaded", "b": "unloaded"}


@pytest.mark.parametrize("keep_alive", [0.0, 5.0])
def test_what_is_idle_for_long_leaves(keep_alive: float) -> None:
    made = Bench(entry("a", keep_alive=keep_alive), entry("b"))
    made.pool.start()
    made.jobs.pop(0)()
    held = made.pool.enter("a")
    made.work()
    made.now = 100.0
    made.pool.look_at(held)
    made.work()
    assert made.loaded() == {"a", "b"}
    held.leave()
    made.work()
    assert made.loaded() == ({"a", "b"} if keep_alive else {"b"})
    made.now += keep_alive
    made.pool.look_at(held)
    made.work()
    assert made.loaded() == {"b"}


def test_names() -> None:
    pool = bench("ab", places=2).pool
    assert pool.find(None).names[0] == "a"
    assert pool.find("b:tuned").names[0] == "b"
    assert pool.find("b:other").names[0] == "b"
    with pytest.raises(ModelNotFound):
        pool.find("c")


@pytest.mark.parametrize(
    ("entries", "config"),
    [
        ((entry("a"), entry("a")), {}),
        ((entry("a"), entry("b")), {"num_workers": 2}),
        ((entry("a", keep_alive=1.0),), {"num_workers": 2}),
        ((entry("a", pinned=True), entry("b", pinned=True)), {"max_loaded_models": 1}),
    ],
)
def test_what_cannot_be_together(entries: tuple[object, ...], config: dict[str, int]) -> None:
    with pytest.raises(SetupError):
        Bench(*entries, **config)  # type: ignore[arg-type]


class PoolMachine(RuleBasedStateMachine):
    """Requests come and go, loads fail, models are ordered about; `Bench` watches for twins."""

    def __init__(self) -> None:
        super().__init__()
        models = entry("a", pinned=True), entry("b"), entry("c"), entry("d")
        self.bench = Bench(*models, places=2)
        self.pool = self.bench.pool
        self.places: list[Place] = []
        self.outcomes = 0
        self.pool.start()

    @rule(name=st.sampled_from("abcd"))
    def ask(self, name: str) -> None:
        try:
            self.places.append(self.pool.enter(name))
        except ModelFailed:
            assert self.bench.states()[name] == "failed"

    @precondition(lambda self: self.bench.jobs)
    @rule()
    def go_on(self) -> None:
        self.bench.jobs.pop(0)()

    @precondition(lambda self: self.places)
    @rule(data=st.data())
    def end_one(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places))
        self.places.remove(place)
        place.leave()
        place.leave()

    @rule(seconds=st.sampled_from([0.5, 6.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.bench.now += seconds
        for place in self.places:
            if not place.is_settled:
                self.pool.look_at(place)

    @rule(name=st.sampled_from("abcd"), load=st.booleans())
    def order(self, name: str, load: bool) -> None:
        try:
            (self.pool.load if load else self.pool.unload)(name)
        except RequestError:
            pass

    @rule(name=st.sampled_from("bcd"), is_bad=st.booleans())
    def break_or_mend(self, name: str, is_bad: bool) -> None:
        self.bench.failures.pop(name, None)
        if is_bad:
            self.bench.failures[name] = ModelFileError("It is broken.")

    @invariant()
    def whoever_holds_a_model_has_an_open_one(self) -> None:
        for place in self.places:
            if place.is_settled and place._error is None:
                model = place.take()
                assert not model.is_closed  # type: ignore[attr-defined]
                assert model.model_ids[0] == place.model.names[0]

    @invariant()
    def no_more_are_open_than_fit(self) -> None:
        open_models = [model for model in self.bench.opened if not model.is_closed]
        assert len(open_models) <= 2

    def teardown(self) -> None:
        """In the end everybody has an outcome."""
        self.bench.failures.clear()
        for _ in range(20):
            self.bench.work()
            for place in [place for place in self.places if place.is_settled]:
                self.places.remove(place)
                place.leave()
            self.bench.now += 6.0
            for place in self.places:
                self.pool.look_at(place)
        assert not self.places
        assert all(not model.num_leases for model in self.pool.models)


TestPool = PoolMachine.TestCase


def test_the_end_tells_whoever_waits() -> None:
    made = bench()
    held, waiting = made.pool.enter("a"), made.pool.enter("b")
    held.leave()
    made.pool.close()
    made.jobs.clear()
    with pytest.raises(ServerStopping):
        waiting.take()
