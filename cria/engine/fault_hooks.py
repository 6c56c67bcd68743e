"""Faults on order, for tests of what happens after them.

`CRIA_TEST_FAULT` holds what shall go wrong and where, several with commas between them:

    abort@token:5        SIGABRT in the fifth step that computes a further token of a sequence
    hang@prefill         for ever, in the first step that computes a prompt
    segv@load, exit@sample, oom@decode, kill@decode, stop@decode, flood@load, raise@logprobs
    decode_rc=1@decode:2 `llama_decode` returns 1 in the second step
    abort@prompt:7       in a step with a prompt that has the token 7

The points are `load`, `decode` (a step), `prefill` and `token` (steps of these kinds), `sample`
(after a step was computed), `logprobs` and `prompt`. With `CRIA_TEST_FAULT_FILE` naming a file, a
fault happens once for all engines of a server together, and as often as `CRIA_TEST_FAULT_TIMES`
says. Nothing of this is looked at unless `CRIA_TEST_FAULTS_ALLOWED` is 1.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol

from cria.errors import SetupError
from cria.native.context import decode_error

if TYPE_CHECKING:
    from cria.engine.scheduled import ScheduledBatch, StepLogprobs
    from cria.engine.slots import Tokens

POINTS = ("load", "decode", "prefill", "token", "sample", "logprobs", "prompt")
SIGNALS = {
    "abort": signal.SIGABRT,
    "segv": signal.SIGSEGV,
    "kill": signal.SIGKILL,
    "stop": signal.SIGSTOP,
}
ACTIONS = (*SIGNALS, "exit", "hang", "oom", "flood", "raise", "decode_rc")
EXIT_CODE = 9
FLOOD_BYTES = 1 << 30
_SPEC = re.compile(r"([a-z_]+)(?:=(-?\d+))?(?:@([a-z]+)(?::(\d+))?)?")


class Fault(NamedTuple):
    """One entry of the variable."""

    action: str
    value: int
    """Of `decode_rc`."""
    point: str
    number: int
    """The how manieth time at this point, from 1 on; the token, for `prompt`."""


class FaultHooks:
    """What shall go wrong in this process."""

    def __init__(self, faults: list[Fault], file: str = "", times: int = 1) -> None:
        """`file` counts how often a fault has happened in all processes; at most `times`."""
        self._faults = faults
        self._file = file
        self._times = times
        self._counts = dict.fromkeys(POINTS, 0)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> FaultHooks | None:
        """None if there is nothing to do; SetupError for what cannot be understood."""
        spec = environment.get("CRIA_TEST_FAULT")
        if not spec or environment.get("CRIA_TEST_FAULTS_ALLOWED") != "1":
            return None
        times = int(environment.get("CRIA_TEST_FAULT_TIMES", "1"))
        file = environment.get("CRIA_TEST_FAULT_FILE", "")
        return cls([parse_fault(part) for part in spec.split(",")], file, times)

    def reach(self, point: str) -> None:
        """The process is at this point once more."""
        self._counts[point] += 1
        for fault in self._faults:
            if (fault.point, fault.number) == (point, self._counts[point]):
                self._let_happen(fault)

    def see_prompt(self, tokens: Tokens) -> None:
        """A sequence with this prompt is in the step."""
        for fault in self._faults:
            if fault.point == "prompt" and fault.number in tokens:
                self._let_happen(fault)

    def _let_happen(self, fault: Fault) -> None:
        if not self._file or _count_once(self._file, self._times):
            act(fault)


class FaultyRunner:
    """A runner that fails on order; else it does what the wrapped one does."""

    def __init__(self, runner: _Runner, hooks: FaultHooks) -> None:
        self._runner = runner
        self._hooks = hooks

    def start(self, batch: ScheduledBatch) -> None:
        """The batch may have taken cells already when `finish` fails."""
        self._runner.start(batch)

    def finish(self, batch: ScheduledBatch) -> Tokens:
        """Where a CPU computes."""
        hooks = self._hooks
        hooks.reach("decode")
        if batch.prefills:
            hooks.reach("prefill")
        if len(batch.decodes):
            hooks.reach("token")
        for work in batch.prefills:
            hooks.see_prompt(work.sequence.prompt)
        tokens = self._runner.finish(batch)
        hooks.reach("sample")
        return tokens

    def logprobs(self, batch: ScheduledBatch) -> StepLogprobs:
        """After `finish`."""
        self._hooks.reach("logprobs")
        return self._runner.logprobs(batch)

    def lose(self, batch: ScheduledBatch) -> None:
        """Free the cells of all sequences of a batch that failed."""
        self._runner.lose(batch)

    def take_failures(self) -> dict[int, str]:
        """Of the wrapped one."""
        return self._runner.take_failures()


def parse_fault(text: str) -> Fault:
    """One entry; SetupError if it is none."""
    found = _SPEC.fullmatch(text.strip())
    action, value, point, number = found.groups() if found else ("", None, None, None)
    point = point or "decode"
    if action not in ACTIONS or point not in POINTS or (action == "decode_rc") != bool(value):
        raise SetupError(f"CRIA_TEST_FAULT: {text!r} is no fault.")
    return Fault(action, int(value or 0), point, int(number or 1))


def act(fault: Fault) -> None:
    """Do it; whether it returns depends on what it is."""
    if fault.action in SIGNALS:
        os.kill(os.getpid(), SIGNALS[fault.action])
    elif fault.action == "exit":
        os._exit(EXIT_CODE)
    elif fault.action == "hang":
        _hang()
    elif fault.action == "flood":
        _flood()
    elif fault.action == "oom":
        raise MemoryError("ordered by a test")
    elif fault.action == "raise":
        raise RuntimeError("ordered by a test")
    else:
        raise decode_error(fault.value)


def _hang() -> NoReturn:
    while True:
        time.sleep(3600)


def _flood() -> None:
    """As native code writes: straight to the descriptor, and without a look at the result."""
    line = b"x" * 4095 + b"\n"
    for _ in range(FLOOD_BYTES // len(line)):
        try:
            os.write(2, line)
        except BlockingIOError:
            pass


def _count_once(file: str, times: int) -> bool:
    """Whether it may happen once more; a byte in the file stands for each time."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.fstat(descriptor).st_size >= times:
            return False
        os.write(descriptor, b"x")
        return True
    finally:
        os.close(descriptor)


class _Runner(Protocol):
    """As `core.Runner`, which imports nothing of tests."""

    def start(self, batch: ScheduledBatch) -> None: ...
    def finish(self, batch: ScheduledBatch) -> Tokens: ...
    def logprobs(self, batch: ScheduledBatch) -> StepLogprobs: ...
    def lose(self, batch: ScheduledBatch) -> None: ...
    def take_failures(self) -> dict[int, str]: ...
