"""What a simulation takes into account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class SimulationSettings:
    """Switches of the simulator; by default everything is on.

    Attributes
    ----------
    overlap : bool
        Off: one stage of the step after the other, in the order of `Stage`. Inside
        a stage a rank does its operations in a row; ranks meet only where a stage
        ends. Nothing runs beside anything, and batches do not overlap either.
    latency : bool
        Off: a collective takes its bytes over its bandwidth.
    links : bool
        Collectives take the time of the fullest link, ranks that share links and
        rails among them, in place of the slowest rank's price. Needs `latency`.
    dense : bool
        The dense layers and the all-reduce of their gradients.
    floors : bool
        The least time of a fused lookup kernel.
    input_copy : bool
        Copying a batch from the host to the device.
    id_exchange : bool
        Off: ids come to the ranks that hold their tables, as with model-parallel
        input; nobody sends lengths or ids.
    overhead : bool
        What the runtime takes per step.
    slowdown : bool
        Communication slows computation that runs beside it.
    sharing : bool
        Operations that run beside each other share links; needs `links`.
    stragglers : bool
        All ranks wait for the one that has the longest samples, where the workload
        says how lengths differ.
    num_batches : int
        Batches up to the end of the steady step: from the end of the last but one
        to the end of the last.
    bucket_bytes : float or None
        Dense gradients that are all-reduced at once; None takes the runtime's
        [bytes].
    runtime : str or None
        Name of a runtime of the cost model; None takes its default.
    """

    overlap: bool = True
    latency: bool = True
    links: bool = True
    dense: bool = True
    floors: bool = True
    input_copy: bool = True
    id_exchange: bool = True
    overhead: bool = True
    slowdown: bool = True
    sharing: bool = True
    stragglers: bool = True
    num_batches: int = 4
    bucket_bytes: float | None = None
    runtime: str | None = None

    def __post_init__(self) -> None:
        """Reject settings without a steady state or without buckets."""
        if self.num_batches < 2:
            raise ValueError(f"num_batches must be >= 2, got {self.num_batches}")
        if self.bucket_bytes is not None and not self.bucket_bytes > 0:
            raise ValueError(f"bucket_bytes must be > 0, got {self.bucket_bytes}")

    @classmethod
    def bare(cls) -> Self:
        """Return the settings under which a step takes the `step` objective.

        Notes
        -----
        What is left are the prices of the shards: ``sum_p max_r cost[r, p]``.
        """
        return cls(
            overlap=False,
            latency=False,
            links=False,
            dense=False,
            floors=False,
            input_copy=False,
            overhead=False,
        )

    @classmethod
    def path(cls) -> Self:
        """Return the settings under which a step takes the `time` objective.

        Notes
        -----
        Operations run beside each other as in the full simulation, but do not slow
        each other: the step is the longest path through them.
        """
        return cls(slowdown=False, sharing=False)
