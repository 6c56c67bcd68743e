"""`Outbox`: what there is to tell the front processes of the steps since they were told last."""

from __future__ import annotations

from cria.engine.scheduled import NO_LOGPROBS, StepLogprobs
from cria.engine.sequence import Sequence
from cria.ipc.messages import (
    EngineStats,
    FinishReason,
    SequenceOutput,
    SequenceTimings,
    StepOutput,
)


class Outbox:
    """Most sequences just got one more token: these go in two flat lists, the rest one by one."""

    def __init__(self) -> None:
        self._outputs: list[SequenceOutput] = []
        self._going: tuple[list[int], list[int]] = ([], [])
        self._admitted: list[int] = []
        self.logprobs: StepLogprobs = NO_LOGPROBS
        """Of the step that is being recorded."""

    @property
    def has_output(self) -> bool:
        """Something has happened since the last `take`."""
        return bool(self._outputs or self._going[0] or self._admitted)

    @property
    def has_single_output(self) -> bool:
        """Something beside running sequences' next tokens."""
        return bool(self._outputs)

    def take(self, stats: EngineStats) -> StepOutput:
        """All that has happened since the last call."""
        output = StepOutput(self._outputs, stats, *self._going, self._admitted)
        self._outputs, self._going, self._admitted = [], ([], []), []
        return output

    def admitted(self, sequence: Sequence) -> None:
        """It is computed from now on; whoever waits for it wants to know if that ends badly."""
        self._admitted.append(sequence.request_id)

    def went_on(self, request_ids: list[int], token_ids: list[int]) -> None:
        """These sequences got a token each; those with log probabilities are told apart."""
        chosen = self.logprobs.chosen
        if not chosen:
            self._going = (request_ids, token_ids)
            return
        pairs = list(zip(request_ids, token_ids, strict=True))
        plain = [pair for pair in pairs if pair[0] not in chosen]
        self._going = ([pair[0] for pair in plain], [pair[1] for pair in plain])
        self._outputs += [
            SequenceOutput(request_id, (token,), logprobs=chosen[request_id])
            for request_id, token in pairs
            if request_id in chosen
        ]

    def scored(self, sequence: Sequence) -> None:
        """A part of the prompt is computed: the log probabilities of its tokens, if wanted."""
        if scores := self.logprobs.prompt.get(sequence.request_id):
            self._outputs.append(SequenceOutput(sequence.request_id, (), prompt_logprobs=scores))

    def began(self, sequence: Sequence, token: int) -> None:
        """The first token after the prompt, or after it was computed again."""
        self._outputs.append(
            SequenceOutput(
                sequence.request_id,
                (token,),
                num_cached_tokens=_cached_tokens_to_tell(sequence),
                logprobs=self.logprobs.chosen.get(sequence.request_id),
                num_shifts=sequence.num_shifts,
            )
        )

    def ended(
        self,
        sequence: Sequence,
        reason: FinishReason,
        tokens: tuple[int, ...] = (),
        error: str | None = None,
        *,
        timings: SequenceTimings | None = None,
    ) -> None:
        """The sequence has had its last output."""
        self._outputs.append(
            SequenceOutput(
                sequence.request_id,
                tokens,
                reason,
                sequence.num_generated_tokens,
                error,
                _cached_tokens_to_tell(sequence),
                self.logprobs.chosen.get(sequence.request_id) if tokens else None,
                timings=timings,
            )
        )

    def refused(
        self, sequence: Sequence, error: str, reason: FinishReason = FinishReason.ERROR
    ) -> None:
        """It was never queued."""
        self._outputs.append(SequenceOutput(sequence.request_id, (), reason, 0, error))


def _cached_tokens_to_tell(sequence: Sequence) -> int:
    """Once, with the first token."""
    if sequence.num_generated_tokens > 1:
        return 0
    told, sequence.num_cached_tokens = sequence.num_cached_tokens, 0
    return told
