"""Fingerprints of inputs: equal for records that mean the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from shardplan.records.inputs import Fingerprints, Inputs
from shardplan.records.memo import by_identity
from shardplan.records.record import dump

if TYPE_CHECKING:
    from shardplan.records.record import Record


@by_identity
def fingerprint(record: Record) -> str:
    """Return the SHA-256 of a record's canonical JSON.

    Two records have the same one if they mean the same: the order of keys and
    defaults that are written out do not count.
    """
    text = json.dumps(dump(record), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprints(inputs: Inputs) -> Fingerprints:
    """Return the fingerprints of a plan's inputs."""
    return Fingerprints(
        workload=fingerprint(inputs.workload),
        topology=fingerprint(inputs.topology),
        cost_model=fingerprint(inputs.cost_model),
    )
