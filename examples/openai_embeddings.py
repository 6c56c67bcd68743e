"""The official client: how near two texts are to a third one."""

import os

import openai

client = openai.OpenAI(
    base_url=os.environ.get("CRIA_URL", "http://127.0.0.1:3000") + "/v1",
    api_key=os.environ.get("CRIA_API_KEY", "none"),
)
texts = ["A man is eating food.", "A man is eating a piece of bread.", "The girl carries a baby."]

answer = client.embeddings.create(model="smollm2", input=texts)
first, *others = (each.embedding for each in answer.data)
for text, other in zip(texts[1:], others, strict=True):
    # All vectors have the length 1: the sum of the products is the cosine.
    print(f"{sum(a * b for a, b in zip(first, other, strict=True)):.3f}  {text}")
