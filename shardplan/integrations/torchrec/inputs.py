"""Read what a batch asks of a table from TorchRec's constraints."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import Fault, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shardplan.integrations.torchrec.tables import FoundTable

logger = logging.getLogger(__name__)


class SampleInputs(NamedTuple):
    """What a sample asks of a table; the names are those of `EmbeddingTable`."""

    pooling_factor: float
    num_outputs: int
    batch_factor: float


def read_inputs(found: FoundTable, limits: Any, batch_size: int) -> SampleInputs:
    """Fold the inputs of a table into one number each.

    Parameters
    ----------
    limits : ParameterConstraints or None
        Pooling factor L, poolings per sample P and samples per rank B of each input.
    batch_size : int
        Samples per rank of inputs that have no batch of their own.

    Raises
    ------
    InputError
        For lists of different lengths: it is not known which number is whose.

    Notes
    -----
    With F outputs per sample the batch factor is sum P B / (batch size * sum P), so
    that lookups, sum L P B, are exact, and so are outputs if sum P is whole.
    """
    features = max(1, len(found.feature_names))
    factors = tuple(map(float, limits.pooling_factors)) if limits is not None else ()
    if not factors:
        return SampleInputs(float(features), features, 1.0)
    given = {name: getattr(limits, name) for name in ("num_poolings", "batch_sizes")}
    problems = [
        Fault(
            f"table {found.name}",
            name,
            str(list(numbers)),
            f"pooling_factors has {len(factors)} entries: give one number for each",
        )
        for name, numbers in given.items()
        if numbers and len(numbers) != len(factors)
    ]
    if problems:
        raise InputError(problems)
    poolings = given["num_poolings"] or (1.0,) * len(factors)
    batches = given["batch_sizes"] or (batch_size,) * len(factors)
    inputs = list(zip(factors, poolings, batches, strict=True))
    lookups = sum(factor * pooling * batch for factor, pooling, batch in inputs)
    samples = sum(pooling * batch for _, pooling, batch in inputs)
    share = samples / (batch_size * sum(poolings)) if samples else 1.0
    outputs = max(1, round(sum(poolings))) if given["num_poolings"] else features
    return SampleInputs(lookups / (batch_size * share), outputs, share)


def warn_of_unused(found: Iterable[FoundTable], limits: Mapping[str, Any]) -> None:
    """Say which constraints are for no table, or for more inputs than it has."""
    features = {table.name: len(table.feature_names) for table in found}
    unknown = sorted(set(limits) - set(features))
    if unknown:
        logger.warning("constraints are for tables that are not there: %s", unknown)
    for name in sorted(set(limits) & set(features)):
        given, known = len(limits[name].pooling_factors or ()), features[name]
        if given > max(1, known):
            logger.warning(
                "table %s: %d pooling_factors for %d features; all are counted",
                name,
                given,
                known,
            )
