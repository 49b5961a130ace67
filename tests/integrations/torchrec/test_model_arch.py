"""A model without weights: into a file, out of it, and a model again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip(
    "torchrec.distributed.planner.provider",
    reason="TorchRec 1.8 has no ModelArch",
)
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_training import WeightDecayMode
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner.model_arch import (
    extract_model_arch,
    model_arch_hash,
)

from shardplan.errors import InputError
from shardplan.integrations.torchrec import planner_api, read_workload
from shardplan.integrations.torchrec.model_arch import (
    build_model_arch,
    read_model_arch,
    write_model_arch,
)
from tests.integrations.torchrec.test_import import Model

if TYPE_CHECKING:
    from pathlib import Path

SHARDERS = [
    EmbeddingBagCollectionSharder(
        fused_params={
            "optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD,
            "learning_rate": 0.1,
            "eps": 1e-8,
            "weight_decay_mode": WeightDecayMode.DECOUPLE,
        }
    ),
    EmbeddingCollectionSharder(),
]
ARCH = extract_model_arch(Model(), SHARDERS)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    """Equal, and with TorchRec's own hash; no file has weights."""
    path = tmp_path / "arch.json"
    write_model_arch(ARCH, path)
    found = read_model_arch(path)
    assert found == ARCH
    assert model_arch_hash(found) == model_arch_hash(ARCH)
    assert path.stat().st_size < 2000


def test_a_model_is_built_of_it(tmp_path: Path) -> None:
    """One that has the same architecture, and tables that can be planned."""
    path = tmp_path / "arch.json"
    write_model_arch(ARCH, path)
    model, sharders = build_model_arch(read_model_arch(path))
    assert extract_model_arch(model, sharders) == ARCH
    planned = read_workload(model, batch_size=8, sharders=sharders)
    original = read_workload(Model(), batch_size=8)
    facts = [
        {(t.name, t.num_embeddings, t.embedding_dim, t.dtype) for t in work.tables}
        for work in (planned, original)
    ]
    assert facts[0] == facts[1]


def edited(tmp_path: Path, **changes: Any) -> Path:
    """Write a file and change it."""
    path = tmp_path / "arch.json"
    write_model_arch(ARCH, path)
    data = json.loads(path.read_text())
    table = data["tables"][0]
    for name, value in changes.items():
        target = data if name in data else table
        if value is None:
            del target[name]
        else:
            target[name] = value
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_embeddings": 0}, "tables[0].num_embeddings = 0"),
        ({"embedding_dim": None}, "tables[0].embedding_dim"),
        ({"rows": 3}, "tables[0].rows"),
        ({"pooling": "MAX"}, "tables[0].pooling"),
        ({"tables": []}, "tables"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_broken_files_are_refused(
    tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    """With the key and the file."""
    with pytest.raises(InputError) as caught:
        read_model_arch(edited(tmp_path, **changes))
    assert rule in str(caught.value)
    assert "arch.json" in str(caught.value)


def test_files_that_are_no_json(tmp_path: Path) -> None:
    """Missing and cut off ones."""
    with pytest.raises(InputError, match=r"none\.json"):
        read_model_arch(tmp_path / "none.json")
    path = edited(tmp_path)
    path.write_text(path.read_text()[:100])
    with pytest.raises(InputError, match="not JSON"):
        read_model_arch(path)


def test_modules_that_cannot_be_built() -> None:
    """Sharders of other modules, and optimizers that are none, are named."""
    first = ARCH.tables[0]
    others = (replace(first, sharder_type="OddSharder"), *ARCH.tables[1:])
    with pytest.raises(InputError, match="OddSharder"):
        build_model_arch(replace(ARCH, tables=others))
    odd = (replace(ARCH.sharders[0], optimizer="fast"), *ARCH.sharders[1:])
    with pytest.raises(InputError, match="optimizer = fast: must be one of sgd"):
        build_model_arch(replace(ARCH, sharders=odd))


def test_a_release_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says what is needed."""
    monkeypatch.setattr(planner_api, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"ModelArch needs 1\.9 or newer"):
        read_model_arch(tmp_path / "arch.json")
