"""The official client: the model calls a function, and reads what it returned."""

import json
import os

import openai

client = openai.OpenAI(
    base_url=os.environ.get("CRIA_URL", "http://127.0.0.1:3000") + "/v1",
    api_key=os.environ.get("CRIA_API_KEY", "none"),
)


def temperature(city: str) -> str:
    return json.dumps({"city": city, "celsius": 21})


TOOL = {
    "type": "function",
    "function": {
        "name": "temperature",
        "description": "How warm it is in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 30}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
messages = [{"role": "user", "content": "How warm is it in Paris?"}]

# A model that was trained for tools decides by itself, and stops by itself: leave `tool_choice` and
# `parallel_tool_calls` out.
asked = client.chat.completions.create(
    model="smollm2",
    messages=messages,
    tools=[TOOL],
    tool_choice="required",
    parallel_tool_calls=False,
    max_tokens=200,
).choices[0]
messages.append(asked.message.model_dump(exclude_none=True))
for call in asked.message.tool_calls:
    result = temperature(**json.loads(call.function.arguments))
    print(f"{call.function.name}({call.function.arguments}) = {result}")
    messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

answer = client.chat.completions.create(
    model="smollm2", messages=messages, tools=[TOOL], tool_choice="none", max_tokens=60
)
print(answer.choices[0].message.content)
