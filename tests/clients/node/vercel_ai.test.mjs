// Vercel's AI SDK with its provider for servers like OpenAI's.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";

import { baseURL, greeting, hi, maxTokens, patience } from "./greeting.mjs";

const provider = createOpenAICompatible({
  name: "cria",
  baseURL,
  apiKey: "none",
  includeUsage: true,
});
const question = {
  model: provider("smollm2"),
  messages: hi,
  maxOutputTokens: maxTokens,
  temperature: 0,
  maxRetries: 0,
};

test("a chat", patience, async () => {
  const answer = await generateText(question);
  assert.equal(answer.text, greeting.text);
  assert.equal(answer.finishReason, "length");
  assert.equal(answer.usage.inputTokens, greeting.prompt_tokens);
  assert.equal(answer.usage.outputTokens, greeting.completion_tokens);
  assert.deepEqual(answer.warnings, []);
});

test("a stream with usage", patience, async () => {
  const result = streamText({ ...question, onError: ({ error }) => assert.fail(error) });
  const deltas = [];
  for await (const delta of result.textStream) deltas.push(delta);
  assert.equal(deltas.join(""), greeting.text);
  assert.ok(deltas.length > 4);
  assert.equal(await result.finishReason, "length");
  assert.equal((await result.usage).outputTokens, greeting.completion_tokens);
});

test("a completion", patience, async () => {
  const answer = await generateText({
    model: provider.completionModel("smollm2"),
    prompt: "Once upon a time",
    maxOutputTokens: maxTokens,
    temperature: 0,
    maxRetries: 0,
  });
  assert.ok(answer.text.length > 0);
  assert.equal(answer.finishReason, "length");
});

test("an error's message and status", patience, async () => {
  await assert.rejects(generateText({ ...question, model: provider("nope") }), (error) => {
    assert.ok(APICallError.isInstance(error));
    assert.equal(error.statusCode, 404);
    assert.match(error.message, /The model `nope` does not exist/);
    assert.equal(error.isRetryable, false);
    return true;
  });
});
