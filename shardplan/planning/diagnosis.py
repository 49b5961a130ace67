"""Why tables have no option: the rule, the contradicting constraints, or memory."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.shards import KERNELS
from shardplan.errors import InfeasibleError, Shortfall
from shardplan.problems.bundling import common_options
from shardplan.problems.options.arrays import SHARDING_TYPES
from shardplan.problems.options.empty import why_empty
from shardplan.records.sharding import TIERS
from shardplan.records.targets import RUNTIMES, listed
from shardplan.units import format_bytes, format_bytes_both

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

_MOST_PAIRS = 1_000_000
"""Pairs of table and rank up to which separate groups are matched."""


def require_options(problem: Problem) -> None:
    """Raise an error that says why tables have no option, if some have none."""
    names = problem.bundle_names()
    empty = np.flatnonzero(np.diff(problem.options.start) == 0).tolist()
    if not empty:
        return
    by_reason: dict[str | None, list[int]] = defaultdict(list)
    why = _Reasons(problem)
    for bundle in empty:
        by_reason[why.of(bundle)].append(bundle)
    too_large = by_reason.pop(None, [])
    lines = [
        _sentence([names[b] for b in some], reason or "")
        for reason, some in by_reason.items()
    ]
    count = len(empty) - len(too_large)
    found = []
    if count:
        subject = f"{count} of {len(names)} tables {'have' if count > 1 else 'has'}"
        listing = "\n- ".join(["", *lines]) if len(lines) > 1 else f" {lines[0]}"
        found.append(f"infeasible: {subject} no legal option:{listing}")
    shortfalls = []
    if too_large:
        text, shortfall = _too_large(problem, names, too_large)
        found.append(text)
        shortfalls.append(shortfall)
    raise InfeasibleError("\n".join(found), shortfalls, proven=True)


def _sentence(names: list[str], reason: str) -> str:
    if not reason.startswith("has "):
        return f"{some(tuple(names))}: {reason}"
    verb = "has" if len(names) == 1 else "have"
    return f"{some(tuple(names))} {verb} {reason.removeprefix('has ')}"


def some(names: tuple[str, ...]) -> str:
    """List the first few names."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


