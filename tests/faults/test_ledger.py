"""The engine is killed again and again amid streams and a queue: each request has one outcome."""

from __future__ import annotations

import json
import threading

import psutil
import pytest

from tests.faults.same_state import engine_health, find_engine, same_state
from tests.real_server import RealServer, wait_for
from tests.soak.exchange import Connection
from tests.soak.invariants import check_logs
from tests.soak.ledger import COMPLETE, ERROR_BODY, ERROR_EVENT, Record, judge
from tests.soak.mix import Plan

NUM_REQUESTS, NUM_SLOTS, NUM_KILLS = 12, 4, 3


def plan_of(number: int) -> Plan:
    body = {
        "model": "tiny",
        "prompt": f"hello {number}",
        "max_tokens": 400,
        "ignore_eos": True,
        "return_token_ids": True,
        "stream": number % 4 > 0,
    }
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    data = json.dumps(body).encode()
    return Plan("chat", "/v1/completions", data, stream=bool(body["stream"]), counts=True)


def ask_many(server: RealServer, records: list[Record]) -> list[threading.Thread]:
    host, port = server.url.removeprefix("http://").split(":")

    def ask(number: int) -> None:
        connection = Connection((host, int(port)))
        plan = plan_of(number)
        records.append(judge(plan, connection.perform(plan)))
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(NUM_REQUESTS)]
    for thread in threads:
        thread.start()
    return threads


def kill_engine(server: RealServer) -> None:
    """In the midst of streams, with others in the queue."""
    wait_for(
        lambda: engine_health(server.url),
        lambda engine: engine and engine["running"] == NUM_SLOTS and engine["waiting"],
        "full slots and a queue",
    )
    engine = find_engine(psutil.Process(server.process.pid))
    assert engine is not None
    engine.kill()


@pytest.mark.fault
@pytest.mark.integration
def test_each_request_has_one_outcome_whenever_the_engine_dies(tiny_server: RealServer) -> None:
    records: list[Record] = []
    for _ in range(NUM_KILLS):
        with same_state(tiny_server, new_engine=True, patience=60):
            threads = ask_many(tiny_server, records)
            kill_engine(tiny_server)
            for thread in threads:
                thread.join()
    assert len(records) == NUM_KILLS * NUM_REQUESTS
    assert [problem for record in records for problem in record.problems] == []
    assert {record.outcome for record in records} <= {COMPLETE, ERROR_BODY, ERROR_EVENT}
    failed = [record for record in records if record.is_failure]
    assert len(failed) >= NUM_KILLS * NUM_SLOTS, "those that ran when the engine died"
    assert {record.code for record in failed} <= {"engine_crashed", "model_loading"}
    assert check_logs([tiny_server.log]) == []
