"""Peak rates of one rank for the dense part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.errors import InputError
from shardplan.records.tables import DType

if TYPE_CHECKING:
    from shardplan.records.host_group import HostGroup


# Types without a rate of their own in a topology compute at that of another.
_RATES = {
    DType.FP32: ("fp32",),
    DType.TF32: ("tf32", "fp32"),
    DType.FP16: ("fp16", "bf16", "fp32"),
    DType.BF16: ("bf16", "fp16", "fp32"),
}
_NARROW_RATES = ("fp8", "bf16", "fp16", "fp32")


@dataclass(frozen=True)
class DenseDevice:
    """Peak rates of one rank for the dense part.

    Attributes
    ----------
    peak_flops : float
        Arithmetic in the layers' type [FLOP/s].
    memory_bw : float
        Device memory, or a rank's share of a CPU host's memory [bytes/s].
    num_sms : int
        Multiprocessors that tiles are spread over; 0 for none to fill.
    """

    peak_flops: float
    memory_bw: float
    num_sms: int

    @classmethod
    def of(cls, group: HostGroup, dtype: DType) -> DenseDevice:
        """Take the rates of a host group's ranks.

        Raises
        ------
        InputError
            If the topology gives no arithmetic rate for the type or a wider one.
        """
        device, flops = group.device, group.device.peak_flops
        names = _RATES.get(dtype, _NARROW_RATES)
        rates = [getattr(flops, name) for name in names]
        if not any(rates):
            key = f"host_groups[{group.name}].device.peak_flops.{names[0]}"
            rule = (
                "must be > 0 to time the dense layers; objectives step and max-rank "
                "do without"
            )
            raise InputError.single("topology", key, rates[0], rule)
        shared_bw = group.host.ddr_bw / group.local_world_size
        return cls(
            peak_flops=next(rate for rate in rates if rate),
            memory_bw=device.hbm_bw or shared_bw,
            num_sms=device.num_sms,
        )
