"""The memory that a request keeps for what is not sharded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchrec.distributed.planner import storage_reservations as torchrec
from torchrec.distributed.planner.types import StorageReservationPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PERCENTAGE, DEFAULT_MULTIPLIER = 0.15, 6.0
"""What TorchRec takes where a request says nothing (its provider.py)."""

_COMMON = {"storage_reservation_policy", "storage_reservation_percentage"}
_DENSE = {"dense_tensor_estimate", "parameter_multiplier"}


def build_reservation(config: Any, home_hbm: Callable[[], int]) -> Any:
    """Build the `StorageReservation` of a `PlannerConfig`.

    Parameters
    ----------
    home_hbm : callable
        HBM of the SKU whose percentage is reserved on every SKU by the policy
        ``sku_aware`` [bytes].
    """
    given = config.storage_reservation_percentage
    share = DEFAULT_PERCENTAGE if given is None else given
    dense = config.dense_tensor_estimate
    multiplier = config.parameter_multiplier
    multiplier = DEFAULT_MULTIPLIER if multiplier is None else multiplier
    match config.storage_reservation_policy:
        case StorageReservationPolicy.FIXED_PERCENTAGE:
            return torchrec.FixedPercentageStorageReservation(percentage=share)
        case StorageReservationPolicy.INFERENCE:
            return torchrec.InferenceStorageReservation(
                percentage=share, dense_tensor_estimate=dense
            )
        case StorageReservationPolicy.SKU_AWARE:
            base = config.model_base_bytes
            return torchrec.SKUAwareStorageReservation(
                margin_bytes=int(share * home_hbm()) if base is None else 0,
                parameter_multiplier=multiplier,
                model_base_bytes=base,
                dense_tensor_estimate=dense,
            )
        case _:
            return torchrec.HeuristicalStorageReservation(
                percentage=share,
                parameter_multiplier=multiplier,
                dense_tensor_estimate=dense,
            )


def followed_settings(config: Any) -> set[str]:
    """Return the settings of a `PlannerConfig` that `build_reservation` follows."""
    match config.storage_reservation_policy:
        case StorageReservationPolicy.FIXED_PERCENTAGE:
            return _COMMON
        case StorageReservationPolicy.INFERENCE:
            return {*_COMMON, "dense_tensor_estimate"}
        case StorageReservationPolicy.SKU_AWARE:
            if config.model_base_bytes is not None:
                return {"storage_reservation_policy", "model_base_bytes"}
            return {*_COMMON, *_DENSE, "home_sku"}
        case _:
            return {*_COMMON, *_DENSE}
