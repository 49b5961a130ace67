"""Work of blocks for a sample, counted by hand."""

from __future__ import annotations

from shardplan.costs.layers.summary import block_work
from shardplan.records.workload import DenseModel

MODEL = {
    "dtype": "bf16",
    "sequences": [{"name": "s", "mean": 10, "mean_square": 120, "max": 20}],
    "blocks": [
        {
            "name": "tokens",
            "rows": "s",
            "repeat": 3,
            "recompute": ["up"],
            "layers": [
                {"kind": "linear", "name": "up", "inputs": 4, "outputs": 6},
                {"kind": "norm", "width": 6},
            ],
        },
        {"name": "head", "layers": [{"kind": "linear", "inputs": 6, "outputs": 1}]},
    ],
}


def test_blocks_are_summed_up():
    """Three times ten tokens: products, a norm, and one layer once more backward."""
    tokens, head = block_work(DenseModel.model_validate(MODEL), 0, 0)
    up, norm = 2 * 30 * 4 * 6, 8 * 30 * 6
    assert tokens.name == "tokens"
    assert tokens.parameters == 3 * (4 * 6 + 6 + 2 * 6)
    assert tokens.forward_flops == up + norm
    assert tokens.backward_flops == 2 * up + 2 * norm + up
    assert tokens.forward_bytes == 2 * 30 * (4 + 6 + 12)
    assert tokens.backward_bytes == 2 * 30 * (2 * 10 + 24) + 2 * 30 * 10
    assert tokens.activation_bytes == 2 * 30 * 6
    assert (head.parameters, head.forward_flops, head.activation_bytes) == (7, 12, 2)


def test_keys_of_a_dlrm_are_blocks_too():
    """Bottom, interaction and top."""
    dense = DenseModel(num_dense=3, bottom_mlp=(8, 4), top_mlp=(6, 1))
    names = [block.name for block in block_work(dense, 12, 3)]
    assert names == ["bottom", "interaction", "top"]
