"""`AnswerStore`: answers that are kept in one SQLite file, which several server processes share.

It knows ids, owners, states and bytes; what an answer looks like is `cria.api.responses`' matter.
"""
