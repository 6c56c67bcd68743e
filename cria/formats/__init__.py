"""How one model writes what is no plain text: tool calls and thinking.

May import `errors`, `constraint.sources` and what is pure; the model's template is a function here.
"""
