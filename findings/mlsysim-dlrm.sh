#!/usr/bin/env bash
# Expected: a model of ML systems that ships a DLRM with 100 GB of tables times a step by the rows that its samples look up:
#           some kilobytes each, so that a batch of 65,536 on an H200 reads some gigabytes, in milliseconds.
# Seen:     tables count as weights of a dense model. A batch of one takes as long as reading all 100 GB (22.9 ms on an H200),
#           and every further sample 2.08 ms, as if it read 10 GB: 136.6 s for 65,536. On the H100, whose 80 GB do not hold
#           the tables, one sample takes 1.7 s. Nothing says that lookups are not in the model.
# Matters:  who compares planners or capacity estimates with this yardstick is wrong by four orders of magnitude; the ratio of
#           two GPUs is one of their bandwidths to read everything, which sparse reads do not reach.
# mlsysim 0.3.0, seen on 2026-11-30. Needs Python 3.10 or newer.
source "$(dirname "$0")/venv.sh"
environment venv mlsysim==0.3.0
"$work/venv/bin/python" - <<'PY'
import sys

from mlsysim import Engine, Hardware, Models


def latency_ms(device, samples):
    """Milliseconds that the shipped DLRM takes with a batch."""
    found = Engine.solve(Models.Recommendation.DLRM, device, batch_size=samples)
    print(f"{device.name}, {samples:6} samples: {found.latency.to('ms'):.1f}")
    return round(found.latency.to("ms").magnitude, 1)


h200, h100 = Hardware.Cloud.H200, Hardware.Cloud.H100
seen = [latency_ms(h200, 1), latency_ms(h200, 65_536), latency_ms(h100, 1)]
if seen == [22.9, 136554.2, 1718.8]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
