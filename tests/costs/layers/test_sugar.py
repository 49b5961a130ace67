"""Keys of a DLRM as blocks: hand-counted layers, and the same times as ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.layers.shapes import dense_parameters, kernels_of
from shardplan.costs.layers.sugar import blocks_of
from shardplan.costs.memory.capacity import dense_rank_bytes
from shardplan.costs.pricer import ModelPricer, make_pricer
from shardplan.costs.usage import TableUsage
from shardplan.io.catalog import load_cost_model, load_topology, load_workload
from shardplan.records.workload import DenseModel
from shardplan.steps.dense_work import DenseWork

SMALL = {"num_dense": 3, "bottom_mlp": (8, 4), "top_mlp": (6, 1)}
BEFORE = Path(__file__).parents[2] / "data" / "dense_work.json"
WORK = json.loads(BEFORE.read_text(encoding="utf-8"))
"""The dense layers of all workloads before blocks, on 8 ranks of a DGX H100."""


def products(dense, *shape):
    """Part, inputs and outputs of every product."""
    return [(k.part, k.k, k.n) for k in kernels_of(dense, *shape) if k.n]


def elements(dense, *shape):
    """Elements that are moved outside of products."""
    return sum(k.elements for k in kernels_of(dense, *shape))


def test_layers_of_concatenation():
    """Bottom output 4 and outputs of 12 elements make 16 inputs of the top."""
    dense = DenseModel(interaction="cat", **SMALL)
    assert products(dense, 12, 3) == [
        ("bottom", 3, 8),
        ("bottom", 8, 4),
        ("top", 16, 6),
        ("top", 6, 1),
    ]
    # Weights 24 + 32 + 96 + 6, biases 8 + 4 + 6 + 1.
    assert dense_parameters(dense, 12, 3) == 177
    assert elements(dense, 12, 3) == 2 * 16


def test_layers_of_dot_products():
    """Three outputs and the bottom's make 4 * 3 / 2 pairs beside the bottom's 4."""
    dense = DenseModel(interaction="dot", **SMALL)
    assert products(dense, 12, 3)[2:4] == [("interaction", 4, 16), ("top", 4 + 6, 6)]
    # As above with 10 instead of 16 inputs of the top: 36 weights fewer.
    assert dense_parameters(dense, 12, 3) == 177 - 36
    # 16 joined (twice) and read, 10 read and written.
    assert elements(dense, 12, 3) == 3 * 16 + 2 * 10


def test_layers_of_dcn_v2():
    """Each cross layer goes down to the rank and up again, with one bias."""
    dense = DenseModel(
        interaction="dcn_v2", dcn_num_layers=2, dcn_low_rank_dim=5, **SMALL
    )
    cross = [("interaction", 16, 5), ("interaction", 5, 16)]
    assert products(dense, 12, 3)[2:6] == 2 * cross
    # Per cross layer 16 * 5 + 5 * 16 weights and 16 biases.
    assert dense_parameters(dense, 12, 3) == 177 + 2 * (160 + 16)
    assert elements(dense, 12, 3) == 2 * 16 + 2 * 4 * 16


def test_mlperf_dlrm_dcnv2_size():
    """The benchmark model's dense part has 16 million parameters."""
    dense = DenseModel(
        num_dense=13,
        bottom_mlp=(512, 256, 128),
        interaction="dcn_v2",
        dcn_num_layers=3,
        dcn_low_rank_dim=512,
        top_mlp=(1024, 1024, 512, 256, 1),
    )
    # bottom 7168 + 131328 + 32896; cross 3 * (2 * 3456 * 512 + 3456);
    # top 3539968 + 1049600 + 524800 + 131328 + 257 (mlcommons/training, DLRM-DCNv2).
    expected = 171_392 + 3 * 3_542_400 + 5_245_953
    assert dense_parameters(dense, 26 * 128, 26) == expected


def test_layers_of_other_interactions():
    """Pooling shortens the top's inputs, no interaction takes the bottom's output."""
    pooled = DenseModel(interaction="avg_pool", avg_pool_stride=5, **SMALL)
    # ceil(16 / 5) = 4 inputs; 2 * 16 to join, 16 to read, 4 to write.
    assert products(pooled, 12, 3)[2] == ("top", 4, 6)
    assert elements(pooled, 12, 3) == 3 * 16 + 4
    alone = DenseModel(interaction="none", **SMALL)
    assert products(alone, 12, 3)[2] == ("top", 4, 6)
    assert elements(alone, 12, 3) == 0.0
    assert kernels_of(DenseModel(), 12, 3) == ()
    assert dense_parameters(DenseModel(), 12, 3) == 0


def test_blocks_stay_as_they_are():
    """A model of blocks has no keys to expand."""
    block = {"name": "mlp", "layers": [{"kind": "linear", "inputs": 3, "outputs": 2}]}
    dense = DenseModel.model_validate({"blocks": [block]})
    assert blocks_of(dense, 12, 3) is dense.blocks


@pytest.mark.parametrize("name", list(WORK))
def test_work_of_the_keys_is_what_it_was(name):
    """To the last bit: seconds of all parts, bytes of gradients, and memory."""
    workload, cluster = load_workload(name), Cluster.of(load_topology("dgx-h100"))
    usage = TableUsage.of(workload, cluster.world_size)
    pricer = make_pricer(cluster, usage, load_cost_model("h100"))
    assert isinstance(pricer, ModelPricer)
    before = WORK[name]
    bytes_now = dense_rank_bytes(usage, 8)
    for item in ("dense parameters", "dense activations"):
        assert bytes_now[item].hex() == before["bytes"][item]
    for passes in (1.0, 2.0):
        work = DenseWork.of(pricer, passes)
        for part, seconds in work.forward.items():
            assert float(seconds[0]).hex() == before[f"forward.{passes}"][part]
        for field in ("input_gradients", "weight_gradients", "gradient_bytes"):
            found = getattr(work, field)
            for part, expected in before[f"{field}.{passes}"].items():
                value = found[part] if field == "gradient_bytes" else found[part][0]
                assert float(value).hex() == expected, (field, part)
        assert float(work.optimizer[0]).hex() == before[f"optimizer.{passes}"]
