"""`PromptEcho`: a prompt in front of the answers to it, scored once for all of them."""

from __future__ import annotations

from cria.api.logprobs import ScoredToken
from cria.generation.answer_tokens import Display, prompt_tokens
from cria.logprobs import TokenLogprobs


class PromptEcho:
    """Shared by all choices of one prompt."""

    def __init__(self, token_ids: list[int], display: Display, *, is_scored: bool) -> None:
        """If it `is_scored`, the sequence of the first choice brings the log probabilities."""
        self._token_ids = token_ids
        self._display = display
        self._logprobs: list[TokenLogprobs] = []
        self.is_known = not is_scored
        """Other choices need not wait any more for what the first one brings."""
        self._tokens: tuple[ScoredToken, ...] | None = None

    @property
    def text(self) -> str:
        return self._display.prompt_text

    @property
    def num_tokens(self) -> int:
        """That are shown, if tokens are."""
        return len(self._token_ids) - self._display.first_token

    def add(self, logprobs: list[TokenLogprobs]) -> None:
        """Those of further tokens, in order."""
        self._logprobs += logprobs

    def tokens(self) -> tuple[ScoredToken, ...]:
        """Those of the prompt; none if the answer shows no tokens. Long prompts take a while."""
        if self._tokens is None:
            self._tokens = prompt_tokens(self._display, self._token_ids, self._logprobs)
            self._logprobs = []
        return self._tokens
