#!/usr/bin/env bash
# Expected: a `ModelArch` has all tables that a planner shards; its docstring calls it sufficient to reproduce the exact
#           input of the planner.
# Seen:     of two modules that have a table of one name it has one table, the last that it meets; modules' paths are
#           missing, and weighted bags have the hash of plain ones, though the planner prices them apart.
# Matters:  who plans from a stored architecture plans another model. A description of a model needs the path of every
#           table and whether its lookups are weighted.
# TorchRec 1.9.2, seen on 2026-12-01, Python 3.11.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import dataclasses
import sys

import torch
import torchrec
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner.model_arch import extract_model_arch, model_arch_hash


def bags(rows, weighted=False):
    table = torchrec.EmbeddingBagConfig(name="t", embedding_dim=64, num_embeddings=rows, feature_names=["f"])
    return torchrec.EmbeddingBagCollection(device=torch.device("meta"), tables=[table], is_weighted=weighted)


def arch(**modules):
    return extract_model_arch(torch.nn.ModuleDict(modules), [EmbeddingBagCollectionSharder()])


both = arch(user=bags(1_000), item=bags(2_000_000))
plain, weighted = (model_arch_hash(arch(user=bags(1_000, weighted=w))) for w in (False, True))
rows = [table.num_embeddings for table in both.tables]
fields = [field.name for field in dataclasses.fields(both.tables[0])]
print("TorchRec", torchrec.__version__)
print("rows of two modules that have a table `t` each:", rows)
print("hashes of plain and of weighted bags:", plain, weighted)
print("fields of a table:", ", ".join(fields))
told = len(rows) == 1 and plain == weighted and not {"module", "fqn"} & set(fields)
print("as described" if told else "changed: the architecture tells more now")
sys.exit(not told)
PY
