"""What each kind of layer does for a sample: hand-counted."""

from __future__ import annotations

import pytest

from shardplan.costs.layers.activations import activation_bytes
from shardplan.costs.layers.shapes import dense_parameters, kernels_of
from shardplan.records.workload import DenseModel

SEQUENCE = {"name": "s", "mean": 10, "mean_square": 120, "max": 20, "targets": 2}


def kernels(*layers, sequences=(SEQUENCE,), **block):
    """Kernels of one block over the sequence."""
    block = {"name": "b", "rows": "s", "layers": list(layers), **block}
    dense = DenseModel.model_validate({"sequences": sequences, "blocks": [block]})
    return kernels_of(dense, 0, 0)


def test_linear_layers():
    """Ten tokens, 3 inputs and 5 outputs: forward one product, backward two."""
    (one,) = kernels({"kind": "linear", "inputs": 3, "outputs": 5})
    assert (one.rows, one.power) == (10, 1)
    assert one.flops == 2 * 10 * 3 * 5
    assert one.flops_back == 2 * one.flops
    assert one.parameters == 15 + 5
    (plain,) = kernels(
        {"kind": "linear", "inputs": 3, "outputs": 5, "bias": False, "residual": True}
    )
    assert (plain.parameters, plain.elements) == (15, 5)


def test_matrices_share_the_rows():
    """Fields with matrices of their own: eight times the weights, not the work."""
    layer = {"kind": "linear", "inputs": 4, "outputs": 4, "times": 8}
    (own,) = kernels({**layer, "matrices": 8}, rows="samples", sequences=(SEQUENCE,))
    (shared,) = kernels(layer, rows="samples", sequences=(SEQUENCE,))
    assert own.flops == shared.flops == 2 * 8 * 16
    assert (own.parameters, shared.parameters) == (8 * 20, 20)
    assert (own.rows, own.power) == (8, 0)


def test_attention_by_hand():
    """Two heads of 3 + 4 elements; 8 tokens, 2 targets that do not see each other."""
    (causal,) = kernels(
        {"kind": "attention", "heads": 2, "qk": 3, "v": 4, "mask": "causal"}
    )
    # E[h^2] = 120 - 2 * 2 * 10 + 4 = 84 with h = 8: (84 + 8) / 2 + 2 * 8 + 2 = 64.
    assert causal.pairs == 2 * 64
    assert causal.flops == 2 * 2 * 64 * (3 + 4)
    assert causal.flops_back == 2.5 * causal.flops
    assert (causal.power, causal.is_scored, causal.parameters) == (2, True, 0)
    (cross,) = kernels(
        {"kind": "attention", "qk": 3, "v": 4, "mask": "cross", "score": "none"}
    )
    assert (cross.pairs, cross.power, cross.is_scored) == (2 * 8, 1, False)


def test_products_norms_and_elements():
    """Dot products of 4 vectors of 6, a norm, and an activation."""
    dots, norm, gate = kernels(
        {"kind": "product", "m": 4, "k": 6, "n": 4, "symmetric": True},
        {"kind": "norm", "width": 7},
        {"kind": "elementwise", "reads": 6, "writes": 2, "parameters": 11},
        rows="s.targets",
    )
    assert (dots.rows, dots.flops) == (2, 2 * 2 * 4 * 6 * 4)
    assert dots.flops_back == dots.flops
    assert (dots.elements, dots.elements_back) == (24, 48)
    assert (norm.flops, norm.parameters, norm.elements) == (2 * 8 * 7, 14, 14)
    assert norm.elements_back == 28
    assert (gate.elements, gate.elements_back, gate.parameters) == (8, 8, 11)
    (pair,) = kernels({"kind": "product", "m": 4, "k": 6, "n": 3})
    assert pair.elements == 4 * 6 + 6 * 3
    assert pair.flops_back == 2 * pair.flops


def test_repeated_blocks_have_weights_of_their_own():
    """Three times the work and the weights."""
    layer = {"kind": "linear", "inputs": 3, "outputs": 5}
    (once,), (thrice,) = kernels(layer), kernels(layer, repeat=3)
    assert thrice.flops == 3 * once.flops
    assert thrice.parameters == 3 * once.parameters


def test_memory_of_activations():
    """Outputs are kept in the layers' type, but for those that are recomputed."""
    layers = [
        {"kind": "linear", "name": "up", "inputs": 3, "outputs": 50},
        {"kind": "linear", "inputs": 50, "outputs": 3},
    ]
    block = {"name": "b", "rows": "s", "repeat": 2, "layers": layers}
    given = {"sequences": [SEQUENCE], "blocks": [block]}
    dense = DenseModel.model_validate(given)
    # 10 tokens, 2 bytes, 2 blocks of 53, and the widest output twice more.
    assert activation_bytes(dense, 0, 0, 4.0) == 4 * 10 * 2 * (2 * 53 + 2 * 50)
    block["recompute"] = ["up"]
    less = DenseModel.model_validate(given)
    assert activation_bytes(less, 0, 0, 4.0) == 4 * 10 * 2 * (2 * 3 + 2 * 50)
    old = DenseModel(num_dense=3, bottom_mlp=(8, 4), top_mlp=(6, 1))
    assert activation_bytes(old, 12, 3, 5.0) == 8 * 5 * (8 + 4 + 6 + 1)


SAID_TWICE = {"blocks": [{"name": "b", "layers": [{"kind": "norm", "width": 2}]}]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**SAID_TWICE, "bottom_mlp": [4]}, "cannot stand beside them"),
        ({**SAID_TWICE, "interaction": "dot"}, "cannot stand beside them"),
        ({"sequences": [SEQUENCE]}, "axes of blocks, and there are none"),
        (
            {"blocks": [{**SAID_TWICE["blocks"][0], "rows": "history"}]},
            r"rows = 'history' is no axis \(samples\)",
        ),
        (
            {"blocks": [{**SAID_TWICE["blocks"][0], "recompute": ["y"]}]},
            "recompute names no layer",
        ),
        ({"blocks": SAID_TWICE["blocks"] * 2}, "names of blocks must be unique"),
        (
            {
                "blocks": [
                    SAID_TWICE["blocks"][0],
                    {**SAID_TWICE["blocks"][0], "name": "c", "part": "bottom"},
                ]
            },
            "in the order of parts",
        ),
        (
            {
                "blocks": [
                    {
                        "name": "b",
                        "layers": [{"kind": "attention", "qk": 1, "v": 1}],
                    }
                ]
            },
            "attention needs rows that are a sequence",
        ),
    ],
)
def test_what_contradicts_is_refused(given, message):
    """Keys beside blocks, unknown axes and layers, and parts out of order."""
    with pytest.raises(ValueError, match=message):
        DenseModel.model_validate(given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean_square": 99}, r"mean_square = 99 contradicts.*100 to 200"),
        ({"mean_square": 201}, r"mean_square = 201 contradicts.*max \* mean"),
        ({"max": 9}, "mean = 10 contradicts"),
        ({"mean_fourth": 14_000}, "mean_fourth = 14000 contradicts"),
        (
            {"targets": 6, "context": 5},
            "6 targets and 5 tokens of context are more than",
        ),
        ({"tables": ("a", "a")}, "tables must differ; one is there twice"),
    ],
)
def test_lengths_that_cannot_be_are_refused(change, message):
    """Moments have to be those of some lengths."""
    with pytest.raises(ValueError, match=message):
        kernels({"kind": "norm", "width": 1}, sequences=({**SEQUENCE, **change},))
    assert dense_parameters(DenseModel(), 0, 0) == 0
