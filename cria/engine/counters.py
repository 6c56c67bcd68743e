"""`Counters`: what the engine has done since it started, and how long the streams had to wait."""

from __future__ import annotations

from bisect import bisect_left

from cria.ipc.messages import STALL_BOUNDS_MS, EngineStats


class Counters:
    """Totals that only grow; in tokens, steps and sequences."""

    def __init__(self) -> None:
        self.steps = self.prefill_tokens = self.decode_tokens = self.decode_steps = 0
        self.cached_tokens = self.preemptions = 0
        self.embedded_inputs = self.embedded_tokens = 0
        self.seconds = 0.0
        """Of all steps together; while there is work, they follow each other without a gap."""
        self._stalls = [0] * (len(STALL_BOUNDS_MS) + 1)

    def count_step(self, num_decodes: int, num_prompt_tokens: int, seconds: float) -> None:
        """A step, and for each decoding sequence the pause since its last token."""
        self.steps += 1
        self.prefill_tokens += num_prompt_tokens
        self.decode_tokens += num_decodes
        self.decode_steps += num_decodes > 0
        self.seconds += seconds
        self.count_pause(seconds, num_decodes)

    def count_pause(self, seconds: float, num_sequences: int = 1) -> None:
        """Between two tokens of so many sequences."""
        self._stalls[bisect_left(STALL_BOUNDS_MS, seconds * 1000)] += num_sequences

    def count_embedded(self, num_inputs: int, num_tokens: int) -> None:
        """A batch of tokens, with which so many inputs are complete."""
        self.embedded_inputs += num_inputs
        self.embedded_tokens += num_tokens

    def stats(
        self, *, num_running: int, num_waiting: int, num_used_cells: int, num_cached_cells: int
    ) -> EngineStats:
        """The totals beside what is the case now."""
        return EngineStats(
            num_running=num_running,
            num_waiting=num_waiting,
            num_used_cells=num_used_cells,
            num_cached_cells=num_cached_cells,
            steps_total=self.steps,
            prefill_tokens_total=self.prefill_tokens,
            decode_tokens_total=self.decode_tokens,
            decode_steps_total=self.decode_steps,
            cached_tokens_total=self.cached_tokens,
            preemptions_total=self.preemptions,
            stalls=tuple(self._stalls),
            embedded_inputs_total=self.embedded_inputs,
            embedded_tokens_total=self.embedded_tokens,
        )
