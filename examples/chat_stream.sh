#!/bin/sh
# The same as it is made, with the number of tokens at the end.
curl -sSN --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/chat/completions" \
  -H "Authorization: Bearer ${CRIA_API_KEY:-none}" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "smollm2",
    "messages": [{"role": "user", "content": "What is gravity?"}],
    "max_tokens": 48,
    "stream": true,
    "stream_options": {"include_usage": true}
  }'
