#!/bin/sh
# An answer that the server keeps, and one that goes on from it.
url="${CRIA_URL:-http://127.0.0.1:3000}/v1/responses"
key="Authorization: Bearer ${CRIA_API_KEY:-none}"

first=$(curl --fail --silent --show-error "$url" -H "$key" -d '{
  "model": "smollm2",
  "input": "My name is Ada. Say hello.",
  "max_output_tokens": 32
}') || exit 1
printf '%s\n' "$first"
id=$(printf '%s' "$first" | sed -n 's/.*"id":"\(resp_[^"]*\)".*/\1/p')

curl --fail --silent --show-error "$url" -H "$key" -d '{
  "model": "smollm2",
  "previous_response_id": "'"$id"'",
  "input": "What is my name?",
  "max_output_tokens": 32
}'
