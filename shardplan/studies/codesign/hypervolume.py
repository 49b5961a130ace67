"""The hypervolume: how much of the objectives a front dominates.

For two objectives it is the area between the front and a reference point, and it grows
with every design that is new on the front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.studies.codesign.extra import require_extra

if TYPE_CHECKING:
    from collections.abc import Sequence


def hypervolume(costs: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the area between points and a reference point; all are minimised.

    Parameters
    ----------
    costs : (N, 2) sequence of float
    reference : (2,) sequence of float
        Points that are worse than it in an objective count nothing.

    References
    ----------
    Fonseca, Paquete and López-Ibáñez, "An Improved Dimension-Sweep Algorithm for the
    Hypervolume Indicator", CEC 2006; computed by the library moocore.
    """
    require_extra("hypervolume")
    import moocore

    points = np.asarray(costs, float).reshape(-1, len(reference))
    return float(moocore.hypervolume(points, ref=np.asarray(reference, float)))
