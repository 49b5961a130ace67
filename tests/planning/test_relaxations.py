"""Advice after "infeasible", number by number: what is tried, and where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.planning.relaxations import Relaxation, relaxations
from shardplan.problems.problem import Problem, build_problem
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import Target
from tests.helpers import COST_MODEL, host_group, topology, workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

    Wish = Callable[[Workload, Topology], bool]

GB = 10**9
KEPT = {"compute_kernels": ["fused"]}
MODULE = "shardplan.planning.relaxations"


@pytest.fixture
def advice(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Relaxation]]:
    """Ask for advice where a plan is found as soon as the inputs are as one wishes."""
    tried: list[tuple[Workload, Topology]] = []

    def building(model: Workload, cluster: Topology, *args: Any, **kw: Any) -> Problem:
        tried.append((model, cluster))
        return build_problem(model, cluster, *args, **kw)

    monkeypatch.setattr(f"{MODULE}.build_problem", building)

    def ask(model: Workload, cluster: Topology, wish: Wish) -> dict[str, Relaxation]:
        inputs = Inputs(workload=model, topology=cluster, cost_model=COST_MODEL)
        found = relaxations(inputs, Target.ANY, lambda _: wish(*tried[-1]))
        return {relaxation.change: relaxation for relaxation in found}

    return ask


SMALL = workload({}, constraints=KEPT)


def hbm(cluster: Topology) -> int:
    sizes = [group.device.hbm_bytes for group in cluster.host_groups]
    return min(cluster.rank_hbm_bytes or sizes)


def ddr(cluster: Topology) -> int:
    return min(group.host.ddr_bytes for group in cluster.host_groups)


def rows(model: Workload) -> int:
    return model.tables[0].num_embeddings


@pytest.mark.parametrize("needed", [2, 3, 7, 16, 17, 30, 100, 160, 161])
def test_hosts_to_within_two_percent(advice: Any, needed: int) -> None:
    """The smallest number that is enough, or up to 2 % more, up to 16 times."""
    for now in (1, 10):
        cluster = topology(num_hosts=now)
        wish = lambda _, cluster: cluster.num_hosts >= needed  # noqa: E731
        found = advice(SMALL, cluster, wish)
        if needed <= now:
            continue  # it fits already, so whatever is asked first will do
        if needed > 16 * now:
            assert "hosts" not in found
            continue
        number = found["hosts"].value
        assert needed <= number <= max(needed, 1.02 * needed)
        text = f"{number} hosts ({4 * number} ranks) instead of {now}"
        assert found["hosts"].text == text


@pytest.mark.parametrize("needed", [11, 15, 100, 160, 161])
def test_hbm_in_whole_gigabytes(advice: Any, needed: int) -> None:
    """Of ranks with 10 GB now: up to 160."""
    found = advice(SMALL, topology(), lambda _, cluster: hbm(cluster) >= needed * GB)
    if needed > 160:
        assert "hbm" not in found
        return
    value = found["hbm"].value
    assert needed * GB <= value <= max(needed * GB, needed * 1.02 * GB)
    assert value % GB == 0
    assert found["hbm"].text.startswith("ranks with ")
    assert f"{value / GB:.0f}" in found["hbm"].text
    assert found["hbm"].text.endswith(" of HBM")


def test_ranks_that_have_more_keep_it(advice: Any) -> None:
    """The smallest ranks get more; the largest say how much may be asked for."""
    cluster = topology().replace(rank_hbm_bytes=(5 * GB, 10 * GB, 40 * GB, 10 * GB))
    seen = []

    def wish(_: Workload, cluster: Topology) -> bool:
        seen.append(cluster.rank_hbm_bytes)
        return hbm(cluster) >= 7 * GB

    found = advice(SMALL, cluster, wish)
    assert found["hbm"].value == 7 * GB
    assert (7 * GB, 10 * GB, 40 * GB, 10 * GB) in seen
    assert max(map(max, seen)) == 40 * GB
    found = advice(SMALL, cluster, lambda _, cluster: hbm(cluster) >= 600 * GB)
    assert 600 * GB <= found["hbm"].value <= 612 * GB
    found = advice(SMALL, cluster, lambda _, cluster: hbm(cluster) >= 641 * GB)
    assert "hbm" not in found


def test_groups_that_have_more_keep_it(advice: Any) -> None:
    """Of a mixed cluster only the hosts with less are changed."""
    host = host_group()["host"]
    cluster = topology(
        host_group("small", host={**host, "ddr_bytes": 50 * GB}),
        host_group("large", host={**host, "ddr_bytes": 300 * GB}),
    )
    seen = []

    def wish(_: Workload, cluster: Topology) -> bool:
        seen.append(tuple(group.host.ddr_bytes for group in cluster.host_groups))
        return ddr(cluster) >= 60 * GB

    found = advice(SMALL, cluster, wish)
    assert 60 * GB <= found["ddr"].value <= 61 * GB
    assert "hosts" not in found
    assert (100 * GB, 300 * GB) in seen
    found = advice(SMALL, cluster, lambda _, cluster: ddr(cluster) >= 4800 * GB)
    assert found["ddr"].value == 4800 * GB
    found = advice(SMALL, cluster, lambda _, cluster: ddr(cluster) >= 4801 * GB)
    assert "ddr" not in found


@pytest.mark.parametrize("needed", [1, 2, 57, 160, 161])
def test_ddr_of_hosts_without(advice: Any, needed: int) -> None:
    """Up to 16 times a rank's HBM, which is 10 GB."""
    cluster = topology(host={**host_group()["host"], "ddr_bytes": 0})
    found = advice(SMALL, cluster, lambda _, cluster: ddr(cluster) >= needed * GB)
    if needed > 160:
        assert "ddr" not in found
        return
    value = found["ddr"].value
    assert needed * GB <= value <= max(needed * GB, needed * 1.02 * GB)
    assert found["ddr"].text.startswith("hosts with ")
    assert f"{value / GB:.0f}" in found["ddr"].text


