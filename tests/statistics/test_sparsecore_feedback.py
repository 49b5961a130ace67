"""Feedback of jobs on SparseCores in the tables of a workload."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.errors import InputError
from shardplan.records.row_heat import RowSkew
from shardplan.records.workload import Workload
from shardplan.statistics.sparsecore_feedback import with_feedback

if TYPE_CHECKING:
    from pathlib import Path

MODEL = Workload.model_validate(
    {
        "schema_version": 1,
        "name": "model",
        "global_batch_size": 4096,
        "tables": [
            {"name": name, "num_embeddings": 1000, "embedding_dim": 8}
            for name in ("one", "two")
        ],
    }
)


def write(path: Path, *rows: tuple[str, str]) -> Path:
    """Write a file as the job does."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("key", "values"), *rows])
    return path


def test_what_a_job_has_seen(tmp_path: Path) -> None:
    """Means of the steps of all processes; other keys, and other tables, stay."""
    first = write(
        tmp_path / "fdo_stats_0_10.csv",
        ("one_max_ids", "10 20 30 40"),
        ("one_max_ids", "10 20 30 60"),
        ("one_max_unique_ids", "1 2 3 4"),
        ("one_max_unique_ids", "3 2 3 4"),
        ("one_required_buffer_size", "64"),
    )
    second = write(
        tmp_path / "fdo_stats_1_11.csv",
        ("one_max_ids", "40 20 0 80"),
        ("one_max_unique_ids", "2 2 0 1"),
    )
    found, notes = with_feedback(MODEL, [first, second])
    one, two = found.tables
    assert one.unique_ids == ((120.0, 9.0),)
    assert one.row_skew == RowSkew(ratio=60 * 4 / 120, shards=4)
    assert (two, notes) == (MODEL.tables[1], [])


def test_partitions_of_known_lookups(tmp_path: Path) -> None:
    """Counted as SparseCores do, they give back unique ids and the hottest shard."""
    ids = np.random.default_rng(0).zipf(1.3, 2000) % 1000
    every = np.bincount(ids % 8, minlength=8)
    unique = np.bincount(np.unique(ids) % 8, minlength=8)
    path = write(
        tmp_path / "fdo_stats_0_1.csv",
        ("two_max_ids", " ".join(map(str, every))),
        ("two_max_unique_ids", " ".join(map(str, unique))),
    )
    two = with_feedback(MODEL, [path])[0].tables[1]
    assert two.unique_ids == ((2000.0, float(len(np.unique(ids)))),)
    assert two.row_skew is not None
    assert two.row_skew.ratio == pytest.approx(every.max() / every.mean())


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Stacks of tables, and tables without ids."""
    path = write(
        tmp_path / "a.csv",
        *((f"{n}_max_ids", "0 0") for n in ("one", "one_two")),
        *((f"{n}_max_unique_ids", "0 0") for n in ("one", "one_two")),
    )
    found, notes = with_feedback(MODEL, [path])
    assert found == MODEL
    assert "one_two is no table of workload model: left out" in notes[0]
    assert "one has no ids" in notes[1]


IDS, UNIQUE = "one_max_ids,4 2\n", "one_max_unique_ids,3 1\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "line 1 = '': is not the first line of a feedback file"),
        ("user,item\n1,2\n", "line 1 = 'user,item': is not the first line"),
        ("key,values\n", "has no line of a table_max_ids"),
        (f"key,values\n{IDS}", "one_max_unique_ids: is missing"),
        (f"key,values\n{UNIQUE}", "one_max_ids: is missing"),
        (f"key,values\n{IDS}one,3\n", "line 3 = 'one,3': is no key that ends in"),
        (f"key,values\n{IDS}a,b,c\n", "line 3 = 'a,b,c': is no key"),
        ("key,values\none_max_ids,4 2.5\n", "line 2 = '2.5': must be whole numbers"),
        ("key,values\none_max_ids,-4 2\n", "line 2 = '-4': must be whole"),
        ("key,values\none_max_ids,\n", "line 2 = '': must be whole"),
        (f"key,values\none_max_ids,{'9' * 5000} 1\n", "must be whole numbers"),
        (f"key,values\n{IDS}one_max_ids,4\n", "has 1 numbers, but the first such"),
        (f"key,values\n{IDS}{IDS}{UNIQUE}", "has 1 lines of 2 numbers, but one_max"),
        ("key,values\none_max_ids,4\none_max_unique_ids,3\n", "has one partition"),
        (f"key,values\n{IDS}one_max_unique_ids,3 3\n", "is more than one_max_ids"),
        ("key,values\nones_max_ids,1 1\nones_max_unique_ids,1 1\n", "mean 'one'"),
        (
            "key,values\none_max_ids,999 999\none_max_unique_ids,999 2\n",
            "1,001 in sum: is more than the 1,000 rows",
        ),
        ('key,values\n"one\r_max_ids', "line 3 = 'one"),
        ("key,values\n\xff", "is no key"),
    ],
)
def test_other_files(tmp_path: Path, text: str, rule: str) -> None:
    """The file, the line and the rule."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        with_feedback(MODEL, [path])
    assert rule in str(caught.value)
    assert "a.csv" in str(caught.value)
