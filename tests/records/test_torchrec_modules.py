"""Tables that one TorchRec module cannot hold are refused when a workload is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.exporters.torchrec import export
from shardplan.io.catalog import load_workload
from shardplan.planning.planner import solve
from tests.helpers import COST_MODEL, ONE_HOST, workload

if TYPE_CHECKING:
    from pathlib import Path

SEQUENCE = {"is_pooled": False}
BROKEN: dict[str, tuple[list[dict[str, Any]], str]] = {
    "weighted with unweighted": (
        [{}, {"is_weighted": True}],
        "module 'm' there: 't1' is weighted, 't0' is not; an EmbeddingBagCollection",
    ),
    "pooled with sequences": (
        [SEQUENCE, {}],
        "'t1' is pooled (EmbeddingBagCollection), 't0' is not (EmbeddingCollection); "
        "give each table its module with",
    ),
    "sequences of two widths": (
        [SEQUENCE, {**SEQUENCE, "embedding_dim": 64}],
        "'t0' has 128 columns, 't1' 64; sequences of an EmbeddingCollection have one",
    ),
    "one name twice": (
        [{"torchrec": {"module": "m", "table": "user"}}] * 2,
        "'t0' and 't1' both have the name 'user'; give one another torchrec.table",
    ),
    "the model itself": (
        [{"torchrec": {}}, {"torchrec": {}, "is_weighted": True}],
        "the model itself (no module)",
    ),
    "a module of a usual name": (
        [
            {"torchrec": {"module": "weighted_ebc"}},
            {"is_weighted": True, "torchrec": None},
        ],
        "'weighted_ebc'",
    ),
}


def in_module(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put tables that do not say otherwise in one module."""
    return [{"torchrec": {"module": "m"}, **table} for table in tables]


@pytest.mark.parametrize(("tables", "message"), BROKEN.values(), ids=BROKEN)
def test_tables_that_exclude_each_other(
    tables: list[dict[str, Any]], message: str
) -> None:
    """The module, two tables, the rule and a way out are named."""
    with pytest.raises(ValueError, match="TorchRec cannot have all tables") as caught:
        workload(*in_module(tables))
    assert message in str(caught.value)


def test_tables_that_go_together() -> None:
    """Weights of sequences mean nothing to a module; other modules, other rules."""
    workload(*in_module([{}, {"embedding_dim": 64, "dtype": "fp16"}]))
    workload(*in_module([SEQUENCE, {**SEQUENCE, "is_weighted": True}]))
    workload(*in_module([{}, {**SEQUENCE, "torchrec": {"module": "other"}}]))
    same = {"table": "user"}
    workload(*({"torchrec": {"module": m, **same}} for m in "ab"))


def test_a_file_is_named(tmp_path: Path) -> None:
    """The error is that of the file."""
    row = 'num_embeddings = 10\nembedding_dim = 8\ntorchrec = { module = "m" }\n'
    path = tmp_path / "model.toml"
    path.write_text(
        'schema_version = 1\nname = "x"\nbatch_size = 64\n'
        f'[[tables]]\nname = "a"\n{row}'
        f'[[tables]]\nname = "b"\nis_weighted = true\n{row}'
    )
    with pytest.raises(InputError, match=r"model\.toml.*'b' is weighted, 'a' is not"):
        load_workload(path)


def test_a_module_of_an_export() -> None:
    """Tables that are put in a module only then are held to the same rules."""
    named = {"torchrec": {"module": "m", "table": "t0"}}
    for tables, rule in (([{}, SEQUENCE], "is pooled"), ([{}, named], "the name 't0'")):
        model = workload(*tables)
        plan = solve(
            model, ONE_HOST, COST_MODEL, target="torchrec", solver="greedy"
        ).plan
        with pytest.raises(InputError, match=rule):
            export(plan, module="m")