def test_no_hbm_is_no_matter_of_hbm(advice: Any) -> None:
    """Devices without HBM of their own are not told to have some."""
    cpu = {"name": "cpu", "kind": "cpu", "peak_flops": {"fp32": 1e12}}
    cluster = topology(device=cpu, scale_up={"kind": "none"})
    found = advice(workload({}), cluster, lambda *_: True)
    assert "hbm" not in found
    assert "hosts" in found


@pytest.mark.parametrize("most", [999, 667, 101, 63, 62])
def test_rows_to_within_two_percent(advice: Any, most: int) -> None:
    """A table of 1,000 rows is cut to `most`: 16 times at most, rounded up."""
    found = advice(SMALL, topology(), lambda model, _: rows(model) <= most)
    if most < 63:  # 1000 / 16 is 62.5
        assert "rows" not in found
        return
    factor = found["rows"].value
    assert 1000 / factor <= most
    assert factor <= max(1.01, 1.02 * 1000 / most)
    text = f"{factor:.2f} times fewer rows in every table (hash ids more coarsely)"
    assert found["rows"].text == text


def test_no_more_than_records_hold(
    advice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither more ranks nor more bytes than any topology may have are asked for."""
    monkeypatch.setattr(f"{MODULE}.MAX_RANKS", 41)
    monkeypatch.setattr(f"{MODULE}.MAX_BYTES", 130 * GB)
    found = advice(SMALL, topology(), lambda _, cluster: cluster.num_hosts >= 10)
    assert found["hosts"].value == 10
    found = advice(SMALL, topology(), lambda _, cluster: cluster.num_hosts >= 11)
    assert "hosts" not in found
    found = advice(SMALL, topology(), lambda _, cluster: hbm(cluster) >= 130 * GB)
    assert found["hbm"].value == 130 * GB
    found = advice(SMALL, topology(), lambda _, cluster: hbm(cluster) >= 131 * GB)
    assert "hbm" not in found
    found = advice(SMALL, topology(), lambda _, cluster: ddr(cluster) >= 130 * GB)
    assert found["ddr"].value == 130 * GB
    found = advice(SMALL, topology(), lambda _, cluster: ddr(cluster) >= 131 * GB)
    assert "ddr" not in found


def test_row_types_from_wide_to_narrow(advice: Any) -> None:
    """The widest of fp16 and int8 that is enough is named, and the other one not."""
    for dtype, names in (("fp16", ["fp16"]), ("int8", ["int8"])):

        def wish(model: Workload, _: Topology, dtype: str = dtype) -> bool:
            return dtype in model.tables[0].constraints.dtypes

        found = advice(SMALL, topology(), wish)
        assert found["low_precision"] == Relaxation(
            "low_precision", 0.0, f"rows in {names[0]} (constraint dtypes)"
        )


def test_optimizers_with_less_state(advice: Any) -> None:
    """Of Adam's two: row-wise Adagrad first; nothing where there is no state."""
    for wished in ("rowwise_adagrad", "sgd"):

        def wish(model: Workload, _: Topology, wished: str = wished) -> bool:
            return model.optimizer == wished

        found = advice(SMALL.replace(optimizer="adam"), topology(), wish)
        text = f"optimizer {wished}"
        assert found["optimizer"] == Relaxation("optimizer", 0.0, text)
    found = advice(SMALL, topology(), lambda *_: True)
    assert "optimizer" not in found
    found = advice(
        SMALL.replace(optimizer="rowwise_adagrad"), topology(), lambda *_: True
    )
    assert found["optimizer"].text == "optimizer sgd"


def test_widths_count_by_the_widest_table(advice: Any) -> None:
    """Of one column Adagrad keeps no more than its row-wise kind; of 64, more."""
    mixed = workload(
        {"embedding_dim": 1}, {"embedding_dim": 64}, constraints=KEPT,
        optimizer="adagrad",
    )  # fmt: skip
    found = advice(mixed, topology(), lambda *_: True)
    assert found["optimizer"].text == "optimizer rowwise_adagrad"
    narrow = workload({"embedding_dim": 1}, constraints=KEPT, optimizer="adagrad")
    found = advice(narrow, topology(), lambda *_: True)
    assert found["optimizer"].text == "optimizer sgd"


def test_row_wise_is_allowed_without_other_changes(advice: Any) -> None:
    """It joins the types that are allowed, and leaves those that are forbidden."""
    kinds = []

    def wish(model: Workload, _: Topology) -> bool:
        kinds.append([table.constraints for table in model.tables])
        return all(
            "row_wise" in table.constraints.usable_types for table in model.tables
        )

    model = workload(
        {"constraints": {"sharding_types": ["table_wise"]}},
        {"constraints": {"forbidden_sharding_types": ["row_wise", "column_wise"]}},
        {"constraints": {"sharding_types": ["row_wise"]}},
        constraints=KEPT,
    )
    found = advice(model, topology(), wish)
    assert found["row_wise"] == Relaxation(
        "row_wise", 0.0, "row_wise sharding allowed for all tables"
    )
    first, second, third = kinds[0]
    assert first.sharding_types == ("table_wise", "row_wise")
    assert second.sharding_types is None or not second.sharding_types
    assert second.forbidden_sharding_types == ("column_wise",)
    assert third.sharding_types == ("row_wise",)
    assert "row_wise" not in advice(SMALL, topology(), lambda *_: True)


def test_what_memory_cannot_hold_is_not_tried(advice: Any) -> None:
    """The attempt sees only problems that fit by the sums of bytes."""
    held = []

    def wish(model: Workload, cluster: Topology) -> bool:
        limits = model.tables[0].constraints
        width = 128 if "int8" in limits.dtypes else 512
        ranks = 4 if "row_wise" in limits.sharding_types else 1
        held.append(rows(model) * width / ranks <= 0.9 * hbm(cluster) - GB)
        return False

    whole = workload(
        {"num_embeddings": 60_000_000},  # 30.7 GB
        constraints={**KEPT, "sharding_types": ["table_wise"]},
    )
    assert advice(whole, topology(), wish) == {}
    assert all(held)
    assert held
