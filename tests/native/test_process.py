from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, pathlib
from cria.native.process import become_expendable
become_expendable()
score = pathlib.Path("/proc/self/oom_score_adj").read_text()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], score)
"""


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="not Linux")
def test_no_core_files_and_first_to_go() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    limit, score = map(int, done.stdout.split())
    assert limit == 0 and score >= 500, done.stderr


HEAPS = """
import ctypes, sys, threading
from cria.native.process import share_one_heap
if sys.argv[1] == "one":
    share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(4)
def take():
    together.wait(10)
    libc.malloc(ctypes.c_size_t(5000))
    together.wait(10)
threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
out = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fflush(ctypes.c_void_p(out))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="has one heap, or another kind")
def test_threads_share_a_heap() -> None:
    heaps = {}
    for wish in ("one", "many"):
        command = [sys.executable, "-c", HEAPS, wish]
        done = subprocess.run(command, capture_output=True, text=True)
        heaps[wish] = done.stdout.count("<heap nr=")
    assert heaps["one"] == 1 < heaps["many"]
