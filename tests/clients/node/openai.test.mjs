// The official client for JavaScript.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { baseURL, greeting, hi, maxTokens, patience } from "./greeting.mjs";

const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const question = { model: "smollm2", messages: hi, max_tokens: maxTokens, temperature: 0 };

test("the list of models", patience, async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["smollm2", "org/name"]);
  assert.equal((await client.models.retrieve("org/name")).owned_by, "cria");
});

test("a chat", patience, async () => {
  const answer = await client.chat.completions.create(question);
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices[0].message.content, greeting.text);
  assert.equal(answer.choices[0].finish_reason, "length");
  assert.equal(answer.usage.prompt_tokens, greeting.prompt_tokens);
  assert.equal(answer.usage.completion_tokens, greeting.completion_tokens);
  assert.match(answer._request_id, /^req_/);
});

test("a stream with usage", patience, async () => {
  const stream = await client.chat.completions.create({
    ...question,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.completion_tokens, greeting.completion_tokens);
  assert.ok(chunks.every((chunk) => chunk.usage === null));
  assert.ok(chunks.length > 4);
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
  assert.equal(text, greeting.text);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
});

test("the helper that puts a stream together", patience, async () => {
  const runner = client.chat.completions.stream(question);
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.role, "assistant");
  assert.equal(final.choices[0].message.content, greeting.text);
});

test("the class and the code of errors", patience, async () => {
  await assert.rejects(client.chat.completions.create({ ...question, model: "nope" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.deepEqual([error.status, error.code, error.param], [404, "model_not_found", "model"]);
    assert.equal(error.type, "invalid_request_error");
    assert.match(error.requestID, /^req_/);
    return true;
  });
  await assert.rejects(client.chat.completions.create({ ...question, temperature: 3 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.code, error.param], ["decimal_above_max_value", "temperature"]);
    return true;
  });
});

test("a stream that is aborted frees its sequence", patience, async () => {
  const stream = await client.completions.create({
    model: "smollm2",
    prompt: "Once upon a time",
    max_tokens: 1000,
    stream: true,
    ignore_eos: true,
  });
  let chunks = 0;
  for await (const chunk of stream) {
    assert.equal(chunk.object, "text_completion");
    if (++chunks === 2) stream.controller.abort();
  }
  assert.ok(chunks < 100);
  const running = async () =>
    (await (await fetch(`${process.env.CRIA_URL}/health`)).json()).engine.running;
  while ((await running()) > 0);
});
