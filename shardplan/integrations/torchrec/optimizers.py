"""Read the optimizer that tables carry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shardplan.errors import InputError
from shardplan.records.optimizers import FACTS
from shardplan.records.workload import Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.integrations.torchrec.tables import FoundTable

logger = logging.getLogger(__name__)

# TorchRec 1.8.0, torchrec/distributed/utils.py, _OPTIMIZER_CLASS_TO_EMB_OPT_TYPE: the
# classes of torch.optim and torchrec.optim that it can fuse; others are a ValueError.
_OPTIMIZERS = {
    "SGD": Optimizer.SGD,
    "LarsSGD": Optimizer.LARS_SGD,
    "Adagrad": Optimizer.ADAGRAD,
    "RowWiseAdagrad": Optimizer.ROWWISE_ADAGRAD,
    "Adam": Optimizer.ADAM,
    "PartialRowWiseAdam": Optimizer.PARTIAL_ROWWISE_ADAM,
    "LAMB": Optimizer.LAMB,
    "PartialRowWiseLAMB": Optimizer.PARTIAL_ROWWISE_LAMB,
}


def read_optimizer(found: Sequence[FoundTable]) -> Optimizer:
    """Return the tables' optimizer; of several, the one with the most state.

    Raises
    ------
    InputError
        For a class that TorchRec cannot fuse into the backward pass: how much it keeps
        is not known.
    """
    names = sorted({table.optimizer.__name__ for table in found if table.optimizer})
    unknown = [name for name in names if name not in _OPTIMIZERS]
    if unknown:
        rule = f"TorchRec fuses only {', '.join(_OPTIMIZERS)}"
        raise InputError.single("model", "optimizer", ", ".join(unknown), rule)
    if not names:
        return Optimizer.ROWWISE_ADAGRAD
    if len(names) > 1:
        logger.warning(
            "tables have several optimizers (%s): the largest state is counted",
            ", ".join(names),
        )
    return max((_OPTIMIZERS[name] for name in names), key=_state)


def _state(optimizer: Optimizer) -> tuple[int, int]:
    facts = FACTS[optimizer]
    return facts.per_element, facts.per_row
