"""What one run of `cria bench` is asked to do."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """The same for every server and every round; lengths of prompts are in words."""

    prompt_words: int = 100
    shared_words: int = 0
    max_tokens: int = 128
    requests: int | None = None
    """Of one run; None: one for each client, or `OPEN_REQUESTS` if they arrive by a rate."""
    rounds: int = 3
    repeat: bool = False
    long_prompt: int = 0
    temperature: float = 0.8
    ignore_eos: bool = True
    warm_up: bool = True
    processes: int | None = None
    timeout: float = 600.0
    """Seconds after which a request counts as failed."""
    seed: int = 0


OPEN_REQUESTS = 64


class Load(msgspec.Struct, frozen=True):
    """One point of the measurement: so many clients, or requests that arrive by themselves."""

    clients: int = 0
    """Each sends its next request when the last one is answered."""
    rate: float | None = None
    """Requests per second on average, at exponentially distributed intervals (Poisson)."""

    @property
    def title(self) -> str:
        if self.rate is not None:
            return f"{self.rate:g} requests per second"
        return "1 client" if self.clients == 1 else f"{self.clients} clients"

    def num_requests(self, wanted: int | None) -> int:
        """A client without a request would be no client."""
        if self.rate is not None:
            return wanted or OPEN_REQUESTS
        return max(wanted or 0, self.clients)
