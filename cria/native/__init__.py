"""The only package that touches ctypes: llama.cpp and Cria's own native library.

Three floors: `structs` and `signatures` describe the C side, `handles` and `library` load and own
it, `model`, `vocab`, `context`, `batch` and `sampler` are the nouns that the engine uses.
May import only the floor (`errors`, `config`, `sampling_params`); nothing loads at import.
"""
