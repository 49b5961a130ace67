"""Configurations of FBGEMM's benchmark as workloads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.errors import InputError
from shardplan.records.tbe_data_config import TbeIndices
from shardplan.statistics.tbe_config import access_curve, import_tbe_config

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "T": 2,
    "E": 1000,
    "D": 64,
    "mixed_dim": False,
    "weighted": True,
    "batch_params": {"B": 4096, "sigma_B": None, "vbe_distribution": "normal"},
    "indices_params": {
        "heavy_hitters": [0.2, 0.1],
        "zipf_q": 2.0,
        "zipf_s": 1.05,
        "index_dtype": "torch.int64",
        "offset_dtype": "torch.int64",
    },
    "pooling_params": {"L": 20, "sigma_L": 4, "length_distribution": "normal"},
    "use_cpu": False,
}


HOT = CONFIG["indices_params"]


def write(path: Path, **changes: Any) -> Path:
    file = path / "tbe.json"
    file.write_text(json.dumps({**CONFIG, **changes}))
    return file


def test_means_stand_for_all_tables(tmp_path: Path) -> None:
    """Which is said."""
    found = import_tbe_config(write(tmp_path))
    a, b = found.workload.tables
    assert found.workload.global_batch_size == 4096
    assert (a.num_embeddings, a.embedding_dim, a.pooling_factor) == (1000, 64, 20)
    assert (a.is_weighted, a.access) == (True, b.access)
    assert [note.split()[0] for note in found.notes] == ["one", "rows"]


def test_tables_of_several_features(tmp_path: Path) -> None:
    """Lookups add up, and batches of features are those of their table."""
    found = import_tbe_config(
        write(
            tmp_path,
            T=3,
            embedding_specs=[[500, 32], [70, 8]],
            feature_table_map=[0, 1, 0],
            batch_params={"B": 100, "Bs": [100, 50, 100]},
            pooling_params={"L": 5, "Ls": [1.5, 4, 2]},
        )
    )
    a, b = found.workload.tables
    assert (a.num_embeddings, a.embedding_dim, a.num_outputs) == (500, 32, 2)
    assert (a.pooling_factor, a.batch_factor) == (3.5, 1.0)
    assert (b.num_embeddings, b.pooling_factor, b.batch_factor) == (70, 4.0, 0.5)
    assert len(found.notes) == 1


@pytest.mark.parametrize("num_rows", [1, 2, 3, 50, 300_000])
@pytest.mark.parametrize(("q", "s"), [(1.0, 0.5), (3.5, 1.0), (100.0, 2.5)])
def test_curves(num_rows: int, q: float, s: float) -> None:
    """Against plain sums of all rows."""
    hot = [0.2, 0.1]
    params = TbeIndices(heavy_hitters=tuple(hot), zipf_q=q, zipf_s=s)
    share = (np.arange(num_rows) + q) ** -s
    share[:2] = hot[:num_rows]
    share[2:] *= 0.7 / max(float(share[2:].sum()), 1e-300)
    expected = np.cumsum(share / share.sum())
    for fraction, lookups in access_curve(params, num_rows).points:
        place = round(fraction * num_rows) - 1
        assert lookups == pytest.approx(float(expected[place]), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"E": 0}, "E = 0"),
        ({"Es": [1]}, "Es has 1 entries for T = 2"),
        ({"pooling_params": {"L": 2, "Ls": [1]}}, "Ls has 1 entries"),
        ({"embedding_specs": [[5, 8]], "feature_table_map": [0, 1]}, "no table 1"),
        ({"embedding_specs": [[5, 8]]}, "no table 1"),
        ({"batch_params": {}}, "batch_params.B"),
        ({"indices_params": {**HOT, "heavy_hitters": [0.6] * 2}}, "at most 1 in sum"),
        ({"D": 10**6}, "D = 1000000"),
    ],
)
def test_wrong_configurations(
    tmp_path: Path, change: dict[str, Any], rule: str
) -> None:
    """The file, the key and the rule."""
    with pytest.raises(InputError, match=rule) as caught:
        import_tbe_config(write(tmp_path, **change))
    assert all(p.where.endswith("tbe.json") for p in caught.value.problems)
