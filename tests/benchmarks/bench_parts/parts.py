"""The parts of `auto`: the switches among its parameters.

A part with a new switch is measured without another word here.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from shardplan.certify import dual
from shardplan.records.record import Record
from shardplan.solvers import auto, selection
from shardplan.solvers.params import SolverParams
from shardplan.solvers.search import anneal, perturbation, portfolio, starts

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROL = "control"
"""Not a part: another seed and all parts on, which shows what is noise."""

AT_WORK: dict[str, tuple[Any, str]] = {
    "auto.ldm": (auto.LargestDifferencing, "solve"),
    "auto.uniform": (auto.Uniform, "solve"),
    "auto.exact_first": (auto.Auto, "_is_proven"),
    "auto.shelf": (auto.Shelves, "solve"),
    "auto.pack": (auto.Packer, "improve"),
    "auto.search": (auto.Portfolio, "run"),
    "auto.max_rank_first": (auto.Portfolio, "run_briefly"),
    "auto.neighbourhoods": (auto.Neighbourhood, "improve"),
    "auto.exact": (auto.Auto, "_exactly"),
    "auto.strengthen": (auto, "strengthen"),
    "choice.linear_program": (selection, "choose_by_linear_program"),
    "search.limits": (starts.Starts, "begin"),
    "search.idle_time": (starts.Starts, "begin"),
    "search.race": (portfolio.Portfolio, "run"),
    "search.settled_race": (anneal.Annealer, "keep_options"),
    "search.cut_finer": (perturbation.Perturbation, "_cut_finer"),
    "search.restarts": (starts.Starts, "draw"),
    "search.anneal.random_groups": (anneal.Annealer, "cycle"),
    "search.anneal.worst_groups": (anneal.Annealer, "cycle"),
    "search.anneal.pairs": (anneal.Annealer, "_random_pairs"),
    "search.anneal.variants": (anneal.VariantChanger, "make"),
    "search.anneal.recut": (anneal.Annealer, "_to_recut"),
    "search.anneal.descent": (anneal.Annealer, "_descend"),
    "search.anneal.levelling": (anneal.Levelling, "steps"),
    "proof.cases": (dual._ThresholdSearch, "by_cases"),
    "proof.patterns": (dual._ThresholdSearch, "by_patterns"),
}
"""What is called when a part is at work; others are taken to be at work always."""


def part_names() -> list[str]:
    """Names of all switches, as paths into `SolverParams`, and the control."""
    return [*_switches(SolverParams()), CONTROL]


def _switches(record: Record, path: str = "") -> Iterator[str]:
    for name in type(record).model_fields:
        value = getattr(record, name)
        if isinstance(value, Record):
            yield from _switches(value, f"{path}{name}.")
        elif value is True:
            yield f"{path}{name}"


def without(part: str) -> SolverParams:
    """Return the parameters with a part switched off."""
    params = SolverParams()
    return params if part == CONTROL else _off(params, part.split("."))


def _off(record: Any, path: list[str]) -> Any:
    value = _off(getattr(record, path[0]), path[1:]) if path[1:] else False
    return record.model_copy(update={path[0]: value})


@contextmanager
def watched(seen: set[str]) -> Iterator[None]:
    """Within the block, note which parts are at work."""
    seen.update(set(part_names()) - set(AT_WORK))
    with ExitStack() as stack:
        for part, (owner, name) in AT_WORK.items():
            noting = _noting(getattr(owner, name), part, seen)
            stack.enter_context(patch.object(owner, name, noting))
        yield


def _noting(original: Any, part: str, seen: set[str]) -> Any:
    def call(*args: Any, **more: Any) -> Any:
        seen.add(part)
        return original(*args, **more)

    return call
