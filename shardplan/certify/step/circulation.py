"""Take a circulation apart: the duals of waits are circuits of the step by shares."""

from __future__ import annotations

Flow = dict[tuple[int, int, int], float]
"""What a wait carries: from an operation, to another one, so many steps later."""
_BELOW_ONE = 1e-9
"""How far below 1 shares of circuits add up."""


def shared_circuits(flow: Flow, least: float) -> list[tuple[list[int], float]]:
    """Return the operations of circuits, and their shares, which sum to just below 1.

    Parameters
    ----------
    flow : dict
        As much flows into every operation as out of it.
    least : float
        What carries less is left out.
    """
    return _scaled(_circuits(flow, least))


def _circuits(flow: Flow, least: float) -> list[tuple[list[int], float]]:
    """Take a circulation apart: circuits and what they carry per step."""
    found = []
    left = dict(flow)
    for _ in range(10 * len(flow)):
        if not left:
            break
        walk = [max(left, key=lambda edge: left[edge])]
        seen = {walk[0][0]: 0}
        while walk[-1][1] not in seen:
            out = [edge for edge in left if edge[0] == walk[-1][1]]
            if not out:
                break
            seen[walk[-1][1]] = len(walk)
            walk.append(max(out, key=lambda edge: left[edge]))
        if walk[-1][1] not in seen:  # what rounding left
            del left[walk[-1]]
            continue
        cycle = walk[seen[walk[-1][1]] :]
        carried = min(left[edge] for edge in cycle)
        steps = sum(edge[2] for edge in cycle)
        if steps:
            found.append(([edge[0] for edge in cycle], carried * steps))
        left = {
            edge: rest
            for edge, value in left.items()
            if (rest := value - carried * (edge in cycle)) > least
        }
    return found


def _scaled(circuits: list[tuple[list[int], float]]) -> list[tuple[list[int], float]]:
    """Let shares add up to just below 1."""
    total = sum(share for _, share in circuits) * (1.0 + _BELOW_ONE)
    return [(visits, share / total) for visits, share in circuits]
