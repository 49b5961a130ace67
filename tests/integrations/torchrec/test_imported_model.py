"""A user's model becomes files that solve takes at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shardplan.cli.main import cli
from shardplan.io.catalog import load_topology, load_workload
from shardplan.records.sharding import Target
from shardplan.records.tables import DType
from shardplan.records.workload import Optimizer

if TYPE_CHECKING:
    from click.testing import Result

JOB = """
import torch
from torch import nn
from torchrec.distributed.planner.types import (
    BasicCommsBandwidths, ParameterConstraints, Topology
)
from torchrec.models.dlrm import DLRM
from torchrec.modules.embedding_configs import (
    DataType, EmbeddingBagConfig, EmbeddingConfig
)
from torchrec.modules.embedding_modules import (
    EmbeddingBagCollection, EmbeddingCollection
)
from torchrec.modules.feature_processor_ import PositionWeightedModuleCollection
from torchrec.modules.fp_embedding_modules import FeatureProcessedEmbeddingBagCollection
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward

def bags(*names, weighted=False, features=None, device="meta", **config):
    values = {"num_embeddings": 10**9, "embedding_dim": 16, **config}
    return EmbeddingBagCollection(
        tables=[
            EmbeddingBagConfig(name=n, feature_names=features or [n + "_f"], **values)
            for n in names
        ],
        is_weighted=weighted,
        device=torch.device(device),
    )

class Deep(nn.Module):
    def __init__(self, device):
        super().__init__()
        assert device.type == "meta"
        self.towers = nn.ModuleDict({"user": nn.Sequential(bags("a", "b"))})
        self.towers["item"] = bags("c", weighted=True, data_type=DataType.FP16)
        self.towers["twice"] = bags("d", features=["x", "y"])
        self.sequences = EmbeddingCollection(
            tables=[EmbeddingConfig(
                name="e", num_embeddings=50, embedding_dim=8, feature_names=["e_f"]
            )],
            device=device,
        )
        self.processed = FeatureProcessedEmbeddingBagCollection(
            bags("f", weighted=True), PositionWeightedModuleCollection({"f_f": 10})
        )
        self.top = nn.Linear(100, 3)  # where? on the meta device, by the context

def deep(device):
    model = Deep(device)
    assert model.top.weight.is_meta
    return model

def trained():
    model = bags("a", "b", num_embeddings=1000)
    apply_optimizer_in_backward(torch.optim.Adam, model.parameters(), {"lr": 0.1})
    return model

def partly():
    model = nn.Module()
    model.left, model.right = trained(), bags("c")
    return model

def dlrm():
    return DLRM(
        bags("a", "b"), dense_in_features=13, dense_arch_layer_sizes=[32, 16],
        over_arch_layer_sizes=[64, 1],
    )

def shared():
    model = nn.Module()
    model.left, model.right = nn.Module(), nn.Module()
    model.left.ebc = model.right.ebc = bags("a")
    return model

def limits():
    return {
        name: ParameterConstraints(pooling_factors=[20.0], sharding_types=["row_wise"])
        for name in ("a", "b")
    }

def cluster():
    return Topology(
        world_size=16, local_world_size=8, compute_device="cuda",
        hbm_cap=80 * 2**30, intra_host_bw=450e6, inter_host_bw=50e6,
        created_by_factory=True,
    )

class Odd(BasicCommsBandwidths):
    pass

def odd():
    return Topology(
        world_size=16, compute_device="cuda", generalized_comms_bandwidths=Odd(),
        created_by_factory=True,
    )

def none():
    return nn.Linear(3, 3)

def number():
    return 3

