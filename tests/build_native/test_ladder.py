"""The way down the ladder, against children that die on cue."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from cria_build.check import WRONG_COMPILER, CheckResult
from cria_build.cpu import cpu_identity
from cria_build.ladder import LADDERS, climb_down, list_attempts, skip_crashed
from cria_build.toolchain import Toolchain
from tests.build_native.asking import refused

SYSTEM = Toolchain("cc", "c++", "c++ 12")


FOREIGN = Toolchain("mycc", "myc++", "myc++ 1")


def climb(attempts: list[Any], codes: list[int]) -> tuple[Any, list[str]]:
    """Runs the ladder against children that end with `codes`, one after the other."""
    tried = []

    def child(attempt: Any) -> Any:
        tried.append(attempt)
        return CheckResult(codes[len(tried) - 1], '{"ok": true}')

    attempt, _, fallbacks = climb_down(attempts, child, lambda text: None)
    assert tried == attempts[: len(codes)]
    return attempt, fallbacks


@pytest.mark.parametrize(
    "crash", [signal.SIGILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE]
)
def test_a_crash_goes_one_rung_down(crash: signal.Signals) -> None:
    attempts = list_attempts([SYSTEM], LADDERS["x86"], {"amx_tile", "avx512f", "avx2"})
    attempt, fallbacks = climb(attempts, [-crash, 0])
    assert attempt.rung.name == "no AMX" and crash.name in fallbacks[0]
    assert climb(attempts, [0]) == (attempts[0], [])
    assert climb(attempts, [-crash] * 4 + [0])[0].rung.name == "plain x86-64"


def test_rungs_without_meaning_here_are_skipped() -> None:
    ladder = LADDERS["x86"]
    names = [a.rung.name for a in list_attempts([SYSTEM], ladder, {"avx2", "fma"})]
    assert names == ["no CPU feature excluded", "AVX2 baseline", "plain x86-64"]
    assert len(list_attempts([SYSTEM], ladder, set())) == len(ladder)


def test_a_foreign_compiler_gets_one_try() -> None:
    attempts = list_attempts([FOREIGN, SYSTEM], LADDERS["x86"], {"avx2"})
    assert [a.toolchain for a in attempts] == [FOREIGN, SYSTEM, SYSTEM, SYSTEM]
    assert climb(attempts, [-signal.SIGSEGV, 0])[0] == attempts[1]
    assert attempts[0].rung == attempts[1].rung


def test_a_mismatch_is_not_a_crash() -> None:
    attempts = list_attempts([SYSTEM], LADDERS["x86"], {"avx2"})
    result = CheckResult(1, 'noise\n{"ok": false, "reason": "llama_batch has 48 bytes"}\n')
    sentence = refused(climb_down, attempts, lambda attempt: result, print)
    assert sentence == "the new libraries do not pass their check: llama_batch has 48 bytes."


def test_a_compiler_whose_libraries_no_process_can_use_is_dropped_at_once() -> None:
    blame = CheckResult(WRONG_COMPILER, '{"reason": "libx.so: linked statically."}')
    attempts = list_attempts([FOREIGN, SYSTEM], LADDERS["x86"], {"avx2"})
    results = iter([blame, CheckResult(0, "")])
    attempt, _, fallbacks = climb_down(attempts, lambda _: next(results), lambda text: None)
    assert attempt == attempts[1]
    assert fallbacks == [f"libx.so: linked statically, with {attempts[0]}"]
    tried: list[Any] = []

    def always(attempt: Any) -> CheckResult:
        tried.append(attempt)
        return blame

    sentence = refused(climb_down, attempts, always, lambda text: None)
    assert tried == attempts[:2], "no rung of the ladder would change that"
    assert "unset CC, CXX and CUDAHOSTCXX" in sentence


def test_the_bottom_of_the_ladder() -> None:
    attempts = list_attempts([SYSTEM], LADDERS["x86"], {"avx2"})
    result = CheckResult(-signal.SIGILL, "")
    assert "SIGILL" in refused(climb_down, attempts, lambda attempt: result, lambda text: None)


def test_the_next_build_starts_where_the_last_one_ended() -> None:
    attempts = list_attempts([SYSTEM], LADDERS["x86"], {"amx_tile", "avx2"})
    info = {"cpu": cpu_identity()[0], "rung": "no AMX", "fallbacks": ["SIGILL"],
            "compiler": {"version": SYSTEM.version}}  # fmt: skip
    assert skip_crashed(attempts, info) == tuple(attempts[1:])
    changes: tuple[dict[str, Any], ...] = (
        {"cpu": "another"}, {"fallbacks": []}, {"compiler": {"version": "13"}}
    )  # fmt: skip
    for changed in changes:
        assert skip_crashed(attempts, {**info, **changed}) == tuple(attempts)
    assert skip_crashed(attempts, {}) == tuple(attempts)
