from __future__ import annotations

import signal

import pytest

from cria.generation.death import Death, count_starved, diagnose, last_words
from cria.ipc.messages import OUT_OF_MEMORY_EXIT


@pytest.mark.parametrize(
    ("code", "starved", "silence", "how", "kind", "is_foreign"),
    [
        (-signal.SIGABRT, False, None, "was ended by SIGABRT", "engine_crashed", False),
        (-signal.SIGSEGV, True, None, "was ended by SIGSEGV", "engine_crashed", False),
        (-signal.SIGKILL, False, None, "was ended by SIGKILL", "engine_crashed", True),
        (-signal.SIGKILL, True, None, "ran out of memory", "out_of_memory", True),
        (OUT_OF_MEMORY_EXIT, False, None, "ran out of memory", "out_of_memory", True),
        (1, False, None, "ended with code 1", "engine_crashed", False),
        (-signal.SIGKILL, False, 31.0, "gave no sign of life for 31 s and was ended",
         "engine_crashed", False),
    ],
)  # fmt: skip
def test_what_an_end_means(
    code: int, starved: bool, silence: float | None, how: str, kind: str, is_foreign: bool
) -> None:
    death = diagnose(code, was_starved=starved, silence=silence, words="bye")
    assert death == Death(how, kind, is_foreign, "bye")


def test_a_file_that_was_cut_is_no_requests_fault() -> None:
    death = diagnose(-signal.SIGBUS, was_starved=False, silence=None, words="")
    assert death.is_foreign and "model file" in death.how


def test_counting_needs_no_particular_kernel() -> None:
    assert count_starved() >= 0


def test_the_line_that_says_most() -> None:
    lines = ["loading", "a.cpp:1: GGML_ASSERT(x > 0) failed\x1b[0m", "Fatal Python error: Aborted"]
    assert last_words(lines) == "a.cpp:1: GGML_ASSERT(x > 0) failed?[0m"
    assert last_words(["one", "an error", "two"]) == "an error"
    assert last_words(["one", "x" * 1000]) == "x" * 300
    assert last_words([]) == ""


def test_a_gpu_without_memory_ends_the_process_by_itself() -> None:
    words = "CUDA error: out of memory"
    death = diagnose(-signal.SIGABRT, was_starved=False, silence=None, words=words)
    assert death.code == "out_of_memory" and death.last_words == words