class _Reasons:
    """Looks up why bundles have no option; tables of one kind share the answer."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._kinds: dict[object, str | None] = {}

    def of(self, bundle: int) -> str | None:
        """Return the reason, None if memory is."""
        problem = self._problem
        members, menu = problem.bundles.members[bundle], problem.bundles.menu
        for table in members:
            if menu.start[table] == menu.start[table + 1]:
                reason = self._of_table(table)
                name = problem.usage.workload.tables[table].name
                if reason is None or len(members) == 1:
                    return reason
                return _sentence([name], reason)
        options = common_options(menu, members)
        if not options:
            return _no_common_option(problem, members)
        first = [option for option, *_ in options]
        types = listed({SHARDING_TYPES[menu.sharding_type[o]] for o in first})
        return self._of_places(bundle, types)

    def _of_places(self, bundle: int, types: str) -> str:
        """Say what leaves the options that there are no place."""
        problem, mask = self._problem, self._problem.allowed_ranks(bundle)
        if not mask.all():
            return (
                f"may use {int(mask.sum())} of {len(mask)} ranks (ranks, hosts, "
                f"forbidden_ranks), too few for what else is allowed: {types}"
            )
        if bundle in problem.conflicts:
            names = problem.bundle_names()
            others = some(tuple(names[b] for b in sorted(problem.conflicts[bundle])))
            apart = f"shares no rank with {others} (separate)"
            return f"{apart}, but what else is allowed takes all ranks: {types}"
        return f"finds too few ranks, hosts or domains for what is allowed: {types}"

    def _of_table(self, index: int) -> str | None:
        problem, workload = self._problem, self._problem.usage.workload
        table = workload.tables[index]
        limits = workload.table_constraints(table)
        rows = min(table.num_embeddings, problem.world_size)
        kind = (table.embedding_dim, table.dtype, table.is_pooled, rows, limits)
        if kind not in self._kinds:
            runtime = RUNTIMES[problem.target]
            reason = why_empty(
                table, limits, problem.cluster, runtime, workload.optimizer
            )
            self._kinds[kind] = reason
        return self._kinds[kind]


def _no_common_option(problem: Problem, members: tuple[int, ...]) -> str:
    """Say what each colocated table may use, where they have nothing in common."""
    menu, tables = problem.bundles.menu, problem.usage.workload.tables
    texts = []
    for table in members[:5]:
        own = slice(menu.start[table], menu.start[table + 1])
        types = {SHARDING_TYPES[kind] for kind in menu.sharding_type[own]}
        kernels = {KERNELS[kernel] for kernel in menu.kernel[own]}
        texts.append(f"{tables[table].name} {listed(types)} with {listed(kernels)}")
    return (
        "stay together (colocate), which asks for one way to cut and one kernel that "
        f"all have; left are: {'; '.join(texts)}"
    )


def _too_large(
    problem: Problem, names: list[str], empty: list[int]
) -> tuple[str, Shortfall]:
    """Say how much tables need that have legal options, of which none fits."""
    stored, members = problem.usage.stored_bytes, problem.bundles.members
    largest = max(empty, key=lambda b: max(stored[i] for i in members[b]))
    needed = max(float(stored[i]) for i in members[largest])
    rooms = [problem.capacity.of_tier(tier).max() for tier in range(len(TIERS))]
    has_room = rooms[0] or problem.cluster.is_cpu
    taken = "" if has_room else f" ({_what_takes_it(problem.capacity.reserved)})"
    tables = tuple(names[bundle] for bundle in empty)
    text = (
        f"infeasible: {len(empty)} of {len(names)} tables have no legal option that "
        f"fits, even alone: {some(tables)}. {names[largest]} stores "
        f"{format_bytes_both(needed)} with its optimizer state; a rank has "
        f"{format_bytes_both(rooms[0])} of HBM for embeddings{taken}, a "
        f"{problem.capacity.pool_place} {format_bytes_both(rooms[1])} of DDR and "
        f"{format_bytes_both(rooms[2])} of SSD. Allow more sharding "
        f"types, kernels or ranks for these tables (target "
        f"{problem.target.value!r} may exclude some), or use more hosts."
    )
    return text, Shortfall("any", needed, float(max(rooms)), tables)


def _what_takes_it(reserved: dict[str, float]) -> str:
    """Say what leaves no memory for embeddings, the largest first."""
    items = sorted(reserved.items(), key=lambda item: -item[1])
    return "; ".join(f"{name}: {format_bytes(size)}" for name, size in items if size)


def crowded(problem: Problem) -> str | None:
    """Say which separate tables are too many for the ranks that they may use.

    Notes
    -----
    Each needs a rank of its own at least: a matching of tables and ranks.
    """
    import networkx as nx

    names = problem.bundle_names()
    graph: nx.Graph[object] = nx.Graph()
    for bundle, others in problem.conflicts.items():
        graph.add_edges_from((bundle, other) for other in others)
    for group in nx.find_cliques(graph):
        if len(group) * problem.world_size > _MOST_PAIRS:
            continue
        ranks: nx.Graph[object] = nx.Graph()
        for bundle in group:
            used = np.flatnonzero(problem.allowed_ranks(bundle)).tolist()
            ranks.add_edges_from((("table", bundle), ("rank", rank)) for rank in used)
        tables = [("table", bundle) for bundle in group]
        matched = nx.bipartite.hopcroft_karp_matching(ranks, tables)
        if any(table not in matched for table in tables):
            together = some(tuple(names[bundle] for bundle in sorted(group)))
            count = len(ranks) - len(tables)
            return (
                f"{together} share no rank with each other (separate), but the "
                f"{count} ranks that they may use (ranks, hosts, forbidden_ranks) are "
                "too few for one each"
            )
    return None
