"""`EmbeddingOnly`: stands where a `ModelRunner` would, for models that cannot generate text.

Its scheduler has no room for a single token, and therefore refuses every sequence by itself.
"""

from __future__ import annotations

from typing import NoReturn

from cria.engine.limits import Limits
from cria.engine.loaded_model import LoadedModel
from cria.engine.pacing import PrefillPacer
from cria.engine.scheduled import NO_LOGPROBS, ScheduledBatch, StepLogprobs
from cria.engine.slots import Capacity, SlotPool
from cria.errors import NativeError
from cria.ipc.messages import Ready


class EmbeddingOnly:
    """A runner with nothing to run."""

    end_of_generation: tuple[int, ...] = ()

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self.limits = Limits(0, 0, loaded.model.vocab.num_tokens)

    @property
    def info(self) -> Ready:
        """What was loaded."""
        return self._loaded.ready(
            num_slots=0,
            context_size=0,
            num_cells=0,
            warnings=self._loaded.warnings,
            kv_layout="none",
        )

    def make_pool(self) -> SlotPool:
        """The smallest there is."""
        return SlotPool(Capacity(1, 1, 1))

    def make_pacer(self) -> PrefillPacer:
        return self._loaded.make_pacer()

    def start(self, batch: ScheduledBatch) -> NoReturn:
        """Of a batch that no scheduler makes."""
        raise NativeError("this model cannot generate text")

    def finish(self, batch: ScheduledBatch) -> NoReturn:
        raise NativeError("this model cannot generate text")

    def logprobs(self, batch: ScheduledBatch) -> StepLogprobs:
        """There are no tokens."""
        return NO_LOGPROBS

    def lose(self, batch: ScheduledBatch) -> None:
        """There are no cells."""

    def take_failures(self) -> dict[int, str]:
        """There are no sequences."""
        return {}
