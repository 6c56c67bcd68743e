from __future__ import annotations

from cria.model_store.known import DEFAULT_MODEL, KNOWN_MODELS, KnownModel


def test_the_default_model_is_known() -> None:
    assert isinstance(KNOWN_MODELS[DEFAULT_MODEL], KnownModel)


def test_each_has_a_checksum_and_a_file_of_its_own() -> None:
    assert all(len(bytes.fromhex(model.sha256)) == 32 for model in KNOWN_MODELS.values())
    names = [model.file_name for model in KNOWN_MODELS.values()]
    assert len(set(names)) == len(names) and all(name.endswith(".gguf") for name in names)
