"""OpenAI's agents, over chats and `/v1/responses`: a tool is called, its result answered."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)

from tests.clients.marks import CLIENT

pytestmark = CLIENT

set_tracing_disabled(True)  # traces go over the network


MODELS: list[Any] = [OpenAIChatCompletionsModel, OpenAIResponsesModel]


class City(str, Enum):
    PARIS = "Paris"
    ROME = "Rome"


async def loop(base_url: str, model: Any, stream: bool) -> tuple[list[City], Any]:
    """The cities that the tool was called with, and the result."""
    asked: list[City] = []

    # A model this small would call it for ever: it is there once.
    @function_tool(is_enabled=lambda _context, _agent: not asked)
    def get_weather(city: City) -> str:
        """The weather of a city."""
        asked.append(city)
        return "grey"

    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        agent = Agent(
            name="weather",
            model=model("smollm2", client),
            model_settings=ModelSettings(
                tool_choice="required",
                parallel_tool_calls=False,
                temperature=0,
                max_tokens=64,
                include_usage=True,
            ),
            tools=[get_weather],
        )
        if stream:
            result: Any = Runner.run_streamed(agent, "Weather in Paris?")
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(agent, "Weather in Paris?")
    return asked, result


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_answered(base_url: str, model: Any, stream: bool) -> None:
    asked, result = asyncio.run(loop(base_url, model, stream))
    assert len(asked) == 1 and asked[0] in City
    kinds = [item.type for item in result.new_items]
    assert kinds == ["tool_call_item", "tool_call_output_item", "message_output_item"]
    assert result.final_output
    assert result.context_wrapper.usage.requests == 2
    assert result.context_wrapper.usage.output_tokens > 0
