from __future__ import annotations

from cria.access_key import AccessKey, digest_of, hashed


def test_a_key_is_kept_as_its_hash() -> None:
    key = hashed("secret", name="alice")
    assert key.sha256 == digest_of("secret") and len(key.sha256) == 64 and key.name == "alice"
    assert "secret" not in repr(key)
    assert digest_of("\udcff") != digest_of("\udcfe")


def test_models() -> None:
    limited = AccessKey("", models=("a",))
    assert AccessKey("").may_use("any")
    assert limited.may_use("a") and not limited.may_use("b")
