// Embeddings by both clients: one asks for base64, the other for numbers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, embedMany } from "ai";
import OpenAI from "openai";

import { baseURL, patience } from "./greeting.mjs";

const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const texts = ["a cat", "a dog"];

function assertClose(found, wanted) {
  assert.equal(found.length, wanted.length);
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-6, `at ${i}`));
}

const plain = async (input) => {
  const answer = await client.embeddings.create({
    model: "smollm2",
    input,
    encoding_format: "float",
  });
  return answer.data.map((item) => item.embedding);
};

test("openai", patience, async () => {
  const answer = await client.embeddings.create({ model: "smollm2", input: texts });
  assert.deepEqual(
    answer.data.map((item) => item.index),
    [0, 1],
  );
  const wanted = await plain(texts);
  answer.data.forEach((item, i) => assertClose(item.embedding, wanted[i]));
  const norm = Math.hypot(...answer.data[0].embedding);
  assert.ok(Math.abs(norm - 1) < 1e-3, `length ${norm}`);
});

test("the AI SDK", patience, async () => {
  const provider = createOpenAICompatible({ name: "cria", baseURL, apiKey: "none" });
  const model = provider.textEmbeddingModel("smollm2");
  const many = await embedMany({ model, values: texts, maxRetries: 0 });
  const wanted = await plain(texts);
  many.embeddings.forEach((vector, i) => assertClose(vector, wanted[i]));
  assert.ok(many.usage.tokens > 0);
  const one = await embed({ model, value: texts[0], maxRetries: 0 });
  assertClose(one.embedding, wanted[0]);
});
