"""Nothing that is changed at random proves more than the truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from shardplan.certify.dual import lower_bound, strengthen
from shardplan.certify.longest_prices import longest_rounds
from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.verify import replay, verify
from shardplan.checking import check, examine
from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Plan
from shardplan.records.certificate import Case, Certificate, PatternPrices, Prices
from shardplan.records.sharding import SUMS, Objective
from tests.certify.test_dual import CLUSTERS, draw
from tests.helpers import COST_MODEL, ONE_HOST, Instance, assert_tiles, workload
from tests.solvers.helpers import brute_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Problem

_FACTORS = (-1.0, 0.0, 0.5, 0.9, 1 + 1e-9, 1.001, 1.1, 2.0, 10.0, 1e6)
_ODD = (math.nan, math.inf, -math.inf, 1e300, -1e-300)


def solvable(count: int) -> Iterator[tuple[Problem, float, Certificate]]:
    """Yield tiny problems with a plan, their optimum and a certificate."""
    names = list(CLUSTERS)
    seed = 0
    while count:
        objective = SUMS[seed % 2]
        problem = draw(seed, CLUSTERS[names[seed % len(names)]], objective)
        optimum, _ = brute_force(problem)
        seed += 1
        if math.isfinite(optimum):
            bound = strengthen(problem, lower_bound(problem), optimum)
            yield problem, optimum, with_longest(problem, optimum, bound.certificate)
            count -= 1


def with_longest(
    problem: Problem, limit: float, certificate: Certificate
) -> Certificate:
    """Add rounds with prices of longest items to the first case, where they apply."""
    more = longest_rounds(Relaxed.of(problem), limit, None)
    if certificate.threshold_s is None:
        return certificate
    first = certificate.cases[0]
    first = first.replace(rounds=(*more, *first.rounds))
    return certificate.replace(cases=(first, *certificate.cases[1:]))


def changed_longest(
    rng: np.random.Generator, longest: tuple[tuple[int, int, float], ...]
) -> tuple[tuple[int, int, float], ...]:
    """Change whose longest item has a price, or the price; or write one twice."""
    found = list(longest)
    at = int(rng.integers(len(found)))
    bundle, phase, price = found[at]
    kind = rng.integers(3)
    if kind == 0:
        found[at] = bundle + int(rng.integers(-1, 2)), phase, price
    elif kind == 1:
        found[at] = bundle, phase, changed_number(rng, price)
    else:
        found.append((bundle, phase + int(rng.integers(-1, 2)), price))
    return tuple(found)


def changed_number(rng: np.random.Generator, value: float) -> float:
    if rng.random() < 0.1:
        return float(rng.choice(_ODD))
    factor = rng.choice(_FACTORS) if rng.random() < 0.7 else rng.lognormal(0, 0.3)
    return value * float(factor)


def changed_prices(rng: np.random.Generator, prices: Prices) -> Prices:
    """Change one number, or a length, of a set of prices; nothing is validated."""
    if prices.longest and rng.random() < 0.5:
        longest = changed_longest(rng, prices.longest)
        return prices.model_copy(update={"longest": longest})
    rows = [list(row) for row in prices.ranks]
    pools = [list(prices.hbm), list(prices.ddr), list(prices.ssd)]
    lists = [*rows, *pools]
    chosen = lists[rng.integers(len(lists))]
    if rng.random() < 0.05:
        chosen.append(0.0)
    elif rng.random() < 0.05:
        chosen.pop()
    else:
        at = int(rng.integers(max(len(chosen), 1)))
        chosen += [] if chosen else [0.0]
        bump = 0.0 if rng.random() < 0.7 else 10.0 ** rng.uniform(-13, 0)
        chosen[at] = changed_number(rng, chosen[at]) + bump
    return Prices.model_construct(
        ranks=tuple(map(tuple, rows)),
        hbm=tuple(pools[0]),
        ddr=tuple(pools[1]),
        ssd=tuple(pools[2]),
        longest=prices.longest,
    )


def changed_patterns(rng: np.random.Generator, known: PatternPrices) -> PatternPrices:
    """Change prices of items, which items they are for, or a pool's price."""
    items, prices = list(known.items), list(known.prices)
    pools = {"hbm": known.hbm, "ddr": known.ddr, "ssd": known.ssd}
    kind = rng.integers(4) if items else 3
    at = int(rng.integers(len(items))) if items else 0
    if kind == 0:
        items[at] += int(rng.integers(-2, 3))
    elif kind == 1:
        prices = [changed_number(rng, price) for price in prices]
    elif kind == 2:
        prices[at] = changed_number(rng, prices[at])
    else:
        name = str(rng.choice(list(pools)))
        pools[name] = changed_number(rng, pools[name] or 0.1)
    return PatternPrices.model_construct(
        items=tuple(items), prices=tuple(prices), **pools
    )


