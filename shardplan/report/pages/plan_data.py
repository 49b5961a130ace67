"""What the page of a plan says: the reports of `show`, `explain` and `simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.errors import InputError
from shardplan.records.fingerprint import fingerprint
from shardplan.records.placement import format_ranks
from shardplan.report import plan_view
from shardplan.report.evaluation import evaluation_data
from shardplan.report.explain import explain_data
from shardplan.report.ranks import ranks_data
from shardplan.report.step import step_data
from shardplan.report.timeline import timeline_data
from shardplan.simulation import explain, simulate

if TYPE_CHECKING:
    from shardplan.checking import Verdict
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats


def plan_page_data(evaluation: Evaluation, verdict: Verdict) -> dict[str, Any]:
    """Collect the report of `shardplan report`.

    Returns
    -------
    dict
        JSON-able: the report of `explain`, and beside it ``violations``,
        ``evaluation`` (of `evaluate`), ``decisions``, ``ranks`` (phases and memory of
        every place), ``tables`` (joined with those of `show`, the dearest on all ranks
        first), ``step`` (of `simulate --explain`), ``timeline``, ``links`` and
        ``proof``. Where the step cannot be simulated the three are None, and
        ``step_fault`` says why.
    """
    data = explain_data(evaluation, verdict)
    return {
        **data,
        "violations": [str(violation) for violation in verdict.violations],
        "evaluation": evaluation_data(evaluation, verdict),
        "decisions": plan_view.decisions_data(evaluation.plan),
        "ranks": ranks_data(evaluation),
        "tables": tables_data(evaluation, data["tables"]),
        **_simulated(evaluation, verdict),
        "proof": proof_data(evaluation, verdict),
    }


def tables_data(
    evaluation: Evaluation, explained: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Join what `show` and `explain` say of tables, and add where they lie.

    Returns
    -------
    list of dict
        ``all_ranks_s`` is what a table takes on all ranks together; the dearest come
        first. ``places``: ``ranks`` that each hold the same ``share`` of the cells,
        which is 1 for every copy.
    """
    names = {t.name: i for i, t in enumerate(evaluation.plan.inputs.workload.tables)}
    costs = {entry["table"]: entry for entry in explained}
    seconds, places = _seconds(evaluation), _places(evaluation)
    found = [
        {
            **costs[entry["table"]],
            **entry,
            "all_ranks_s": float(seconds[names[entry["table"]]]),
            "places": places[names[entry["table"]]],
        }
        for entry in plan_view.tables_data(evaluation)
    ]
    return sorted(found, key=lambda entry: -entry["all_ranks_s"])


def _seconds(evaluation: Evaluation) -> Floats:
    """Add up each table's prices over all ranks that hold a part of it (T,)."""
    found = np.zeros(len(evaluation.usage.num_embeddings))
    classes = evaluation.cluster.rank_class
    of_class = evaluation.prices.cost.sum(axis=2)
    for index, shard in enumerate(evaluation.shards):
        ranks = np.bincount(classes[list(shard.ranks)], minlength=of_class.shape[1])
        found[shard.table] += of_class[index] @ ranks
    return found


def _places(evaluation: Evaluation) -> dict[int, list[dict[str, Any]]]:
    """Group the ranks of each table by the share of its cells that they hold."""
    usage = evaluation.usage
    held: dict[int, dict[int, float]] = {}
    for shard in evaluation.shards:
        cells = usage.num_embeddings[shard.table] * usage.embedding_dim[shard.table]
        share = shard.rows * shard.columns / float(cells)
        on_ranks = held.setdefault(shard.table, {})
        for rank in shard.ranks:
            on_ranks[rank] = on_ranks.get(rank, 0.0) + share
    found = {}
    for table, on_ranks in held.items():
        groups: dict[float, list[int]] = {}
        for rank in sorted(on_ranks):
            groups.setdefault(on_ranks[rank], []).append(rank)
        found[table] = [
            {"ranks": format_ranks(tuple(ranks)), "share": share}
            for share, ranks in sorted(groups.items(), reverse=True)
        ]
    return found


def proof_data(evaluation: Evaluation, verdict: Verdict) -> dict[str, Any]:
    """Say what is proven, by what, and for which inputs."""
    plan = evaluation.plan
    certificate = plan.certificate
    return {
        "proven_s": verdict.proven_s,
        "unproven": verdict.unproven,
        "certificate": None
        if certificate is None
        else {
            "num_options": certificate.num_options,
            "all_tiers": certificate.all_tiers,
            "threshold_s": certificate.threshold_s,
            "num_cases": len(certificate.cases),
            "num_rounds": sum(len(case.rounds) for case in certificate.cases),
            "num_patterns": sum(len(case.patterns) for case in certificate.cases),
            "sha256": fingerprint(certificate),
        },
        "fingerprints": plan.fingerprints.model_dump(),
    }


def _simulated(evaluation: Evaluation, verdict: Verdict) -> dict[str, Any]:
    """Simulate the step, if the topology and the cost model suffice for that."""
    try:
        simulation = simulate(evaluation.plan)
    except InputError as error:
        nothing = dict.fromkeys(("step", "timeline", "links"))
        return {**nothing, "step_fault": "; ".join(p.rule for p in error.problems)}
    links = simulation.links
    return {
        "step": step_data(simulation, verdict, explanation=explain(simulation)),
        "timeline": timeline_data(simulation),
        "links": {
            "scale_up_use": links.scale_up_use.tolist(),
            "nic_use": links.nic_use.tolist(),
            "uplink_use": links.uplink_use.tolist(),
        },
        "step_fault": None,
    }
