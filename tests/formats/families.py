"""What the templates of llama.cpp's source are known to write: begin of a call, by template."""

from __future__ import annotations

from cria.constraint import sources
from cria.formats.call_grammar import CallableTool
from cria.formats.tool_format import WrittenCall

JSON_TEMPLATES = {
    "Apertus-8B-Instruct": '<|tools_prefix|>[{"',
    "Apriel-1.6-15b-Thinker-fixed": '<tool_calls>[{"name": "',
    "Bielik-11B-v3.0-Instruct": '<tool_call>\n{"name": "',
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "<|START_ACTION|>[\n",
    "CohereForAI-c4ai-command-r-plus-tool_use": "Action:\n```json\n[\n",
    "GigaChat3.1-10B-A1.8B": '<|function_call|>{"name": "',
    "Kimi-K2-Instruct": "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
    "MiniMax-M1": '<tool_calls>\n{"name": "',
    "Mistral-Small-3.2-24B-Instruct-2506": "[TOOL_CALLS]",
    "NVIDIA-Nemotron-Nano-v2": '<TOOLCALL>[{"name": "',
    "Qwen-Qwen2.5-7B-Instruct": '<tool_call>\n{"name": "',
    "Qwen-Qwen3-0.6B": '<tool_call>\n{"name": "',
    "deepseek-ai-DeepSeek-V3.1": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>",
    "llama-cpp-deepseek-r1": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    "fireworks-ai-llama-3-firefunction-v2": 'functools[{"name": "',
    "ibm-granite-granite-4.0": '<tool_call>\n{"name": "',
    "meetkai-functionary-medium-v3.1": "<function=",
    "mistralai-Ministral-3-14B-Reasoning-2512": "[TOOL_CALLS]",
    "mistralai-Mistral-Nemo-Instruct-2407": '[TOOL_CALLS][{"name": "',
    "upstage-Solar-Open-100B": "<|tool_calls|><|tool_call:begin|>",
}
TAGGED_TEMPLATES = {
    "ByteDance-Seed-OSS": "<seed:tool_call>\n<function=",
    "GLM-4.6": "<tool_call>",
    "GLM-4.7-Flash": "<tool_call>",
    "MiniMax-M2": '<minimax:tool_call>\n<invoke name="',
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": "<tool_call>\n<function=",
    "Qwen3-Coder": "<tool_call>\n<function=",
    "Spark2.5": "<tool_call>",
    "StepFun3.5-Flash": "<tool_call>\n<function=",
    "deepseek-ai-DeepSeek-V3.2": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="',
    "deepseek-ai-DeepSeek-V4": '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="',
    "inclusionai-ling-3.0-flash": "<tool_call>",
    "openbmb-MiniCPM5-1B": '<function name="',
    "poolside-Laguna-XS.2": "<tool_call>",
    "tencent-Hy3": "<tool_calls:opensource>\n<tool_call:opensource>",
}
NO_CALLS = (
    "HuggingFaceTB-SmolLM3-3B",
    "google-gemma-2-2b-it",
    "microsoft-Phi-3.5-mini-instruct",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-rwkv-world",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "MiniMax-M3",  # its arguments are tags of their own names
)

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
UNIT = {
    "type": "object",
    "properties": {"unit": {"enum": ["c", "f"]}, "on": {"type": "boolean"}},
    "required": ["unit", "on"],
    "additionalProperties": False,
}
TOOLS = [
    CallableTool(name, schema, sources.from_json_schema(schema))
    for name, schema in (("weather", WEATHER), ("set_unit", UNIT))
]
CALL = WrittenCall("weather", {"city": "Oslo", "days": 3}, "abcdefgh1", 0)
OTHER_CALL = WrittenCall("set_unit", {"unit": "c", "on": True}, "abcdefgh2", 1)
"""Calls of `TOOLS`."""
