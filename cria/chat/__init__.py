"""A conversation in a terminal: what is typed, what is kept, what is shown."""
