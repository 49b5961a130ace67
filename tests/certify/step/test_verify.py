"""No certificate proves more than the shortest step of all plans."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.step.bound import step_bound
from shardplan.certify.step.convex import ConvexStep
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.mixture import Mixture
from shardplan.certify.step.verify import verify_step
from shardplan.records.certificate import Certificate, Circuit, StepCase
from tests.certify.step.test_circuits import walk
from tests.certify.step.tiny import tiny
from tests.certify.test_mutations import changed_case, changed_number

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

SEEDS = (1, 2, 3, 4, 6)


@cache
def proven(seed: int) -> Certificate:
    """Prove something about a tiny problem, with a limit that no proof reaches."""
    problem, best_s = tiny(seed)
    return step_bound(problem, 1.2 * best_s, is_quick=seed > 2)[0]


def changed_circuits(
    rng: np.random.Generator, circuits: list[Circuit]
) -> tuple[Circuit, ...]:
    """Change shares, or which operations a circuit passes."""
    at = int(rng.integers(len(circuits)))
    names, share = list(circuits[at].operations), circuits[at].share
    kind, where = int(rng.integers(6)), int(rng.integers(len(names)))
    if kind == 0:
        share = changed_number(rng, share)
    elif kind == 1:
        names.pop(where)
    elif kind == 2:
        names.insert(where, str(rng.choice(names)))
    elif kind == 3:
        names *= int(rng.integers(1, 4))
    elif kind == 4:
        names = list(rng.permutation(names))
    else:
        circuits = [*circuits, circuits[at]]
    circuits[at] = Circuit.model_construct(operations=tuple(names), share=share)
    return tuple(circuits)


def changed_step(rng: np.random.Generator, case: StepCase) -> StepCase:
    """Change one thing of a case."""
    changes: dict[str, Any] = {}
    kind = int(rng.integers(7))
    if kind == 0 and case.circuits:
        changes["circuits"] = changed_circuits(rng, list(case.circuits))
    elif kind == 1 and case.slopes:
        slopes = dict(case.slopes)
        name = str(rng.choice(list(slopes)))
        slopes[name] = changed_number(rng, slopes[name] or 0.1)
        changes["slopes"] = tuple(slopes.items())
    elif kind == 2 and case.split:
        changes["at_s"] = changed_number(rng, case.at_s or 1e-5)
    elif kind == 3:
        names = ["output_all_to_all", "embedding_forward", "reduce_scatter", "x", None]
        changes["split"] = case.split and names[int(rng.integers(len(names)))]
    elif kind == 6:
        name = str(rng.choice(["output_all_to_all", "embedding_forward", "x"]))
        price = changed_number(rng, case.threshold_s or 1e-4)
        count = (name, int(rng.integers(4)), price)
        changes["counts"] = (*case.counts, count)
        beside = ("gradient_all_to_all", changed_number(rng, 1e-4))
        changes["filling"] = (*case.filling, (*count, *beside))
    elif kind == 4:
        changes["threshold_s"] = changed_number(rng, case.threshold_s or 1e-3)
    elif case.cases:
        inner = list(case.cases)
        at = int(rng.integers(len(inner)))
        inner[at] = changed_case(rng, inner[at], 6)
        changes["cases"] = tuple(inner)
    return case.model_copy(update=changes)


def changed(rng: np.random.Generator, start: Certificate) -> Certificate:
    """Change a certificate in one to three places; nothing is validated."""
    limit, steps = start.threshold_s, list(start.steps)
    for _ in range(rng.integers(1, 4)):
        kind, at = int(rng.integers(10)), int(rng.integers(len(steps)))
        if kind == 0:
            limit = changed_number(rng, limit or 1e-3)
        elif kind == 1 and len(steps) > 1:
            steps.pop(at)
        elif kind == 2:
            steps.insert(int(rng.integers(len(steps) + 1)), steps[at])
        elif kind == 3:
            other = int(rng.integers(len(steps)))
            steps[at], steps[other] = steps[other], steps[at]
        else:
            steps[at] = changed_step(rng, steps[at])
    return start.model_copy(update={"threshold_s": limit, "steps": tuple(steps)})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [25, pytest.param(1_000, marks=pytest.mark.long)])
def test_no_changed_certificate_exceeds_the_optimum(seed: int, count: int) -> None:
    """Each is refused, or proves no more than the shortest step."""
    problem, best_s = tiny(seed)
    rng = np.random.default_rng([seed, count])
    refused = 0
    for _ in range(count):
        mutant = changed(rng, proven(seed))
        try:
            bound_s = verify_step(problem, mutant)
        except InvalidCertificateError:
            refused += 1
            continue
        assert 0.0 <= bound_s <= best_s * (1.0 + 1e-12)
    assert count / 10 < refused < count


def one_case(problem: Problem, limit_s: float = 1.0, **case: Any) -> Certificate:
    """Make a certificate of one case, of which nothing is validated."""
    return Certificate.model_construct(
        all_tiers=False,
        num_options=len(problem.options),
        threshold_s=limit_s,
        cases=(),
        steps=(StepCase.model_construct(**case),),
    )


def test_reasons_are_given() -> None:
    """Every kind of broken certificate is refused with its reason."""
    problem, _ = tiny(1)
    leaf, good = StepCase(), one_case(problem)

    def path(*names: str, share: float = 0.5) -> Certificate:
        circuit = Circuit.model_construct(operations=names, share=share)
        return one_case(problem, circuits=(circuit,))

    def steps(*cases: StepCase) -> Certificate:
        return good.model_copy(update={"steps": cases})

    both = (Circuit(operations=("overhead",), share=0.6),) * 2
    slope = {"slopes": (("output_all_to_all", 1.7e308),)}
    nan = {"split": "id_exchange", "at_s": math.nan}
    split = StepCase(split="embedding_forward", at_s=0.0)
    table = problem.options.table
    first, two = (0,), (int(table.argmin()), int(table.argmax()))
    far = (len(table),)
    broken = {
        "split in two ways": steps(split.model_copy(update={"options": first}), leaf),
        "options of one table": steps(StepCase(options=two), leaf, leaf),
        "that exist": steps(StepCase(options=far), leaf, leaf),
        "needs threshold_s": good.model_copy(update={"threshold_s": None}),
        "threshold_s must be": good.model_copy(update={"threshold_s": -1.0}),
        "menu of": good.model_copy(update={"num_options": 1}),
        "no operation 'x'": path("x"),
        "does not wait for": path("top_forward", "overhead"),
        "shares of paths must be": path("overhead", share=-0.1),
        "more than 1": one_case(problem, circuits=both),
        "slopes must be": one_case(problem, **slope),
        "counts need an operation": one_case(problem, counts=(("x", 1, 0.0),)),
        "need an operation": one_case(
            problem, filling=(("id_exchange", 1, 0.0, "x", 1e-4),)
        ),
        "pieces, and prices": one_case(
            problem, filling=(("id_exchange", 1, 0.0, "id_exchange", np.inf),)
        ),
        "whole pieces": one_case(problem, counts=(("id_exchange", 0, 0.0),)),
        "prices from 0 to": one_case(problem, counts=(("id_exchange", 1, -1.0),)),
        "at_s of a split": steps(StepCase.model_construct(**nan), leaf, leaf),
        "no operation 'top_forward'": steps(StepCase(split="top_forward"), leaf, leaf),
        "more cases than": steps(leaf, leaf),
        "a case of a split is missing": steps(split, leaf),
        "without plans is split": steps(split, split, leaf, leaf, leaf),
    }
    assert verify_step(problem, good) == 0.0
    for reason, certificate in broken.items():
        with pytest.raises(InvalidCertificateError, match=reason):
            verify_step(problem, certificate)


@pytest.mark.parametrize("limit_s", [1e-30, 1.0, 1e5, 1e300, math.inf])
@pytest.mark.parametrize("slope", [0.0, 1.0, 1e6])
def test_no_number_is_too_large(limit_s: float, slope: float) -> None:
    """Lines as steep as they may be, with any threshold, prove nothing false."""
    problem, best_s = tiny(1)
    names = ("output_all_to_all", "id_exchange", "reduce_scatter")
    slopes = tuple((name, slope) for name in names)
    graph, rng = StepMenu.of(problem).graph, np.random.default_rng(0)
    for circuits in ((), *((walk(graph, rng),) for _ in range(3))):
        case = {"circuits": circuits, "slopes": slopes}
        bound_s = verify_step(problem, one_case(problem, limit_s, **case))
        assert 0.0 <= bound_s <= best_s


def test_many_circuits_and_cases_are_only_many() -> None:
    """A thousand shares add up as one does; a deep split is no deep recursion."""
    problem, _ = tiny(1)
    circuit = walk(StepMenu.of(problem).graph, np.random.default_rng(0))
    part = circuit.model_copy(update={"share": circuit.share / 1024})
    few, many = (one_case(problem, circuits=c) for c in ((circuit,), (part,) * 1024))
    assert verify_step(problem, few) > 0.0
    assert verify_step(problem, many) == pytest.approx(verify_step(problem, few))
    chain = [
        case
        for i in range(150)
        for case in (StepCase(split="id_exchange", at_s=1e-9 * i), StepCase())
    ]
    deep = one_case(problem).model_copy(update={"steps": (*chain, StepCase())})
    assert verify_step(problem, deep) == 0.0


def test_a_table_without_options_has_no_plan() -> None:
    """Then every threshold is proven."""
    problem, _ = tiny(1)
    options = problem.options
    keep = np.flatnonzero(options.table > 0)
    empty = replace(problem, options=options.select(keep, problem.num_bundles))
    assert verify_step(empty, one_case(empty, 0.5)) == 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_cases_by_options_hold_for_all_plans(seed: int) -> None:
    """By whatever options: the worse half is a bound, and both halves are needed."""
    problem, best_s = tiny(seed)
    start, limit_s = problem.options.start, 1.2 * best_s
    halves = []
    for bundle in range(problem.num_bundles):
        for option in range(start[bundle], start[bundle + 1]):
            few = StepMenu.of(problem).taking(np.array([option]))
            leaves = tuple(leaf_of(menu, limit_s) for menu in few)
            split = StepCase(options=(option,))
            known = Certificate(
                num_options=len(problem.options),
                all_tiers=problem.all_tiers,
                threshold_s=limit_s,
                steps=(split, *leaves),
            )
            halves.append(verify_step(problem, known))
            assert halves[-1] <= best_s * (1.0 + 1e-12)
            lacking = known.model_copy(update={"steps": (split, leaves[0])})
            with pytest.raises(InvalidCertificateError, match="missing"):
                verify_step(problem, lacking)
    assert max(halves) > 0.0


def leaf_of(menu: StepMenu | None, limit_s: float) -> StepCase:
    """Prove something about one case, by circuits and prices."""
    if menu is None:
        return StepCase()
    mixed = ConvexStep(menu, menu.staircases(limit_s), limit_s).solve(None)
    assert mixed is not None
    mixture = Mixture(menu, mixed.circuits, mixed.slopes, limit_s)
    bound = lower_bound(mixture.problem, relaxed=mixture.relaxed)
    return StepCase(
        circuits=mixed.circuits,
        slopes=tuple(mixed.slopes.items()),
        cases=bound.certificate.cases,
    )