def changed_case(rng: np.random.Generator, case: Case, dims: int) -> Case:
    rounds, phase, at_s = list(case.rounds), case.phase, case.at_s
    patterns = list(case.patterns)
    kind = rng.integers(5)
    if patterns and rng.random() < 0.7:
        patterns[0] = changed_patterns(rng, patterns[0])
    elif kind == 0 and rounds:
        rounds.pop(int(rng.integers(len(rounds))))
    elif kind == 1:
        phase = None if rng.random() < 0.2 else int(rng.integers(-1, dims + 1))
        at_s = at_s or 10.0 ** rng.uniform(-6, -1)
    elif kind == 2:
        at_s = changed_number(rng, at_s)
    elif rounds:
        at = int(rng.integers(len(rounds)))
        rounds[at] = changed_prices(rng, rounds[at])
    return Case.model_construct(
        rounds=tuple(rounds), patterns=tuple(patterns), phase=phase, at_s=at_s
    )


def changed(rng: np.random.Generator, start: Certificate, dims: int) -> Certificate:
    """Change a certificate in one to three places."""
    limit, cases = start.threshold_s, list(start.cases)
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(8)
        at = int(rng.integers(len(cases))) if cases else 0
        if kind == 0:
            base = 1e-3 if limit is None else limit
            limit = None if rng.random() < 0.2 else changed_number(rng, base)
        elif kind == 1 and cases:
            cases.pop(at)
        elif kind == 2 and cases:
            cases.insert(int(rng.integers(len(cases) + 1)), cases[at])
        elif cases:
            cases[at] = changed_case(rng, cases[at], dims)
    return Certificate.model_construct(
        all_tiers=start.all_tiers,
        num_options=start.num_options,
        threshold_s=limit,
        cases=tuple(cases),
    )


def test_no_changed_certificate_exceeds_the_optimum() -> None:
    """Of 10,000 mutations each is refused, or proves no more than the optimum."""
    rng = np.random.default_rng(0)
    refused = 0
    for problem, optimum, certificate in solvable(25):
        relaxed = Relaxed.of(problem)
        for _ in range(400):
            mutant = changed(rng, certificate, relaxed.num_dimensions)
            limit = mutant.threshold_s
            if limit is not None and not limit > 0:
                with pytest.raises(InvalidCertificateError):
                    verify(problem, mutant)
                refused += 1
                continue
            try:
                limit = math.inf if limit is None else limit
                value = replay(relaxed, mutant.cases, limit)
            except InvalidCertificateError:
                refused += 1
                continue
            assert value <= optimum * (1 + 1e-12)
    assert 1_000 < refused < 9_000


def test_reasons_are_given() -> None:
    """Every kind of broken certificate is refused with its reason."""
    problem = draw(1, CLUSTERS["one host"], Objective.STEP)
    good = lower_bound(problem).certificate
    prices = good.cases[0].rounds[0]

    def with_prices(**changes: Any) -> Certificate:
        broken = prices.model_copy(update=changes)
        case = Case(rounds=()).model_copy(update={"rounds": (broken,)})
        return good.model_copy(update={"cases": (case,), "threshold_s": None})

    split = Case(rounds=(prices,), phase=2, at_s=1e-3)
    leaf = Case(rounds=(prices,))
    high = tuple(tuple(1.01 * p for p in row) for row in prices.ranks)
    broken = {
        "menu of": good.model_copy(update={"num_options": good.num_options + 1}),
        "other memory tiers": good.model_copy(update={"all_tiers": True}),
        "threshold_s must be": good.model_copy(update={"threshold_s": 0.0}),
        "add up to": with_prices(ranks=high),
        "none below 0": with_prices(hbm=(-1e-300,)),
        "must be numbers": with_prices(ddr=(math.nan,)),
        "1 prices each": with_prices(ssd=()),
        "classes and 6 phases": with_prices(ranks=(prices.ranks[0][:5],)),
        "a case of a split is missing": good.model_copy(
            update={"cases": (split, leaf), "threshold_s": 1.0}
        ),
        "more cases than": good.model_copy(update={"cases": (leaf, leaf)}),
        "a phase that does not exist": good.model_copy(
            update={"cases": (split.model_copy(update={"phase": 6}), leaf, leaf)}
        ),
    }
    for reason, certificate in broken.items():
        with pytest.raises(InvalidCertificateError, match=reason):
            verify(problem, certificate)


