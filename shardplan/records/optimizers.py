"""What each optimizer of embedding rows keeps, and where FBGEMM can run it.

The one table of these facts: whatever counts state or decides what can run reads it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Optimizer(StrEnum):
    """Optimizer of the embedding tables (fused into the backward pass).

    Names are those of FBGEMM's `EmbOptimType`, in lower case and without `exact`;
    what each keeps is in `FACTS`.
    """

    SGD = "sgd"
    LARS_SGD = "lars_sgd"
    ADAGRAD = "adagrad"
    ROWWISE_ADAGRAD = "rowwise_adagrad"
    EMAINPLACE_ROWWISE_ADAGRAD = "emainplace_rowwise_adagrad"
    ENSEMBLE_ROWWISE_ADAGRAD = "ensemble_rowwise_adagrad"
    ADAM = "adam"
    PARTIAL_ROWWISE_ADAM = "partial_rowwise_adam"
    LAMB = "lamb"
    PARTIAL_ROWWISE_LAMB = "partial_rowwise_lamb"
    NONE = "none"


class OptimizerFacts(NamedTuple):
    """Facts about an optimizer.

    Attributes
    ----------
    per_element, per_row : int
        fp32 numbers of state for each element, and for each row of a shard.
    on_cpu, on_ssd : bool
        There is a kernel for rows of CPU ranks, and for rows on SSD.
    own_batches : bool
        The kernels take tables whose batches differ.
    updates : bool
        The backward pass updates rows; otherwise it writes their gradients out.
    """

    per_element: int
    per_row: int
    on_cpu: bool = False
    on_ssd: bool = False
    own_batches: bool = False
    updates: bool = True


# fbgemm_gpu 1.8.0, split_table_batched_embeddings_ops_training.py: states and the
# optimizers of CPU mode in __init__ (construct_split_state: a number per row where
# `rowwise`), batches of tables in _generate_vbe_metadata; for SSD
# tbe/ssd/training.py, __init__. States are fp32 unless a caller asks otherwise.
FACTS = {
    Optimizer.SGD: OptimizerFacts(0, 0, on_cpu=True, own_batches=True),
    Optimizer.LARS_SGD: OptimizerFacts(1, 0),
    Optimizer.ADAGRAD: OptimizerFacts(1, 0, on_cpu=True),
    Optimizer.ROWWISE_ADAGRAD: OptimizerFacts(
        0, 1, on_cpu=True, on_ssd=True, own_batches=True
    ),
    Optimizer.EMAINPLACE_ROWWISE_ADAGRAD: OptimizerFacts(
        0, 1, on_cpu=True, own_batches=True
    ),
    Optimizer.ENSEMBLE_ROWWISE_ADAGRAD: OptimizerFacts(1, 1, own_batches=True),
    Optimizer.ADAM: OptimizerFacts(2, 0, on_ssd=True, own_batches=True),
    Optimizer.PARTIAL_ROWWISE_ADAM: OptimizerFacts(1, 1, on_ssd=True),
    Optimizer.LAMB: OptimizerFacts(2, 0),
    Optimizer.PARTIAL_ROWWISE_LAMB: OptimizerFacts(1, 1),
    Optimizer.NONE: OptimizerFacts(0, 0, own_batches=True, updates=False),
}
