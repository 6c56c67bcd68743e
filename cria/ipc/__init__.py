"""What crosses between the server process and the engine process.

May import only `errors` and `sampling_params`; knows neither HTTP nor llama.cpp.
"""
