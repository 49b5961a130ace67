"""Every broken file of the corpus gives its own message, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.io.catalog import load_cost_model, load_topology, load_workload
from shardplan.io.table_file import read_tables
from shardplan.plans.plan import Plan

if TYPE_CHECKING:
    from shardplan.errors import Fault

DATA = Path(__file__).parent.parent / "data"
BROKEN = DATA / "broken"
LOADERS = {
    "topology": load_topology,
    "workload": load_workload,
    "cost_model": load_cost_model,
    "plan": Plan.load,
}

# File, key path, and what the rule says; files with several problems come below.
ONE_PROBLEM = [
    (
        "cost_model/coefficient_is_bare_number.toml",
        "lookup.forward_efficiency",
        "must be a group of keys and values: unit, value, source, date",
    ),
    (
        "cost_model/coefficient_without_source.toml",
        "lookup.forward_efficiency.source",
        "is required",
    ),
    (
        "cost_model/curve_lengths_differ.toml",
        "collectives.all_to_all_curve",
        "message_bytes and time_s need the same length, at least 2",
    ),
    (
        "cost_model/curve_sizes_decrease.toml",
        "collectives.all_to_all_curve.message_bytes",
        "message_bytes must increase strictly",
    ),
    (
        "cost_model/date_is_text.toml",
        "collectives.all_to_all_curve.date",
        "must be a date such as 2025-01-31",
    ),
    (
        "cost_model/efficiency_is_zero.toml",
        "lookup.forward_efficiency.value",
        "must be > 0",
    ),
    ("cost_model/narrow_rows_not_a_list.toml", "lookup.narrow_rows", "must be a list"),
    (
        "cost_model/schema_version_newer.toml",
        "schema_version",
        "is too new: this release of shardplan reads schema_version 1",
    ),
    (
        "cost_model/unknown_formula.toml",
        "lookup.formula",
        "must be memory_roofline; did you mean 'memory_roofline'?",
    ),
    (
        "cost_model/unknown_unit.toml",
        "lookup.forward_efficiency.unit",
        "must be one of fraction, s, s/id, bytes/s, 1/s, bytes, ratio, exponent, count",
    ),
    (
        "cost_model/value_is_nan.toml",
        "lookup.forward_efficiency.value",
        "must be a finite number",
    ),
    ("plan/binary_garbage.json", "line 1", "is not UTF-8 text"),
    ("plan/blocks_empty.json", "tables[0].blocks", "must have at least 1 entry"),
    ("plan/empty.json", "line 1, column 1", "not JSON: Expecting value"),
    (
        "plan/input_is_broken.json",
        "inputs.workload.tables[1].num_embeddings",
        "must be >= 1",
    ),
    ("plan/is_list.json", "", "must be a group of keys and values: schema_versi"),
    ("plan/is_null.json", "", "must be a group of keys and values: schema_versi"),
    ("plan/key_twice.json", "", "not JSON: key 'seed' occurs twice in one object"),
    ("plan/number_is_nan.json", "outcome.objective_s", "must be a finite number"),
    (
        "plan/number_of_5000_digits.json",
        "",
        "not JSON: Exceeds the limit (4300 digits) for integer",
    ),
    ("plan/placement_twice.json", "", "a table has more than one placement"),
    ("plan/rank_negative.json", "tables[0].blocks[0].ranks[1]", "must be >= 0"),
    (
        "plan/rank_range_absurd.json",
        "tables[0].blocks[0].ranks",
        "rank range '0-99999999' must grow and end below 65536",
    ),
    (
        "plan/rank_range_reversed.json",
        "tables[0].blocks[0].ranks",
        "rank range '7-0' must grow and end below 65536",
    ),
    (
        "plan/rank_text_bad.json",
        "tables[0].blocks[0].ranks",
        "ranks must look like '0-7,12'",
    ),
    (
        "plan/ranks_empty.json",
        "tables[0].blocks[0].ranks",
        "must have at least 1 entry",
    ),
    (
        "plan/schema_version_missing.json",
        "schema_version",
        'is required: add "schema_version": 1',
    ),
    (
        "plan/schema_version_newer.json",
        "schema_version",
        "is too new: this release of shardplan reads schema_version 1",
    ),
    ("plan/syntax_error.json", "line 9, column 3", "not JSON: Expecting ',' delimiter"),
    ("plan/tier_share_above_one.json", "tables[1].tiers.hbm", "must be <= 1"),
    (
        "plan/truncated.json",
        "line 21, column 17",
        "not JSON: Unterminated string starting at",
    ),
    (
        "plan/unknown_kernel.json",
        "tables[1].compute_kernel",
        "did you mean 'fused_uvm_caching'?",
    ),
    ("plan/unknown_target.json", "target", "must be one of any, torchrec, hugectr"),
    ("topology/binary_garbage.toml", "line 2", "is not UTF-8 text"),
    (
        "topology/domain_does_not_fit.toml",
        "host_groups[0]",
        "scale_up.domain_size must divide local_world_size or be a",
    ),
    (
        "topology/gpu_without_memory.toml",
        "host_groups[0].device",
        "kind 'gpu' needs hbm_bytes and hbm_bw above 0",
    ),
    (
        "topology/groups_not_connected.toml",
        "",
        "host groups ['alone'] must reach other hosts: set",
    ),
    (
        "topology/hosts_not_connected.toml",
        "",
        "host groups ['gpus'] must reach other hosts: set",
    ),
    (
        "topology/is_json_list.json",
        "",
        "must be a group of keys and values: schema_versi",
    ),
    (
        "topology/key_twice.toml",
        "line 8, column 14",
        "not TOML: Cannot overwrite a value",
    ),
    ("topology/list_is_group.toml", "host_groups", "must be a list"),
    ("topology/name_is_empty.toml", "host_groups[0].device.name", "must not be empty"),
    ("topology/name_is_number.toml", "host_groups[0].device.name", "must be text"),
    ("topology/nested_too_deeply.toml", "", "is nested too deeply"),
    (
        "topology/nics_without_bandwidth.toml",
        "host_groups[0].scale_out",
        "nics_per_host and nic_bw are both 0 or both above 0",
    ),
    (
        "topology/no_scale_up_bandwidth.toml",
        "host_groups[0].scale_up",
        "kind 'switch' needs bw > 0",
    ),
    (
        "topology/number_is_absurd.toml",
        "host_groups[0].device.hbm_bytes",
        "must be in bytes, 1 MB to 10 TB",
    ),
    (
        "topology/number_is_inf.toml",
        "host_groups[0].device.hbm_bw",
        "must be a finite number",
    ),
    (
        "topology/number_is_nan.toml",
        "host_groups[0].device.hbm_bw",
        "must be a finite number",
    ),
    (
        "topology/number_is_negative.toml",
        "host_groups[0].device.hbm_bytes",
        "must be >= 0",
    ),
    (
        "topology/number_is_not_whole.toml",
        "host_groups[0].scale_up.domain_size",
        "must be a whole number",
    ),
    (
        "topology/number_is_text.toml",
        "host_groups[0].device.hbm_bytes",
        "must be a number, or text with a unit such as '80 GB'",
    ),
    (
        "topology/number_is_true.toml",
        "host_groups[0].scale_up.domain_size",
        "must be a number",
    ),
    (
        "topology/number_of_10000_digits.toml",
        "host_groups[0].device.hbm_bytes",
        "is too large",
    ),
    ("topology/schema_version_is_text.toml", "schema_version", "must be a number"),
    (
        "topology/schema_version_missing.toml",
        "schema_version",
        "is required: add schema_version = 1",
    ),
    (
        "topology/schema_version_newer.toml",
        "schema_version",
        "is too new: this release of shardplan reads schema_version 1",
    ),
    (
        "topology/schema_version_zero.toml",
        "schema_version",
        "is not supported: this release of shardplan reads schema_version 1",
    ),
    (
        "topology/ssd_incomplete.toml",
        "host_groups[0].host",
        "ssd_bytes > 0 needs ssd_read_bw, ssd_write_bw and ssd_read_iops > 0",
    ),
    ("topology/syntax_error.toml", "line 7, column 13", "not TOML: Invalid value"),
    (
        "topology/too_many_ranks.toml",
        "",
        "240,000 ranks, and 65,536 are the most",
    ),
    (
        "topology/unknown_enum.toml",
        "host_groups[0].scale_up.kind",
        "must be one of switch, mesh, none; did you mean 'switch'?",
    ),
    (
        "topology/unknown_key.toml",
        "fabric.colour",
        "unknown key; known: hosts_per_leaf, oversubscription, spine_latency_s, "
        "in_network_reduction, network, sources",
    ),
    (
        "topology/unknown_key_with_typo.toml",
        "host_groups[0].device.hbm_byte",
        "unknown key; did you mean 'hbm_bytes'?",
    ),
    (
        "topology/unknown_section.toml",
        "colours",
        "unknown key; known: schema_version, name, descript",
    ),
    (
        "workload/access_without_kind.toml",
        "access.kind",
        "is required: one of uniform, zipf, cdf",
    ),
    ("workload/binary_garbage.csv", "line 1", "is not UTF-8 text"),
    (
        "workload/both_batch_sizes.toml",
        "",
        "give exactly one of global_batch_size and batch_size",
    ),
    ("workload/cdf_above_one.toml", "tables[1].access.points[1][1]", "must be <= 1"),
    (
        "workload/cdf_decreases.toml",
        "tables[1].access.points",
        "points must increase: row fractions strictly",
    ),
    (
        "workload/cdf_point_of_three.toml",
        "tables[1].access.points[1]",
        "must have at most 2 entries",
    ),
    ("workload/cell_is_missing.csv", "row 2, num_embeddings", "is required"),
    ("workload/cell_is_nan.csv", "row 2, pooling_factor", "must be a finite number"),
    ("workload/cell_is_negative.csv", "row 2, embedding_dim", "must be >= 1"),
    ("workload/cell_is_text.csv", "row 2, num_embeddings", "must be a number"),
    ("workload/cell_not_whole.csv", "row 2, num_embeddings", "must be a whole number"),
    ("workload/colocate_of_one.toml", "colocate[0]", "must have at least 2 entries"),
    (
        "workload/dcn_incomplete.toml",
        "dense",
        "interaction 'dcn_v2' needs dcn_num_layers and dcn_low_rank_dim",
    ),
    ("workload/duplicate_column.csv", "header, embedding_dim", "column occurs twice"),
    (
        "workload/duplicate_table_name.csv",
        "row 4, name",
        "table names must be unique; it is in row 2 already",
    ),
    (
        "workload/duplicate_table_name.toml",
        "tables",
        "table names must be unique; repeated: ['a']",
    ),
    (
        "workload/elements_absurd.csv",
        "row 2",
        "num_embeddings * embedding_dim must be <= 10^16 elements",
    ),
    (
        "workload/elements_absurd.toml",
        "tables[0]",
        "num_embeddings * embedding_dim must be <= 10^16 elements",
    ),
    ("workload/flag_is_text.csv", "row 2, is_pooled", "must be true or false"),
    ("workload/flag_is_text.toml", "tables[0].is_weighted", "must be true or false"),
    (
        "workload/garbage.parquet",
        "",
        "not Parquet: ",
    ),
    (
        "workload/ids_too_narrow.toml",
        "",
        "signed ids of index_bytes = 4 reach 2,147,483,648 rows; set index_bytes = 8 "
        "for ['b']",
    ),
    ("workload/index_bytes_five.toml", "index_bytes", "must be one of 4, 8"),
    ("workload/missing_column.csv", "header, embedding_dim", "column is required"),
    (
        "workload/no_batch_size.toml",
        "",
        "give exactly one of global_batch_size and batch_size",
    ),
    ("workload/no_rows.csv", "", "has no tables"),
    ("workload/no_tables.toml", "tables", "is required"),
    (
        "workload/pooling_factor_negative.toml",
        "tables[0].pooling_factor",
        "must be >= 0",
    ),
    ("workload/quote_not_closed.csv", "row 2", "not CSV: unexpected end of data"),
    ("workload/rank_is_text.csv", "row 2, ranks", "must be a number"),
    ("workload/rank_negative.toml", "tables[2].constraints.ranks[0]", "must be >= 0"),
    ("workload/ranks_not_a_list.toml", "tables[2].constraints.ranks", "must be a list"),
    ("workload/rows_is_10_to_the_30.csv", "row 2, num_embeddings", "is too large"),
    (
        "workload/rows_is_10_to_the_30.toml",
        "tables[0].num_embeddings",
        "must be <= 10^14",
    ),
    ("workload/rows_is_zero.toml", "tables[1].num_embeddings", "must be >= 1"),
    ("workload/tables_empty.toml", "tables", "must have at least 1 entry"),
    (
        "workload/tables_file_is_number.toml",
        "tables_file",
        "must be the name of a .csv or .parquet file",
    ),
    ("workload/tables_file_missing.toml", "", "no such file"),
    (
        "workload/unknown_access.toml",
        "tables[1].access.kind",
        "must be one of uniform, zipf, cdf; did you mean 'cdf'?",
    ),
    ("workload/unknown_dtype.csv", "row 2, dtype", "did you mean 'fp16'?"),
    ("workload/unknown_dtype.toml", "tables[1].dtype", "did you mean 'fp16'?"),
    ("workload/unknown_in_list.csv", "row 2, compute_kernels", "did you mean 'fused'?"),
    ("workload/unknown_optimizer.toml", "optimizer", "did you mean 'adagrad'?"),
    (
        "workload/unknown_sharding_type.toml",
        "tables[2].constraints.sharding_types[0]",
        "did you mean 'table_wise'?",
    ),
    (
        "workload/unknown_table_in_colocate.toml",
        "",
        "colocate names unknown tables: ['z']",
    ),
    ("workload/zipf_alpha_negative.toml", "access.alpha", "must be >= 0"),
    ("workload/zipf_alpha_too_large.csv", "row 2, zipf_alpha", "must be <= 10"),
]

SEVERAL_PROBLEMS = {
    "workload/names_with_control_characters.toml": [
        ("name", "must not start with white space or contain control characters"),
        ("tables[0].name", "must not start with white space"),
    ],
    "cost_model/missing_section.toml": [
        ("dense", "is required"),
        ("dens", "unknown key; did you mean 'dense'?"),
    ],
    "plan/several_problems.json": [
        ("outcome.seed", "must be a whole number"),
        ("tables[0].blocks[0].ranks", "ranks must look like '0-7,12'"),
        ("tables[1].dtype", "did you mean 'fp16'?"),
    ],
    "topology/empty.toml": [
        ("schema_version", "is required: add schema_version = 1"),
        ("name", "is required"),
        ("host_groups", "is required"),
    ],
    "topology/missing_section.toml": [
        ("host_groups[0].host", "is required"),
        ("other", "unknown key; known: schema_version, name, descript"),
    ],
    "topology/several_problems.toml": [
        ("schema_version", "is required: add schema_version = 1"),
        ("host_groups[0].num_hosts", "must be >= 1"),
        ("host_groups[0].device.hbm_bw", "must be >= 0"),
        ("host_groups[0].scale_up.latencys", "unknown key; did you mean 'latency_s'?"),
    ],
    "workload/access_wrong_key.toml": [
        ("access.alpha", "is required"),
        ("access.alfa", "unknown key; did you mean 'alpha'?"),
    ],
    "workload/empty.csv": [
        ("header, name", "column is required"),
        ("header, num_embeddings", "column is required"),
        ("header, embedding_dim", "column is required"),
    ],
    "workload/ragged.csv": [
        ("row 3", "has 2 cells, not 3"),
        ("row 4", "has 4 cells, not 3"),
    ],
    "workload/several_problems.csv": [
        ("row 2, num_embeddings", "must be >= 1"),
        ("row 3, name", "is required"),
        ("row 3, embedding_dim", "must be >= 1"),
        ("row 3, dtype", "did you mean 'fp32'?"),
        ("row 4, num_embeddings", "must be a number"),
        ("row 4, cache_load_factor", "must be <= 1"),
    ],
    "workload/tables_file_and_more.toml": [
        ("header, column 4", "unknown column; did you mean 'pooling_factor'?"),
        ("header, column 5", "unknown column; known: name, num_embeddings"),
        ("global_batch_size", "must be >= 1"),
    ],
    "workload/unknown_column.csv": [
        ("header, column 4", "unknown column; did you mean 'pooling_factor'?"),
        ("header, column 5", "unknown column; known: name, num_embeddings"),
    ],
}


def load(path: Path) -> object:
    if path.suffix in (".csv", ".parquet"):
        return read_tables(path, str(path))
    return LOADERS[path.parent.name](path)


def problems_of(name: str) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        load(BROKEN / name)
    return caught.value.problems


@pytest.mark.parametrize(("name", "key", "rule"), ONE_PROBLEM)
def test_the_problem_is_named(name: str, key: str, rule: str) -> None:
    """A file that breaks one rule gives one problem, with key path and rule."""
    (problem,) = problems_of(name)
    assert problem.key == key
    assert rule in problem.rule


@pytest.mark.parametrize("name", SEVERAL_PROBLEMS)
def test_all_problems_come_at_once(name: str) -> None:
    """A file that breaks several rules gives all of them in one error."""
    found = problems_of(name)
    expected = SEVERAL_PROBLEMS[name]
    assert [problem.key for problem in found] == [key for key, _ in expected]
    for problem, (_, rule) in zip(found, expected, strict=True):
        assert rule in problem.rule


def test_every_file_of_the_corpus_is_expected() -> None:
    """No broken file lies around untested."""
    files = {str(path.relative_to(BROKEN)) for path in BROKEN.glob("*/*")}
    assert files == {name for name, _, _ in ONE_PROBLEM} | set(SEVERAL_PROBLEMS)


@pytest.mark.parametrize(
    "name",
    [
        "topology/several_problems.toml",
        "workload/several_problems.csv",
        "cost_model/missing_section.toml",
        "plan/several_problems.json",
    ],
)
def test_each_line_starts_with_the_file(name: str) -> None:
    """Each problem is one line of the message, a bullet that names the file."""
    with pytest.raises(InputError) as caught:
        load(BROKEN / name)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    assert all(line.startswith(f"- {BROKEN / name}: ") for line in lines)


@pytest.mark.parametrize("kind", LOADERS)
def test_valid_files_load(kind: str) -> None:
    """The files that the corpus was derived from are valid themselves."""
    suffix = "json" if kind == "plan" else "toml"
    LOADERS[kind](DATA / "valid" / f"{kind}.{suffix}")
