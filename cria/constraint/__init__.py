"""Answers of a given shape: schemas, grammars and regular expressions, by llguidance.

May import `errors` and llguidance. Used by both processes: the server compiles what a request asks
for, to refuse it early; the engine compiles it again and asks it about every token.
"""
