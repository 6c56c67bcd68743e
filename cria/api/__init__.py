"""OpenAI's wire format as msgspec Structs: the types are the validation.

May import `errors`, `sampling_params` and msgspec. Does no I/O, knows no model, no text processing.
"""
