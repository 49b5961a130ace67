"""The work of embedding tables on every rank, and how it is carried to a step."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from shardplan.costs.scopes import Scope
    from shardplan.records.arrays import Floats


@dataclass(frozen=True, eq=False)
class Exchange:
    """Outputs that ranks send, or gradients that they get, (W,) each.

    Attributes
    ----------
    whole : float array (W,)
        Outputs that go by all-to-all to the ranks that own the samples [bytes].
    sums : dict of Scope to float array (W,)
        Partial sums that the groups of a scope add up, and then send by all-to-all;
        for scopes that have any [bytes].
    encode : float array (W,)
        Compressing and restoring what goes by all-to-all [s].
    """

    whole: Floats
    sums: dict[Scope, Floats]
    encode: Floats


@dataclass(frozen=True, eq=False)
class SparseWork:
    """What tables ask of each rank by kind of work, (W,) each.

    Seconds are without latencies and floors.

    Attributes
    ----------
    length_bytes, id_bytes : the two parts of the id exchange [bytes]
    prefetch : filling caches [s]
    prefetch_bytes : what that moves from the host [bytes]
    forward, backward : lookups in sharded tables, and their update [s]
    replicated_forward, replicated_backward : the same for replicated tables [s]
    outputs, gradients : Exchange
    replica_bytes : float
        Gradients of replicated tables, which all ranks have [bytes].
    replica_sync : averaging the copies of other sharding groups [s]
    """

    length_bytes: Floats
    id_bytes: Floats
    prefetch: Floats
    prefetch_bytes: Floats
    forward: Floats
    backward: Floats
    replicated_forward: Floats
    replicated_backward: Floats
    outputs: Exchange
    gradients: Exchange
    replica_bytes: float
    replica_sync: Floats

    def scaled(self, factor: float) -> Self:
        """Return as much work times a factor."""

        def exchange(found: Exchange) -> Exchange:
            sums = {scope: factor * array for scope, array in found.sums.items()}
            return Exchange(factor * found.whole, sums, factor * found.encode)

        whole = ("outputs", "gradients")
        changed: dict[str, Any] = {
            f.name: factor * getattr(self, f.name)
            for f in fields(self)
            if f.name not in whole
        }
        changed |= {name: exchange(getattr(self, name)) for name in whole}
        return replace(self, **changed)
