"""Bytes: rows by type, optimizer state, caches and buffers.

All functions are pure and take arrays or scalars of bytes, rows and columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.records.optimizers import FACTS
from shardplan.records.tables import DType

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.records.workload import Optimizer

_PLAIN_BYTES = {
    DType.FP32: 4.0,
    DType.TF32: 4.0,
    DType.FP16: 2.0,
    DType.BF16: 2.0,
    DType.FP8: 1.0,
}
_SCALED_BYTES = {DType.INT8: 1.0, DType.INT4: 0.5}
# fbgemm_gpu 1.8.0: INT8_EMB_ROW_DIM_OFFSET of split_table_batched_embeddings_ops_
# training.py (scale and bias in fp32), and DEFAULT_SCALE_BIAS_SIZE_IN_BYTES and
# row_alignment on GPUs of split_table_batched_embeddings_ops_inference.py.
_INT8_SCALE_AND_BIAS_BYTES = 8.0
_INT4_SCALE_AND_BIAS_BYTES = 4.0
_INT4_ALIGNMENT_BYTES = 16.0
_MX_BITS = {DType.MXFP8: 8, DType.MXFP6: 6, DType.MXFP4: 4}
_MX_BLOCK = 32
FP32_BYTES = 4.0


def element_bytes(dtype: DType) -> float:
    """Mean bytes of an element on the wire [bytes].

    Notes
    -----
    MX formats carry one scale byte per block of 32 elements, which is counted:
    8.25, 6.25 and 4.25 bits. The scale and bias of int8 and int4 rows are not: on
    the wire they are per message.

    References
    ----------
    Rouhani et al., arXiv 2310.10537, section 5.
    """
    if dtype in _MX_BITS:
        return (_MX_BITS[dtype] + 8 / _MX_BLOCK) / 8
    return _PLAIN_BYTES.get(dtype) or _SCALED_BYTES[dtype]


def row_bytes(dtype: DType, num_columns: Any) -> Floats:
    """Bytes of a stored row of `num_columns` elements [bytes].

    Notes
    -----
    Plain types: columns * size. int8: columns + 8 for scale and bias, the row that
    FBGEMM's training kernels read. int4: columns / 2 + 4, up to a multiple of 16, the
    row of its GPU inference kernels: no kernel trains int4 rows. MX: ceil(columns /
    32) * (32 * bits / 8 + 1), padded to whole blocks.

    References
    ----------
    FBGEMM split table batched embeddings; Rouhani et al., arXiv 2310.10537.
    """
    columns = np.asarray(num_columns, dtype=np.float64)
    if dtype in _MX_BITS:
        block = _MX_BLOCK * _MX_BITS[dtype] / 8 + 1
        return np.asarray(np.ceil(columns / _MX_BLOCK) * block)
    if dtype is DType.INT8:
        return np.asarray(columns + _INT8_SCALE_AND_BIAS_BYTES)
    if dtype is DType.INT4:
        plain = np.ceil(columns * _SCALED_BYTES[dtype]) + _INT4_SCALE_AND_BIAS_BYTES
        return np.asarray(
            np.ceil(plain / _INT4_ALIGNMENT_BYTES) * _INT4_ALIGNMENT_BYTES
        )
    return np.asarray(columns * _PLAIN_BYTES[dtype])


def state_bytes(optimizer: Optimizer, num_columns: Any) -> Floats:
    """Optimizer state of one row [bytes]: fp32 whatever the type of the row.

    Notes
    -----
    4 * (columns * numbers per element + numbers per row). A column shard keeps its
    own numbers per row, so k shards keep k of them. A dense weight is a row of one
    column.

    References
    ----------
    FBGEMM split table batched embeddings; see :mod:`shardplan.records.optimizers`.
    """
    facts = FACTS[optimizer]
    numbers = np.asarray(num_columns, dtype=np.float64) * facts.per_element
    return np.asarray((numbers + facts.per_row) * FP32_BYTES)


def device_state_bytes(optimizer: Optimizer, *, is_on_ssd: Any) -> Floats:
    """Of the state of a row, what is on the device wherever the row is [bytes].

    Notes
    -----
    4 * numbers per row. Numbers per element lie in the same memory as the row, but in
    no cache of rows. Rows on SSD take all their state along if any of it is per
    element, which the device would have no room for.

    References
    ----------
    fbgemm_gpu 1.8.0, split_table_batched_embeddings_ops_training.py,
    construct_split_state: "If table is managed, then if optimizer state is rowwise,
    optimizer is on device, otherwise optimizer is managed"; for SSD
    split_embedding_configs.py, ssd_state_splits: on the device, or with its row where
    `enable_optimizer_offloading`.
    """
    facts = FACTS[optimizer]
    moves = np.asarray(is_on_ssd) & (facts.per_element > 0)
    return np.where(moves, 0.0, facts.per_row * FP32_BYTES)