def broken():
    raise RuntimeError("no weights here")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a user's module."""
    (tmp_path / "own_job.py").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_job", raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    """Run ``shardplan`` in this process; a traceback fails the test."""
    result = CliRunner().invoke(cli, list(arguments), prog_name="shardplan")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_tables_of_all_modules_at_any_depth(folder: Path) -> None:
    """Paths, row types, poolings, weights and features; nothing has memory."""
    done = run("import", "torchrec", "own_job:deep", "-o", "work.json")
    assert (done.exit_code, done.stdout) == (0, "")
    found = load_workload(folder / "work.json")
    assert {
        t.name: (t.torchrec_module, t.dtype, t.is_pooled, t.is_weighted, t.num_outputs)
        for t in found.tables
    } == {
        "a": ("towers.user.0", DType.FP32, True, False, 1),
        "b": ("towers.user.0", DType.FP32, True, False, 1),
        "c": ("towers.item", DType.FP16, True, True, 1),
        "d": ("towers.twice", DType.FP32, True, False, 2),
        "e": ("sequences", DType.FP32, False, False, 1),
        "f": ("processed", DType.FP32, True, True, 1),
    }
    assert (found.name, found.batch_size) == ("deep", 512)
    assert "no table carries an optimizer: rowwise_adagrad is assumed" in done.stderr
    assert "303 dense parameters are not described" in done.stderr


def test_files_are_solved_at_once(folder: Path) -> None:
    """Constraints, batch and cluster as the job has them."""
    done = run(
        *("import", "torchrec", "own_job:trained", "--constraints", "own_job:limits"),
        *("--batch-size", "64", "-o", "work.json"),
        *("--topology", "own_job:cluster", "--topology-output", "cluster.json"),
    )
    assert (done.exit_code, done.stderr) == (0, "")
    found, cluster = load_workload("work.json"), load_topology("cluster.json")
    assert found.optimizer is Optimizer.ADAM
    assert {table.pooling_factor for table in found.tables} == {20.0}
    assert (cluster.world_size, cluster.cost_model) == (16, "torchrec")
    assert cluster.host_groups[0].device.hbm_bytes == 80 * 2**30
    solved = run(
        *("solve", "work.json", "--topology", "cluster.json", "--target", "torchrec"),
        *("--solver", "greedy", "-o", "plan.json"),
    )
    assert solved.exit_code == 0, solved.output
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["target"] == Target.TORCHREC
    assert {table["sharding_type"] for table in plan["tables"]} == {"row_wise"}
    exported = run("export", "plan.json", "--to", "torchrec", "-o", "sharding.json")
    assert exported.exit_code == 0, exported.output


def test_dense_layers_of_a_model_that_is_known(folder: Path) -> None:
    """The workload goes to standard output and has them; nothing is said of them."""
    done = run("import", "torchrec", "own_job:dlrm")
    data = json.loads(done.stdout)
    assert data["dense"]["bottom_mlp"] == [32, 16]
    assert data["dense"]["interaction"] == "dot"
    assert "dense parameters" not in done.stderr
    assert "without constraints: 2 tables; one lookup per feature" in done.stderr
    assert folder.is_dir()


@pytest.mark.usefixtures("folder")
def test_tables_without_an_optimizer_are_said() -> None:
    """If others have one, it is counted for all."""
    done = run("import", "torchrec", "own_job:partly")
    assert json.loads(done.stdout)["optimizer"] == "adam"
    assert "without an optimizer: 1 table; that of the others" in done.stderr


@pytest.mark.usefixtures("folder")
def test_a_module_at_two_places_is_said() -> None:
    """TorchRec's planner shards it at each of them."""
    done = run("import", "torchrec", "own_job:shared")
    assert done.exit_code == 0
    assert "one module is at left.ebc and right.ebc" in done.stderr
    assert len(json.loads(done.stdout)["tables"]) == 2


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["own_jab:deep"], 1, "no module 'own_jab'"),
        (["own_job:deap"], 1, "did you mean 'deep'?"),
        (["own_job:broken"], 1, "raised RuntimeError: no weights here (own_job.py:"),
        (["own_job:number"], 1, "must return a Module"),
        (["own_job:none"], 1, "none: has no table that a sharder is for"),
        (["own_job:dlrm", "--constraints", "own_job:number"], 1, "must return a dict"),
        (
            [
                "own_job:dlrm",
                *("--topology", "own_job:odd", "--topology-output", "t.json"),
            ],
            1,
            "one bandwidth inside hosts",
        ),
        (["own_job:dlrm", "--topology", "own_job:cluster"], 2, "need each other"),
        (["own_job:dlrm", "-o", "work.toml"], 2, "does not end in .json"),
        (["own_job:dlrm", "--batch-size", "0"], 2, "batch-size"),
        ([], 2, "MODULE:FACTORY"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], code: int, text: str) -> None:
    """With an exit code, and no file is written."""
    done = run("import", "torchrec", *arguments)
    assert done.exit_code == code
    assert text in done.stderr
    assert done.stdout == ""
    assert not Path("t.json").exists()
