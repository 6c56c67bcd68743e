"""The official client: a conversation, once whole and once as it is made."""

import os

import openai

client = openai.OpenAI(
    base_url=os.environ.get("CRIA_URL", "http://127.0.0.1:3000") + "/v1",
    api_key=os.environ.get("CRIA_API_KEY", "none"),
)
messages = [{"role": "user", "content": "What is gravity? Answer in one sentence."}]

answer = client.chat.completions.create(model="smollm2", messages=messages, max_tokens=48)
print(answer.choices[0].message.content)
print(f"({answer.usage.prompt_tokens} + {answer.usage.completion_tokens} tokens)")

stream = client.chat.completions.create(
    model="smollm2", messages=messages, max_tokens=48, stream=True
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
