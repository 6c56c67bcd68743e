"""The ladders of CPU features, and the way down them until a build survives its check.

A crash is an answer about this CPU and leads one rung down, libraries that no process can use lead
to the next compiler; any other refusal is final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cria_build.check import CheckResult
from cria_build.cpu import cpu_identity
from cria_build.errors import BuildError
from cria_build.toolchain import X86_SWITCHES, Toolchain


@dataclass(frozen=True)
class Rung:
    """A choice of CPU features; `feature`: pointless unless the CPU advertises one so named."""

    name: str
    feature: str = ""
    cpu_flags: tuple[str, ...] = ()
    defines: tuple[tuple[str, str], ...] = ()
    dropped_variants: tuple[str, ...] = ()


# fmt: off
NO_AMX = ("-mno-amx-tile", "-mno-amx-int8", "-mno-amx-bf16")
NO_AVX512 = (*NO_AMX, "-mno-avx512f", "-mno-avx512bf16", "-mno-avx512fp16", "-mno-avxvnni")
AVX2 = (("GGML_NATIVE", "OFF"), *((name, "ON") for name in X86_SWITCHES))
PLAIN = (("GGML_NATIVE", "OFF"), *((name, "OFF") for name in X86_SWITCHES))
AMX_VARIANTS = ("sapphirerapids",)
AVX512_VARIANTS = (*AMX_VARIANTS, "skylakex", "cannonlake", "cascadelake", "icelake", "cooperlake",
                   "zen4")

# A hypervisor may advertise CPU features and kill the process that uses them. Each ladder is
# climbed down from its top until a build survives its check.
LADDERS = {
    "x86": (
        Rung("no CPU feature excluded"),
        Rung("no AMX", "amx", NO_AMX),
        Rung("no AMX, no AVX-512", "avx512", NO_AVX512),
        Rung("AVX2 baseline", "avx2", NO_AVX512, AVX2),
        Rung("plain x86-64", "", NO_AVX512, PLAIN),
    ),
    "other": (
        Rung("no CPU feature excluded"),
        Rung("the architecture's baseline", "", (), (("GGML_NATIVE", "OFF"),)),
    ),
    "portable": (
        Rung("every CPU variant"),
        Rung("no AMX variant", "amx", dropped_variants=AMX_VARIANTS),
        Rung("no AMX, no AVX-512 variant", "avx512", dropped_variants=AVX512_VARIANTS),
    ),
}
# fmt: on


@dataclass(frozen=True)
class Attempt:
    toolchain: Toolchain
    rung: Rung

    def __str__(self) -> str:
        return f"{self.rung.name}, {self.toolchain.cxx}"


def list_attempts(
    toolchains: Sequence[Toolchain], ladder: Sequence[Rung], features: Iterable[str]
) -> list[Attempt]:
    """The user's compiler has one try with everything; then the system's goes down the ladder."""
    known = tuple(features)
    rungs = [
        rung for rung in ladder
        if not known or any(feature.startswith(rung.feature) for feature in known)
    ]  # fmt: skip
    first = [Attempt(toolchains[0], rungs[0])] if len(toolchains) > 1 else []
    return first + [Attempt(toolchains[-1], rung) for rung in rungs]


def skip_crashed(attempts: Sequence[Attempt], info: Mapping[str, Any]) -> tuple[Attempt, ...]:
    """What crashed on this CPU last time need not be compiled and crash again."""
    if info.get("fallbacks") and info.get("cpu") == cpu_identity()[0]:
        for index, attempt in enumerate(attempts):
            done = (info.get("rung"), info.get("compiler", {}).get("version"))
            if done == (attempt.rung.name, attempt.toolchain.version):
                return tuple(attempts[index:])
    return tuple(attempts)


def climb_down(
    attempts: Sequence[Attempt],
    build_and_check: Callable[[Attempt], CheckResult],
    say: Callable[[str], None],
) -> tuple[Attempt, CheckResult, list[str]]:
    """Try the attempts in order while the check crashes, or another compiler is left to try."""
    fallbacks: list[str] = []
    unusable: list[Toolchain] = []
    for attempt in attempts:
        if attempt.toolchain in unusable:
            continue
        if fallbacks:
            say(f"      {fallbacks[-1]}; building again: {attempt}")
        result = build_and_check(attempt)
        if result.returncode == 0:
            return attempt, result, fallbacks
        if result.blames_compiler:
            unusable.append(attempt.toolchain)
        fallbacks.append(explain(result, attempt))
    if unusable:
        raise BuildError(
            f"no compiler makes usable libraries ({'; '.join(fallbacks)}): unset CC, CXX and "
            "CUDAHOSTCXX, or name another compiler with them."
        )
    raise BuildError(
        f"the libraries crash on this machine however they are built ({'; '.join(fallbacks)}): "
        "please report this, with the log."
    )


def explain(result: CheckResult, attempt: Attempt) -> str:
    """Why another attempt is needed; BuildError if none would help."""
    if result.crash:
        return f"the check died of {result.crash} with {attempt}"
    why = result.reason.rstrip(".")
    if not result.blames_compiler:
        raise BuildError(f"the new libraries do not pass their check: {why}.")
    return f"{why}, with {attempt}"
