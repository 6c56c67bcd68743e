"""Faults on order: here only those that the process survives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cria.engine.fault_hooks import Fault, FaultHooks, parse_fault
from cria.errors import BrokenContext, NativeError, SetupError


def hooks(spec: str, **more: str) -> FaultHooks:
    environment = {"CRIA_TEST_FAULT": spec, "CRIA_TEST_FAULTS_ALLOWED": "1", **more}
    made = FaultHooks.from_environment(environment)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("abort@token:5", Fault("abort", 0, "token", 5)),
        ("hang@prefill", Fault("hang", 0, "prefill", 1)),
        ("decode_rc=1", Fault("decode_rc", 1, "decode", 1)),
        ("decode_rc=-3@token:2", Fault("decode_rc", -3, "token", 2)),
        ("abort@prompt:77", Fault("abort", 0, "prompt", 77)),
    ],
)
def test_what_a_fault_is_called(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize("text", ["", "abort@nowhere", "burn@load", "decode_rc", "abort=3", "a b"])
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(SetupError, match="is no fault"):
        parse_fault(text)


@pytest.mark.parametrize("allowed", ["", "0", "yes"])
def test_without_the_second_variable_nothing_happens(allowed: str) -> None:
    environment = {"CRIA_TEST_FAULT": "raise@load", "CRIA_TEST_FAULTS_ALLOWED": allowed}
    assert FaultHooks.from_environment(environment) is None
    assert FaultHooks.from_environment({"CRIA_TEST_FAULTS_ALLOWED": "1"}) is None


def test_it_happens_at_the_point_and_the_number() -> None:
    made = hooks("raise@token:3,oom@prefill")
    made.reach("token")
    made.reach("token")
    with pytest.raises(MemoryError):
        made.reach("prefill")
    with pytest.raises(RuntimeError, match="ordered"):
        made.reach("token")
    made.reach("token")


def test_a_prompt_with_a_token() -> None:
    made = hooks("raise@prompt:7")
    made.see_prompt(np.array([1, 2], np.int32))
    with pytest.raises(RuntimeError, match="ordered"):
        made.see_prompt(np.array([1, 7], np.int32))


def test_codes_of_llama_decode() -> None:
    with pytest.raises(NativeError, match="no room"):
        hooks("decode_rc=1").reach("decode")
    with pytest.raises(BrokenContext, match="llama_decode: -3"):
        hooks("decode_rc=-3").reach("decode")


def test_so_often_for_all_processes_together(tmp_path: Path) -> None:
    count = {"CRIA_TEST_FAULT_FILE": str(tmp_path / "count"), "CRIA_TEST_FAULT_TIMES": "2"}
    for _ in range(2):
        with pytest.raises(RuntimeError, match="ordered"):
            hooks("raise@load", **count).reach("load")
    hooks("raise@load", **count).reach("load")