def test_files_hold_no_illegal_numbers() -> None:
    """What a plan file can say is checked when it is read."""
    good = {"ranks": [[0.5]], "hbm": [0.0], "ddr": [0.0], "ssd": [0.0]}
    Prices.model_validate(good)
    for broken in ({"hbm": [-1.0]}, {"ddr": [math.nan]}, {"ssd": ["1"]}, {"x": 1}):
        with pytest.raises(ValidationError):
            Prices.model_validate(good | broken)
    with pytest.raises(ValidationError):
        Certificate(num_options=1, cases=())


def tiny(objective: Objective) -> tuple[Instance, Problem]:
    tables = [
        {"name": f"t{i}", "num_embeddings": 10 ** (5 + i % 2), "pooling_factor": 8 + i}
        for i in range(4)
    ]
    types = {"sharding_types": ["table_wise", "column_wise", "row_wise"]}
    instance = Instance(workload(*tables), ONE_HOST, COST_MODEL)
    instance = instance.with_workload(constraints=types)
    return instance, instance.problem(objective=objective)


def _claim(rng: np.random.Generator, data: dict[str, Any]) -> None:
    """Change the value or the bound, and the gap with them."""
    outcome = data["outcome"]
    key = rng.choice(["objective_s", "lower_bound_s"])
    outcome[key] *= float(rng.choice([0.9, 0.999, 1 + 1e-10, 1.001, 1.05]))
    outcome["gap"] = outcome["objective_s"] / outcome["lower_bound_s"] - 1


def _say(rng: np.random.Generator, data: dict[str, Any]) -> None:
    """Change what else the plan says about itself."""
    outcome = data["outcome"]
    key, value = [
        ("status", "optimal"),
        ("gap", outcome["gap"] * float(rng.choice([0.5, 1 + 1e-6, 2.0]))),
        ("gap", None),
        ("claimed_bound_s", outcome["objective_s"] * float(rng.uniform(0.5, 1.5))),
    ][rng.integers(4)]
    outcome[key] = value


def _sign(rng: np.random.Generator, data: dict[str, Any]) -> None:
    """Change the objective or a digit of a fingerprint."""
    if rng.random() < 0.5:
        data["objective"] = rng.choice([str(o.value) for o in Objective])
        return
    key = rng.choice(["workload", "topology", "cost_model"])
    text, at = data["fingerprints"][key], rng.integers(64)
    digit = "0123456789abcdef"[rng.integers(16)]
    data["fingerprints"][key] = text[:at] + digit + text[at + 1 :]


def _move(rng: np.random.Generator, data: dict[str, Any]) -> None:
    """Change the ranks of a block."""
    first, last = sorted(rng.integers(5, size=2).tolist())
    one, other = rng.permutation(4)[:2].tolist()
    ranks = [f"{first}", f"{first}-{last}", f"{one},{other}", f"{one},{one}", "0-3"]
    _block(rng, data)["ranks"] = str(rng.choice(ranks))


def _cut(rng: np.random.Generator, data: dict[str, Any]) -> None:
    """Change which rows or columns a block has."""
    block = _block(rng, data)
    if rng.random() < 0.5:
        key = str(rng.choice(["column_offset", "num_columns"]))
        block[key] = int(rng.choice([block[key], 0, 1, 32, 64, 128, block[key] + 1]))
        return
    count = int(rng.integers(1, 4))
    rows = int(rng.choice([10**5, 10**6]))
    part = rows // count
    sizes = [part] * (count - 1) + [rows - part * (count - 1)]
    sizes[0] += int(rng.choice([0, 1, -1]))
    block["row_sizes"] = sizes


def _rename(rng: np.random.Generator, data: dict[str, Any]) -> None:
    """Change a table's type, kernel, row type, tiers or name, or leave it out."""
    entry = data["tables"][rng.integers(len(data["tables"]))]
    changes: list[tuple[str, Any]] = [
        ("sharding_type", rng.choice(["table_wise", "row_wise", "column_wise"])),
        ("compute_kernel", rng.choice(["fused", "dense", "fused_uvm"])),
        ("dtype", rng.choice(["fp32", "fp16", "int8"])),
        ("tiers", {"hbm": float(rng.choice([0.5, 1.0]))}),
        ("tiers", {"ddr": 1.0}),
        ("name", f"t{rng.integers(5)}"),
    ]
    key, value = changes[rng.integers(len(changes))]
    entry[key] = value if isinstance(value, dict) else str(value)
    if rng.random() < 0.1:
        data["tables"].remove(entry)
    elif rng.random() < 0.1:
        data["tables"].append(entry)


