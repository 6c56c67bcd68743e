"""The official client: a plain completion, once whole and once as it is made."""

import os

import openai

client = openai.OpenAI(
    base_url=os.environ.get("CRIA_URL", "http://127.0.0.1:3000") + "/v1",
    api_key=os.environ.get("CRIA_API_KEY", "none"),
)
prompt = "Once upon a time"

answer = client.completions.create(model="smollm2", prompt=prompt, max_tokens=32)
print(prompt + answer.choices[0].text)

print(prompt, end="")
for chunk in client.completions.create(model="smollm2", prompt=prompt, max_tokens=32, stream=True):
    print(chunk.choices[0].text, end="", flush=True)
print()
