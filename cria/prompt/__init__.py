"""Messages to text to token ids.

May import `native.vocab` (as a type), `errors` and jinja2. A conversation becomes segments of text;
within each, control tokens are the template's, never a user's.
"""
