"""The section of a plan's page on what is proven of it."""

from __future__ import annotations

from typing import Any

from shardplan.report.quality import bound_sentence, bound_text
from shardplan.units import format_seconds, plural


def proof_facts(data: dict[str, Any]) -> dict[str, str]:
    """Say what is proven, and by what."""
    proof, certificate = data["proof"], data["proof"]["certificate"]
    facts = {
        "lower bound": bound_text(data),
        "in other words": proof["unproven"] or bound_sentence(data),
        "optimality": data["optimality"].replace("none", ""),
    }
    if certificate is None:
        facts["certificate"] = "none"
    else:
        facts |= _certificate_facts(certificate)
    prints = {f"SHA-256 of the {k}": v for k, v in proof["fingerprints"].items()}
    return {
        **facts,
        **{name.replace("_", " "): value for name, value in prints.items()},
        "seed": str(data["seed"]),
        "made by": f"shardplan {data['plan_version']}, solver {data['solver']}",
    }


def _certificate_facts(certificate: dict[str, Any]) -> dict[str, str]:
    threshold = certificate["threshold_s"]
    how = "prices of a Lagrangian relaxation"
    if threshold is not None:
        how += f", by contradiction to a plan below {format_seconds(threshold)}"
    parts = [
        plural(certificate[f"num_{noun}s"], noun)
        for noun in ("case", "round", "pattern")
    ]
    return {
        "certificate": f"{how}: {', '.join(parts)}",
        "menu": plural(certificate["num_options"], "option")
        + (" of all memory tiers" if certificate["all_tiers"] else ""),
        "SHA-256 of the certificate": certificate["sha256"],
    }