def _other_input(rng: np.random.Generator, data: dict[str, Any]) -> None:
    """Change what was planned, behind the fingerprint's back."""
    inputs = data["inputs"] = data["inputs"].model_dump(mode="json")
    if rng.random() < 0.5:
        table = inputs["workload"]["tables"][rng.integers(4)]
        table["num_embeddings"] += int(rng.choice([0, 1, -1]))
        return
    device = inputs["topology"]["host_groups"][0]["device"]
    device["hbm_bytes"] = int(device["hbm_bytes"] * rng.choice([1.0, 0.5, 2.0]))


def _block(rng: np.random.Generator, data: dict[str, Any]) -> dict[str, Any]:
    blocks = data["tables"][rng.integers(len(data["tables"]))]["blocks"]
    found: dict[str, Any] = blocks[rng.integers(len(blocks))]
    return found


CHANGES = (_claim, _say, _sign, _move, _cut, _rename, _other_input)


def changed_plan(rng: np.random.Generator, plan: Plan, dims: int) -> Plan | None:
    """Change a claim, the certificate or a placement; None if no record allows it.

    Inputs that are not changed are those of the plan itself, so that what follows from
    them is computed once.
    """
    data = plan.model_dump(mode="json", exclude={"certificate", "inputs"})
    data["inputs"] = plan.inputs
    kind = int(rng.integers(len(CHANGES) + 1))
    if kind < len(CHANGES):
        CHANGES[kind](rng, data)
    try:
        mutant = Plan.model_validate(data)
    except ValidationError:
        return None
    certificate = plan.certificate
    assert certificate is not None
    if kind == len(CHANGES) or rng.random() < 0.1:
        certificate = changed(rng, certificate, dims)
    return mutant.model_copy(update={"certificate": certificate})


@pytest.mark.slow
@pytest.mark.parametrize("count", [1_000, pytest.param(5_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("objective", SUMS)
def test_no_changed_plan_is_wrongly_accepted(objective: Objective, count: int) -> None:
    """Those accepted are true: whole, worth it, and proven."""
    rng = np.random.default_rng(1)
    instance, problem = tiny(objective)
    plan = instance.solve(objective=objective, solver="greedy").plan
    optimum = instance.solve(objective=objective, solver="ilp").objective_s
    dims = Relaxed.of(problem).num_dimensions
    accepted = changed_ranks = illegible = refused = 0
    for _ in range(count):
        mutant = changed_plan(rng, plan, dims)
        if mutant is None:
            illegible += 1
            continue
        verdict = examine(mutant, menu=problem)
        if verdict.violations:
            refused += 1
            continue
        accepted += 1
        changed_ranks += mutant.tables != plan.tables
        assert mutant.objective is objective
        assert mutant.inputs == plan.inputs
        assert mutant.fingerprints == plan.fingerprints
        assert_tiles(mutant)
        evaluation = evaluate(mutant)
        assert evaluation.loads.fits(evaluation.capacity)
        value = evaluation.value(objective)
        assert mutant.outcome.objective_s == pytest.approx(value, rel=1e-8)
        assert verdict.bound == "proven" or not mutant.outcome.lower_bound_s
        assert mutant.outcome.lower_bound_s <= optimum * (1 + 1e-9)
        assert value >= optimum * (1 - 1e-6)
    assert accepted > count / 25
    assert changed_ranks > count / 1_000
    assert refused > count / 2
    assert illegible < count / 3


def test_a_certificate_survives_its_file(tmp_path: Any) -> None:
    """A plan that is written and read proves the same bound."""
    instance, _ = tiny(Objective.STEP)
    plan = instance.solve(solver="greedy").plan
    plan.save(tmp_path / "plan.json")
    again = Plan.load(tmp_path / "plan.json")
    assert again.certificate == plan.certificate
    assert check(again) == ()


def test_plans_without_certificate_stay_readable() -> None:
    """Plans of older versions have neither certificate nor claimed bound."""
    instance, _ = tiny(Objective.STEP)
    data = instance.solve(solver="greedy").plan.model_dump(mode="json")
    del data["certificate"], data["outcome"]["claimed_bound_s"]
    old = Plan.model_validate(data)
    assert check(old) == ()
    assert examine(old).bound == "claimed"
