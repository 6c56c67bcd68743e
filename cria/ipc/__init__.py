"""What crosses between the server processes and the engine process.

May import only `errors` and `sampling_params`; knows neither HTTP nor llama.cpp.
"""
