"""Dense models of blocks inside a workload: tables of sequences, files and plans."""

from __future__ import annotations

import pytest

from shardplan.errors import InputError
from shardplan.io.catalog import load_workload
from shardplan.records.record import dump
from shardplan.records.workload import Workload

MODEL = """
schema_version = 1
name = "sequences"
batch_size = 64

[[tables]]
name = "item"
num_embeddings = 1000
embedding_dim = 8
pooling_factor = 96
is_pooled = false

[dense]
optimizer = "adam"

[[dense.sequences]]
name = "history"
mean = 100
mean_square = 12_000
max = 200
context = 4
tables = ["item"]

[[dense.blocks]]
name = "block"
rows = "history"
repeat = 2
recompute = ["up"]
layers = [
  { kind = "norm", width = 8 },
  { kind = "linear", name = "up", inputs = 8, outputs = 32 },
  { kind = "attention", heads = 2, qk = 4, v = 4 },
]
"""


def load(tmp_path, old="", new=""):
    """Load the model with a change."""
    path = tmp_path / "model.toml"
    path.write_text(MODEL.replace(old, new), encoding="utf-8")
    return load_workload(path)


def test_blocks_of_a_file_come_back(tmp_path):
    """Read, written and read again, they are the same."""
    workload = load(tmp_path)
    assert workload.dense.blocks[0].layers[1].outputs == 32
    assert workload.dense.sequences[0].tables == ("item",)
    again = Workload.model_validate(dump(workload))
    assert again == workload


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "pooling_factor = 96",
            "pooling_factor = 100",
            "are 96 tokens without context",
        ),
        ("is_pooled = false", "", "'item' is pooled, so it has no vector for each"),
        ('tables = ["item"]', 'tables = ["items"]', "unknown table 'items'"),
        ("12_000", "9_000", "mean_square = 9000 contradicts"),
        ('optimizer = "adam"', "bottom_mlp = [8]", "cannot stand beside them"),
        ('kind = "norm"', 'kind = "layer_norm"', "layers"),
        ('name = "history"', 'name = "samples"', "'samples': .*choose another"),
        ('name = "history"', 'name = "a.targets"', "'a.targets': .*choose another"),
    ],
)
def test_contradictions_name_file_and_key(tmp_path, old, new, message):
    """An error says what to do, and where."""
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, old, new)
    assert "model.toml" in str(caught.value)


def test_lookups_of_a_sequence_count_coverage_and_batch(tmp_path):
    """Half of the samples with twice the ids are as many tokens."""
    old = "pooling_factor = 96"
    workload = load(tmp_path, old, "pooling_factor = 192\ncoverage = 0.5")
    assert workload.tables[0].coverage == 0.5


SHARED = """
[[dense.sequences]]
name = "wishes"
mean = 24
mean_square = 600
max = 50
tables = ["item"]

[[dense.blocks]]
name = "block"
"""


def test_a_table_of_two_sequences_has_the_lookups_of_both(tmp_path):
    """Items that were bought and wished for: 96 + 24 tokens, no less."""
    blocks = '[[dense.blocks]]\nname = "block"\n'
    with pytest.raises(InputError, match=r"120 tokens .* 'history' and 'wishes'"):
        load(tmp_path, blocks, SHARED)
    text = MODEL.replace(blocks, SHARED).replace("factor = 96", "factor = 120")
    path = tmp_path / "both.toml"
    path.write_text(text, encoding="utf-8")
    assert len(load_workload(path).dense.sequences) == 2


def test_copies_keep_the_blocks(tmp_path):
    """What-if by copy changes one field and leaves the rest."""
    workload = load(tmp_path)
    changed = workload.dense.replace(dtype="fp16")
    assert changed.blocks == workload.dense.blocks
    assert hash(changed) != hash(workload.dense)
