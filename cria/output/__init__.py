"""Token ids to text, in stages with `feed` and `flush`.

May import only `errors`: no I/O, no threads, no clock. A stage's joined output does not depend on
how its input was cut into pieces.
"""
