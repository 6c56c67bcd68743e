"""Models by their names."""

from __future__ import annotations

import pytest

from cria.errors import ModelNotFound
from cria.generation.hosted_model import HostedModel
from cria.generation.model_list import ModelList
from tests.generation.pool_fakes import entry


def test_a_name_before_the_last_colon_is_its_bases() -> None:
    models = ModelList([HostedModel(entry(name), 0.0) for name in ("a", "a:b", "org/c:1")])
    assert not models.is_single
    assert models.find(None) is models.first
    found = {name: models.find(name).names[0] for name in ("a:x", "a:b", "a:b:x", "org/c:1")}
    assert found == {"a:x": "a", "a:b": "a:b", "a:b:x": "a:b", "org/c:1": "org/c:1"}
    with pytest.raises(ModelNotFound):
        models.find("org/c")
    assert (models.pids(), models.engine_address) == ([], "")
