"""Describe dense layers, where a model is one whose layers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.records.tables import DType
from shardplan.records.workload import DenseModel

if TYPE_CHECKING:
    import torch

_DTYPES = {
    "torch.float32": DType.FP32,
    "torch.float16": DType.FP16,
    "torch.bfloat16": DType.BF16,
}


def read_dense(model: torch.nn.Module) -> DenseModel | None:
    """Read the layers of a model that is, or holds, TorchRec's `DLRM`.

    Returns
    -------
    DenseModel or None
        None for any other model: which layer feeds which is not known.

    Notes
    -----
    Layers compute in the type of their parameters.

    References
    ----------
    TorchRec 1.9.2, torchrec/models/dlrm.py: `DLRM` (dot products) and `DLRM_DCN`
    (low-rank cross layers).
    """
    from torchrec.models.dlrm import DLRM

    found = [module for module in model.modules() if isinstance(module, DLRM)]
    if len(found) != 1:
        return None
    (dlrm,) = found
    interaction = _interaction(dlrm.inter_arch)
    bottom, top = _linears(dlrm.dense_arch), _linears(dlrm.over_arch)
    if interaction is None or not bottom or not top:
        return None
    return DenseModel(
        num_dense=bottom[0].in_features,
        bottom_mlp=tuple(layer.out_features for layer in bottom),
        top_mlp=tuple(layer.out_features for layer in top),
        dtype=_DTYPES.get(str(bottom[0].weight.dtype), DType.FP32),
        **interaction,
    )


def _interaction(arch: Any) -> dict[str, Any] | None:
    from torchrec.models.dlrm import InteractionArch, InteractionDCNArch
    from torchrec.modules.crossnet import LowRankCrossNet

    if isinstance(arch, InteractionArch):
        return {"interaction": "dot"}
    if isinstance(arch, InteractionDCNArch):
        cross = arch.crossnet
        if isinstance(cross, LowRankCrossNet) and len(cross.V_kernels):
            return {
                "interaction": "dcn_v2",
                "dcn_num_layers": len(cross.V_kernels),
                "dcn_low_rank_dim": int(cross.V_kernels[0].shape[0]),
            }
    return None


def _linears(module: Any) -> list[Any]:
    from torch.nn import Linear

    return [layer for layer in module.modules() if isinstance(layer, Linear)]
