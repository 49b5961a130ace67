#!/usr/bin/env bash
# Expected: the executor of TorchRec's planner API follows a request's settings, or says which it does not; a dry run for
#           other hardware is for other hardware.
# Seen:     its provider drops `bwd_compute_multiplier`, `use_hardware_based_bandwidth`, the dense estimate of the policy
#           `inference` and all of `SkuOverride`, without a message; any name is a SKU, and all of them are one machine.
# Matters:  a sweep over hardware gives one plan for each. Settings that are not followed have to be named, and names of
#           hardware looked up.
# TorchRec 1.9.2, seen on 2026-12-01, Python 3.11.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import torch
import torchrec
from torchrec.distributed.planner.dry_run.types import DryRunRequest, SkuOverride
from torchrec.distributed.planner.provider import DefaultPlannerProvider
from torchrec.distributed.planner.types import (
    PlannerConfig,
    PlannerSessionContext,
    StorageReservationPolicy,
    TrainingFramework,
)

config = PlannerConfig(
    bwd_compute_multiplier=5.0,
    use_hardware_based_bandwidth=True,
    storage_reservation_policy=StorageReservationPolicy.INFERENCE,
    dense_tensor_estimate=10**9,
)
request = DryRunRequest(
    model=torch.nn.Linear(1, 1),
    sharders=[],
    world_size=8,
    local_world_size=8,
    batch_size=512,
    training_framework=TrainingFramework.APF,
    sku_list=["H100", "A100", "no such machine"],
    per_sku_overrides={"A100": SkuOverride(hbm_gb=1, intra_host_bw=1)},
    planner_config=config,
)
context = PlannerSessionContext(request=request, results={})
provider = DefaultPlannerProvider()
seen = []
for sku in request.sku_list:
    built = provider.build_topology(sku, request, context)
    seen.append((built.devices[0].storage.hbm, built.intra_host_bw, built.bwd_compute_multiplier))
    print(sku, "HBM, bandwidth inside hosts, backward multiplier:", *seen[-1])
estimate = provider.build_storage_reservation("H100", request)._dense_tensor_estimate
print("TorchRec", torchrec.__version__)
print("asked for: multiplier 5.0, A100 with 1 GB, dense estimate", 10**9, "- kept:", estimate)
told = len(set(seen)) == 1 and seen[0][2] != 5.0 and estimate is None
print("as described" if told else "changed: settings of a request count now")
sys.exit(not told)
PY
