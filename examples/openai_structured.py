"""The official client: an answer that is an object of a Pydantic model."""

import os
from typing import Literal

import openai
import pydantic


class Weather(pydantic.BaseModel):
    """What the answer has to be."""

    sky: Literal["clear", "cloudy", "rain"]
    wind: int = pydantic.Field(ge=0, le=99)


client = openai.OpenAI(
    base_url=os.environ.get("CRIA_URL", "http://127.0.0.1:3000") + "/v1",
    api_key=os.environ.get("CRIA_API_KEY", "none"),
)
answer = client.chat.completions.parse(
    model="smollm2",
    messages=[{"role": "user", "content": "Invent some weather, as JSON."}],
    response_format=Weather,
    max_tokens=64,
)
print(answer.choices[0].message.parsed)
